"""Which columns of `runs` hold any value, without reading every number of every run.

To count the values of all columns takes a minute of a million runs. A column that has a value in
one file need not be looked for in others, and one without takes a few bytes of each.
"""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs

from symstudy.errors import StoreError
from symstudy.store.files.folder import StudyFolder
from symstudy.store.tables.connection import Store
from symstudy.store.tables.schema import RENAMED, RUNS
from symstudy.store.tables.view_statements import quoted

__all__ = ["recorded_columns"]

THREADS = 2
"""The explorer answers its pages meanwhile."""


def recorded_columns(store: Store, names: Iterable[str]) -> frozenset[str]:
    """Return the columns of `runs` that hold a value for any run that has ended or is planned.

    Args:
        store: Access to the studies.
        names: Columns of the view.

    Raises:
        StoreError: If a file is damaged.
    """
    wanted = list(names)
    hyper = [each.name for each in store.hyperparameters if each.name in set(wanted)]
    found = planned_values(store, hyper)
    named = {shown: own for own, shown in store.tables.aliases.items()}
    old = RENAMED[RUNS.name]
    others = {}
    for name in wanted:
        if name not in hyper:
            own = named.get(name, name)
            others[name] = {own, old.get(own, own)}
    return found | known_values(store, others)


def planned_values(store: Store, names: list[str]) -> frozenset[str]:
    """Return the hyperparameters among `names` that any cell has."""
    if not names:
        return frozenset()
    counts = ", ".join(f"count({quoted(name)})" for name in names)
    (row,) = store.sql(f"select {counts} from cells_files").rows  # noqa: S608  # columns of the store
    return frozenset(name for name, count in zip(names, row, strict=True) if count)


def known_values(store: Store, columns: dict[str, set[str]]) -> frozenset[str]:
    """Return the columns that any file of runs has values of.

    Args:
        store: Access to the studies.
        columns: Names that each column of the view may have in files.
    """
    files = store.tables.files[RUNS.name]
    every = {name for own in columns.values() for name in own}
    seen: set[str] = set()
    valued: set[str] = set()
    if files:
        # Most columns that have values have some in the first file, and need not be read again.
        seen, valued = read_valued(files[0], every)
        rest = every - valued
        with ThreadPoolExecutor(THREADS) as pool:
            for there, has in pool.map(lambda file: read_valued(file, rest), files[1:]):
                seen |= there
                valued |= has
    return frozenset(
        # What no file has a column of is derived by the view.
        name
        for name, own in columns.items()
        if own & valued or (files and not own & seen)
    )


def read_valued(
    file: tuple[StudyFolder, fs.FileInfo], names: set[str]
) -> tuple[set[str], set[str]]:
    """Return which columns a file has among some, and which of them have a value.

    Raises:
        StoreError: If it is damaged.
    """
    folder, info = file
    try:
        with pq.ParquetFile(info.path, filesystem=folder.filesystem) as opened:
            foot = opened.metadata
            there = {
                name: at
                for at in range(foot.num_columns)
                if (name := foot.schema.column(at).path.split(".")[0]) in names
            }
            told = {name: has_values(foot, at) for name, at in there.items()}
            unknown = [name for name, has in told.items() if has is None]
            rows = opened.read(columns=unknown, use_threads=False) if unknown else None
    except (OSError, pa.ArrowException) as error:
        raise StoreError(
            f"every file of the results must be a whole Parquet file, but {info.path!r} is "
            f"damaged: {error}. Type: symstudy verify RESULTS"
        ) from error
    valued = {name for name, has in told.items() if has}
    if rows is not None:
        valued |= {name for name in unknown if rows[name].null_count < rows.num_rows}
    return set(there), valued


def has_values(foot: Any, place: int) -> bool | None:
    """Return whether a column of a file has a value, as its foot says; None if it says nothing."""
    for at in range(foot.num_row_groups):
        group = foot.row_group(at)
        known = group.column(place).statistics
        if known is None or not known.has_null_count:
            return None
        if known.null_count < group.num_rows:
            return True
    return False
