"""The ledger: planned = done + stopped + failed + missing, and nothing twice."""

from collections.abc import Sequence
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from symstudy.errors import StoreError
from symstudy.store.files.folder import StudyFolder
from symstudy.store.files.manifest import list_tables, read_again
from symstudy.store.files.sealed import find_broken
from symstudy.store.tables.connection import Store
from symstudy.store.tables.keys import ENDED, KEYS, damaged_error, read_keys
from symstudy.store.tables.schema import PACKS, TABLES
from symstudy.study.cells import Run, read_cell

__all__ = [
    "Account",
    "Verification",
    "damaged_files",
    "ended_runs",
    "planned_runs",
    "read_account",
    "read_column",
    "read_pack",
    "verify",
]


class Account(NamedTuple):
    """How many runs of a study are where.

    Attributes:
        study: Name of the study.
        planned: Runs ever planned.
        done: Runs that ended as planned.
        stopped: Runs that were stopped early on purpose, by a search.
        failed: Runs that ended otherwise, and why: outcome and reason to number.
        missing: Planned runs that have not ended.
    """

    study: str
    planned: int
    done: int
    stopped: int
    failed: dict[tuple[str, str], int]
    missing: int

    @property
    def num_failed(self) -> int:
        """Number of runs that did not end as planned."""
        return sum(self.failed.values())


class Verification(NamedTuple):
    """What `verify` found in a study.

    Attributes:
        account: The counts.
        twice: Runs that are done or stopped in more than one pack.
        unplanned: Runs that ended without having been planned.
        incomplete: Packs whose history lacks rows of their runs.
        damaged: Files that cannot be read through.
    """

    account: Account
    twice: list[str]
    unplanned: list[str]
    incomplete: list[str]
    damaged: list[str]

    @property
    def is_proven(self) -> bool:
        """Whether every planned run has ended, once, with all its rows."""
        wrong = self.twice or self.unplanned or self.incomplete or self.damaged
        return not wrong and self.account.missing == 0

    @property
    def is_consistent(self) -> bool:
        """Whether nothing is wrong with what there is, even if runs are missing."""
        return not (self.twice or self.unplanned or self.incomplete or self.damaged)


def read_column(folder: StudyFolder, table: str, columns: Sequence[str]) -> pa.Table:
    """Return some columns of all files of a table.

    Raises:
        StoreError: If a file cannot be read.
    """
    schema = pa.schema([TABLES[table].schema.field(column) for column in columns])

    def read() -> pa.Table:
        listing = list_tables(folder, [table])
        if listing.lost:
            raise damaged_error(listing.lost)
        for keys in KEYS:
            if keys.table.name == table and set(columns) <= set(keys.columns):
                return read_keys(folder, listing.files[table], keys).select(list(columns))
        paths = listing.paths(table)
        if not paths:
            return schema.empty_table()
        # A schema of these columns alone: files are opened twice as fast.
        dataset = ds.dataset(paths, schema=schema, format="parquet", filesystem=folder.filesystem)
        return dataset.to_table()

    return read_again(read)


def ended_runs(folder: StudyFolder, *, failed_count: bool) -> set[str]:
    """Return the runs that are done or stopped, and with `failed_count` those that failed too."""
    table = read_column(folder, "runs", ("run_id", "outcome"))
    if not failed_count:
        table = table.filter(pc.is_in(table["outcome"], pa.array(ENDED)))
    return set(table["run_id"].to_pylist())


def planned_runs(folder: StudyFolder) -> set[str]:
    """Return every run that was ever planned."""
    return set(read_column(folder, "plan", ("run_id",))["run_id"].to_pylist())


def read_pack(folder: StudyFolder, launch: str, pack_id: str) -> list[Run]:
    """Return the runs of a pack of a launch.

    Raises:
        StoreError: If the launch has no such pack.
    """
    path = folder.join(PACKS.name, f"{launch}.parquet")
    try:
        # Of the groups of rows only those are read whose statistics allow for the pack.
        table = pq.read_table(
            path,
            filesystem=folder.filesystem,
            schema=PACKS.schema,
            filters=[("pack_id", "==", pack_id)],
        )
    except (OSError, pa.ArrowException) as error:
        raise StoreError(
            f"the packs of launch {launch} must be readable, but {path!r} is not: {error}"
        ) from error
    if table.num_rows == 0:
        raise StoreError(f"launch {launch} must hold pack {pack_id!r}, but {path!r} does not.")
    rows = table.to_pylist()
    cells = {config: read_cell(config) for config in {row["config"] for row in rows}}
    return [Run(row["run_id"], cells[row["config"]], row["seed"]) for row in rows]


def read_account(store: Store) -> list[Account]:
    """Return the counts of every study of `store`; no file is read for it."""
    failed: dict[str, dict[tuple[str, str], int]] = {}
    for study, outcome, reason, count in store.sql(
        "select study, outcome, coalesce(reason, ''), count(*) from runs_ended "
        "where outcome not in ('done', 'stopped') group by all order by all"
    ).rows:
        failed.setdefault(study, {})[outcome, reason] = count
    counts = {
        study: numbers
        for study, *numbers in store.sql(
            "select planned_runs.study, count(*), count(*) filter (outcome = 'done'), "
            "count(*) filter (outcome = 'stopped'), count(*) filter (outcome is null) "
            "from planned_runs left join runs_ended using (study, run_id) group by all"
        ).rows
    }
    accounts = []
    for folder in store.folders:
        planned, done, stopped, missing = counts.get(folder.name, (0, 0, 0, 0))
        accounts.append(
            Account(folder.name, planned, done, stopped, failed.get(folder.name, {}), missing)
        )
    return accounts


def damaged_files(folder: StudyFolder) -> list[str]:
    """Return the files of a study's tables that are not as they were written, or lost."""
    listing = list_tables(folder)
    paths = [info.path for infos in listing.files.values() for info in infos]
    broken = find_broken(folder.is_sound, paths)
    if broken:
        # A file that was replaced while it was read is not damaged but gone.
        now = list_tables(folder)
        there = {info.path for infos in now.files.values() for info in infos}
        broken = [path for path in broken if path in there]
    return [*broken, *listing.lost]


def verify(folder: StudyFolder) -> Verification:
    """Read every file of a study through and hold the ledger against what is there."""
    damaged = damaged_files(folder)
    if damaged:
        return Verification(Account(folder.name, 0, 0, 0, {}, 0), [], [], [], damaged)
    store = Store([folder])
    (account,) = read_account(store)
    twice = store.sql(
        "select run_id from runs_keys where outcome in ('done', 'stopped') group by run_id "
        "having count(*) > 1 order by run_id"
    )
    doubled = store.sql(
        "select run_id from history_files join runs using (run_id, pack_id) "
        "where step = steps_done group by run_id having count(*) > 1"
    )
    unplanned = store.sql(
        "select run_id from runs_ended anti join plan_keys using (study, run_id) order by run_id"
    )
    incomplete = store.sql(
        "select distinct pack_id from runs anti join (select run_id, pack_id, max(step) as "
        "steps_done from history_files group by all) using (run_id, pack_id, steps_done) "
        "where outcome in ('done', 'stopped') order by pack_id"
    )
    return Verification(
        account,
        sorted({row[0] for row in (*twice.rows, *doubled.rows)}),
        [row[0] for row in unplanned.rows],
        [row[0] for row in incomplete.rows],
        damaged,
    )
