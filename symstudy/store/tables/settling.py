"""Making "nothing twice" true again after two drivers have trained the same run."""

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from symstudy.store.files.folder import StudyFolder
from symstudy.store.files.lock import locked
from symstudy.store.files.manifest import PACK_TABLES, Listing, list_tables, stem_of
from symstudy.store.files.rewriting import in_schema, open_parquet, united_schema
from symstudy.store.files.sealed import read_whole
from symstudy.store.tables.keys import ENDED, KEY_COLUMNS
from symstudy.store.tables.reading import read_column
from symstudy.store.tables.schema import RUNS

__all__ = ["drop_runs", "settle"]


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
        drop_runs(folder, losers)
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


def drop_runs(folder: StudyFolder, losers: pa.Table) -> None:
    """Take the rows of some runs out of all tables; the caller holds the study's lock.

    Args:
        folder: Folder of the study.
        losers: Run and pack of each row of runs that is to go.
    """
    listing = list_tables(folder, PACK_TABLES)
    packs = set(losers["pack_id"].to_pylist())
    for path in listing.paths(RUNS.name):
        if stem_of(path) in packs or has_pack(folder, path, packs):
            drop_rows(folder, listing, stem_of(path), losers)


def has_pack(folder: StudyFolder, path: str, packs: set[str]) -> bool:
    """Return whether a merged file of runs holds one of `packs`."""
    if not stem_of(path).startswith("merged-"):
        return False
    found = pq.read_table(path, columns=["pack_id"], filesystem=folder.filesystem)["pack_id"]
    return not packs.isdisjoint(pc.unique(found).to_pylist())


def drop_rows(folder: StudyFolder, listing: Listing, stem: str, losers: pa.Table) -> None:
    """Write the files of one name again without the rows of `losers`, those of runs last."""
    for table in (*(name for name in PACK_TABLES if name != RUNS.name), RUNS.name):
        for path in (path for path in listing.paths(table) if stem_of(path) == stem):
            file = open_parquet(read_whole(folder.filesystem, path))
            schema = united_schema(table, [file.schema_arrow])
            # What a merged file says of itself stays; its rows are of the present version.
            schema = schema.with_metadata({**(file.metadata.metadata or {}), **schema.metadata})
            parts = path.removeprefix(folder.join("")).split("/")
            folder.write_groups(
                schema,
                kept_groups(file, schema, losers),
                *parts,
                statistics=file.num_row_groups > 1,
                keys=KEY_COLUMNS[table],
            )


def kept_groups(file: pq.ParquetFile, schema: pa.Schema, losers: pa.Table) -> Iterator[pa.Table]:
    """Yield the groups of rows of a file without the rows of `losers`."""
    gone = set(zip(losers["run_id"].to_pylist(), losers["pack_id"].to_pylist(), strict=True))
    for group in range(file.num_row_groups):
        rows = in_schema(file.read_row_group(group), schema)
        pairs = zip(rows["run_id"].to_pylist(), rows["pack_id"].to_pylist(), strict=True)
        yield rows.filter(pa.array([pair not in gone for pair in pairs], pa.bool_()))
