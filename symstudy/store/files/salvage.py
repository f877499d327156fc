"""What can be saved of a damaged merged file: all packs but those of the damaged groups of rows."""

from collections.abc import Iterator
from functools import partial

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from symstudy.errors import StoreError
from symstudy.store.files.compaction import write_merged
from symstudy.store.files.folder import StudyFolder
from symstudy.store.files.manifest import COMPACTED, MERGED_PREFIX, Merged
from symstudy.store.files.rewriting import in_schema, open_parquet, united_schema
from symstudy.store.files.sealed import has_frame, read_seal
from symstudy.store.tables.schema import RUNS

__all__ = ["salvage"]


def salvage(folder: StudyFolder, item: Merged) -> Merged | None:
    """Write what is left of merged files to new ones, which count once the manifest names them.

    Every table has the same packs in a group of rows of the same number; a group that cannot be
    read in one table is left out of all.

    Args:
        folder: Of the study.
        item: The merged files, of which one at least is damaged or gone.

    Returns:
        What was written; None if nothing can be saved.

    Raises:
        StoreError: If the new files cannot be written.
    """
    contents: dict[str, bytes] = {}
    for table in item.rows:
        content = read_anywhere(folder, table, item.name)
        if content is None or not has_footer(content):
            return None
        contents[table] = content
    files = {table: open_parquet(content) for table, content in contents.items()}
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
    replaces = [mark for mark in item.replaces if mark in kept or mark.startswith(MERGED_PREFIX)]
    schemas = {table: united_schema(table, [file.schema_arrow]) for table, file in files.items()}
    parts = {table: partial(groups_of, file, schemas[table], good) for table, file in files.items()}
    return write_merged(folder, parts, schemas, sorted({*replaces, item.name}), item.at)


def read_anywhere(folder: StudyFolder, table: str, name: str) -> bytes | None:
    """Return the bytes of a merged file, wherever it is."""
    for place in ((COMPACTED, table), (table,)):
        try:
            return folder.read_bytes(*place, f"{name}.parquet")
        except StoreError:
            continue
    return None


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
