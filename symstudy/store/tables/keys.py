"""The few columns that say which rows count, read into memory when a store is opened.

A run that was trained again, or planned by two launches, has several rows, of which one counts.
Finding it in a million rows costs a second a query; that hardly any run has two rows takes the
identifiers alone to see. So the rows that do not count are found once, from narrow columns, and the
views leave them out; where there are none, a view is the table.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from pyarrow import fs

from symstudy.errors import StoreError
from symstudy.store.files.folder import StudyFolder
from symstudy.store.files.sealed import THREADS, BrokenFileError
from symstudy.store.tables.schema import (
    CELL_KEYS,
    CELLS,
    PLAN,
    PLAN_KEYS,
    RUN_KEYS,
    RUNS,
    TABLES,
    Table,
)

__all__ = [
    "ENDED",
    "KEYS",
    "KEY_COLUMNS",
    "Keys",
    "Once",
    "damaged_error",
    "find_once",
    "read_keys",
]

ENDED = ("done", "stopped")
"""Outcomes of runs that are not trained again."""


class Keys(NamedTuple):
    """How the rows of a table are told apart, and which of several counts.

    Attributes:
        table: The table.
        columns: Its narrow columns.
        row: Columns that, with the run or cell, tell one row of it from another.
        order: SQL: the row that counts comes first.
        of: Column that says what the rows are about.
    """

    table: Table
    columns: tuple[str, ...]
    row: tuple[str, ...]
    order: str
    of: str = "run_id"


KEYS = (
    Keys(
        RUNS,
        RUN_KEYS,
        ("pack_id", "finished_at"),
        # What ended for good before what failed, and then the latest.
        "(outcome = 'done') desc, (outcome = 'stopped') desc, finished_at desc, pack_id",
    ),
    Keys(PLAN, PLAN_KEYS, ("planned_at",), "planned_at"),
    Keys(CELLS, CELL_KEYS, ("planned_at",), "planned_at", of="cell_id"),
)


KEY_COLUMNS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(TABLES, ()),
    **{keys.table.name: keys.columns for keys in KEYS},
}
"""Narrow columns of every table."""


class Once(NamedTuple):
    """How a view has each run once.

    Attributes:
        window: SQL that numbers the rows of a run.
        superseded: Rows that do not count; None if their columns do not tell them from others.
        named: Columns of `superseded`.
    """

    window: str
    superseded: pa.Table | None
    named: tuple[str, ...]

    def clause(self, source: str, superseded: str) -> str:
        """Return what follows the table `source` in SQL, to leave out the rows that do not count.

        Args:
            source: Name of the table.
            superseded: Name that SQL knows `self.superseded` by.
        """
        if self.superseded is None:
            return f"qualify {self.window} = 1"
        if self.superseded.num_rows == 0:
            return ""
        match = " and ".join(f"{source}.{name} = {superseded}.{name}" for name in self.named)
        return f"anti join {superseded} on {match}"


def read_keys(folder: StudyFolder, infos: Sequence[fs.FileInfo], keys: Keys) -> pa.Table:
    """Return the narrow columns of some files of a table.

    Raises:
        FileNotFoundError: If one is gone.
        StoreError: If some are damaged.
    """

    def read(info: fs.FileInfo) -> pa.Table | BrokenFileError | None:
        try:
            return folder.read_keys(info)
        except BrokenFileError as error:
            return error

    if folder.is_local:
        found = [read(info) for info in infos]
    else:
        with ThreadPoolExecutor(THREADS) as pool:
            found = list(pool.map(read, infos))
    pairs = list(zip(infos, found, strict=True))
    broken = [info.path for info, rows in pairs if isinstance(rows, BrokenFileError)]
    if broken:
        raise damaged_error(broken)
    tables = [rows for rows in found if isinstance(rows, pa.Table)]
    # What another program has written has them in its pages alone.
    foreign = [info.path for info, rows in pairs if rows is None]
    schema = pa.schema([keys.table.schema.field(name) for name in keys.columns])
    if foreign:
        rows = ds.dataset(foreign, schema=schema, format="parquet", filesystem=folder.filesystem)
        tables.append(rows.to_table())
    return pa.concat_tables([schema.empty_table(), *tables]).combine_chunks()


def damaged_error(paths: Sequence[str]) -> StoreError:
    """Return the error that names damaged files and what to do about them."""
    shown = ", ".join(paths[:3]) + (f" and {len(paths) - 3} more" if len(paths) > 3 else "")
    return StoreError(
        f"every file of the results must be a whole Parquet file, but these are damaged: {shown}. "
        "Run the study again: it sets them aside and repeats their runs, and nothing else."
    )


def find_once(keys: Keys, rows: pa.Table) -> Once:
    """Return which rows do not count: exactly those that the window leaves out.

    Args:
        keys: Of the table.
        rows: Its narrow columns.
    """
    named = ("study", keys.of, *keys.row)
    window = f"row_number() over (partition by study, {keys.of} order by {keys.order})"
    none = rows.select(named).slice(0, 0)
    if rows.num_rows == len(pc.unique(rows[keys.of])):
        return Once(window, none, named)
    columns = ", ".join(named)
    with duckdb.connect(":memory:") as connection:
        connection.register("keys", rows)
        connection.execute(
            f"create table repeated as select keys.* from keys semi join (select study, {keys.of} "  # noqa: S608  # names of our own
            f"from keys group by all having count(*) > 1) using (study, {keys.of})"
        )
        nulls = " or ".join(f"{name} is null" for name in named)
        alike = connection.sql(
            f"select 1 from repeated group by {columns} having count(*) > 1 or {nulls}"  # noqa: S608  # names of our own
        ).fetchall()
        if alike:
            # The same file twice, as in a copy of a study beside it: only the rows tell.
            return Once(window, None, named)
        superseded = connection.sql(
            f"select {columns} from repeated qualify {window} > 1"  # noqa: S608  # names of our own
        ).to_arrow_table()
    return Once(window, superseded, named)
