"""Removes rows of runs that two drivers have both trained, so that each run has one row again."""

import time
from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from symstudy.store.files.folder import StudyFolder
from symstudy.store.files.generations import read_generation
from symstudy.store.files.lock import locked
from symstudy.store.files.manifest import PACK_TABLES, list_own, stem_of
from symstudy.store.files.merging import change_rows
from symstudy.store.files.rewriting import in_schema, open_parquet, united_schema
from symstudy.store.files.sealed import read_whole
from symstudy.store.tables.keys import ENDED, KEY_COLUMNS
from symstudy.store.tables.reading import read_column
from symstudy.store.tables.schema import RUNS

__all__ = ["drop_rows", "settle"]


def settle(folder: StudyFolder) -> list[str]:
    """Keep one pack's rows of each run that ended in several: the one that the views show.

    The other packs' files are written again without these rows, those of `runs` last; broken off in
    between, the run is still found twice, and the next call goes on. No other row is touched.

    Returns:
        What was done, in sentences.

    Raises:
        StoreError: If the results cannot be read or written.
    """
    with locked(folder):
        losers = find_losers(folder)
        if losers.num_rows == 0:
            return []
        drop_rows(folder, losers)
    runs = losers["run_id"].to_pylist()
    return [
        f"{len(set(runs))} runs of {folder.name} had been trained twice; one result of each is kept"
    ]


def find_losers(folder: StudyFolder) -> pa.Table:
    """Return run and pack of the rows that are to go: of each run that ended all but one."""
    rows = read_column(folder, RUNS.name, ("run_id", "pack_id", "outcome", "finished_at"))
    rows = rows.filter(pc.is_in(rows["outcome"], pa.array(ENDED)))
    if rows.num_rows == len(pc.unique(rows["run_id"])):
        return rows.slice(0, 0).select(["run_id", "pack_id"])
    counts = pc.value_counts(rows["run_id"])
    twice = counts.field("values").filter(pc.greater(counts.field("counts"), 1))
    rows = rows.filter(pc.is_in(rows["run_id"], twice))
    # As in the view `runs`: done, then stopped, the latest first.
    rows = rows.sort_by(
        [
            ("run_id", "ascending"),
            ("outcome", "ascending"),
            ("finished_at", "descending"),
            ("pack_id", "ascending"),
        ]
    )
    ids = rows["run_id"].to_pylist()
    goes = [i > 0 and ids[i - 1] == ids[i] for i in range(len(ids))]
    return rows.filter(pa.array(goes)).select(["run_id", "pack_id"])


def drop_rows(folder: StudyFolder, losers: pa.Table) -> None:
    """Write files again without the rows of `losers`: those of packs, and merged ones.

    Of a pack those of runs last; merged files as a new generation.

    Args:
        folder: Folder of the study's results, which is locked.
        losers: Run and pack of the rows that go.

    Raises:
        StoreError: If the results cannot be read or written.
    """
    packs = set(losers["pack_id"].to_pylist())
    done = drop_own(folder, packs, losers, set())
    change_rows(folder, packs, lambda rows: without(rows, losers), at=time.time())
    # Files from before a compaction count again where nothing of their pack is left in merged ones.
    drop_own(folder, packs, losers, done)


def drop_own(folder: StudyFolder, packs: set[str], losers: pa.Table, done: set[str]) -> set[str]:
    """Write the files of packs again, but those in `done`, without some rows.

    Returns:
        Paths of the files that were written.
    """
    generation = read_generation(folder)
    written = set()
    for table in (*(name for name in PACK_TABLES if name != RUNS.name), RUNS.name):
        for info in list_own(folder, table, generation):
            if stem_of(info.path) in packs and info.path not in done:
                drop_own_rows(folder, table, info.path, losers)
                written.add(info.path)
    return written


def drop_own_rows(folder: StudyFolder, table: str, path: str, losers: pa.Table) -> None:
    """Write the file of a pack again without the rows of `losers`."""
    file = open_parquet(read_whole(folder.filesystem, path))
    schema = united_schema(table, [file.schema_arrow])
    folder.write_groups(
        schema,
        kept_groups(file, schema, losers),
        *path.removeprefix(folder.join("")).split("/"),
        statistics=file.num_row_groups > 1,
        keys=KEY_COLUMNS[table],
    )


def kept_groups(file: pq.ParquetFile, schema: pa.Schema, losers: pa.Table) -> Iterator[pa.Table]:
    """Yield the groups of rows of a file without the rows of `losers`."""
    for group in range(file.num_row_groups):
        yield without(in_schema(file.read_row_group(group), schema), losers)


def without(rows: pa.Table, losers: pa.Table) -> pa.Table:
    """Return the rows that are not those of `losers`."""
    gone = set(zip(losers["run_id"].to_pylist(), losers["pack_id"].to_pylist(), strict=True))
    pairs = zip(rows["run_id"].to_pylist(), rows["pack_id"].to_pylist(), strict=True)
    return rows.filter(pa.array([pair not in gone for pair in pairs], pa.bool_()))
