"""What can be saved of a damaged merged file: all packs but those of the damaged groups of rows."""

from collections.abc import Iterator
from functools import partial

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from symstudy.errors import StoreError
from symstudy.store.files.folder import StudyFolder
from symstudy.store.files.merging import Source, write_part
from symstudy.store.files.parts import Part
from symstudy.store.files.rewriting import in_schema, open_parquet, united_schema
from symstudy.store.files.sealed import has_frame, read_seal
from symstudy.store.tables.schema import RUNS

__all__ = ["salvage"]


def salvage(folder: StudyFolder, part: Part, name: str, number: int, at: float) -> Part | None:
    """Write what is left of merged files as a part of a new generation.

    Every table has the same packs in a group of rows of the same number; a group that cannot be
    read in one table is left out of all.

    Args:
        folder: Folder of the study's results.
        part: The merged files, of which one at least is damaged or gone.
        name: Name of the new generation.
        number: Number of the part within it.
        at: The time, in seconds since 1970.

    Returns:
        What was written; None if nothing can be saved.

    Raises:
        StoreError: If the new files cannot be written.
    """
    files: dict[str, pq.ParquetFile] = {}
    for table, path in part.files.items():
        try:
            content = folder.read_bytes(path)
        except StoreError:
            return None
        if not has_footer(content):
            return None
        files[table] = open_parquet(content)
    (count, *others) = {file.num_row_groups for file in files.values()}
    if others or RUNS.name not in files:
        return None
    good = [
        group for group in range(count) if all(is_readable(file, group) for file in files.values())
    ]
    if not good:
        return None
    rows = pa.concat_tables(files[RUNS.name].read_row_group(g, columns=["pack_id"]) for g in good)
    kept = set(pc.unique(rows["pack_id"]).to_pylist())
    sources: dict[str, Source] = {}
    for table, file in files.items():
        schema = united_schema(table, [file.schema_arrow])
        sources[table] = Source(schema, partial(groups_of, file, schema, good))
    paths, counts = write_part(folder, name, number, sources)
    packs = tuple(pack for pack in part.packs if pack in kept)
    return Part(paths, counts, packs, (), at)


def has_footer(content: bytes) -> bool:
    """Return whether a file's footer is as it was written."""
    if not has_frame(content[:4], content[-8:], len(content)):
        return False
    found = read_seal(content)
    return found is not None and found.footer


def is_readable(file: pq.ParquetFile, group: int) -> bool:
    """Return whether all pages of a group of rows are as they were written."""
    try:
        file.read_row_group(group)
    except (OSError, pa.ArrowException):
        return False
    return True


def groups_of(file: pq.ParquetFile, schema: pa.Schema, groups: list[int]) -> Iterator[pa.Table]:
    """Yield some groups of rows."""
    for group in groups:
        yield in_schema(file.read_row_group(group), schema)
