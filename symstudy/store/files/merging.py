"""Writing merged files, and reading rows of any of our files in the present schema."""

from collections.abc import Callable, Iterable, Iterator, Mapping

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from symstudy.store.files.folder import StudyFolder
from symstudy.store.files.generations import GENERATIONS, next_name, to_change, write_generation
from symstudy.store.files.parts import Part
from symstudy.store.files.sealed import is_sound, read_whole
from symstudy.store.tables.keys import KEY_COLUMNS
from symstudy.store.tables.schema import RUNS, TABLES

__all__ = ["Groups", "change_rows", "in_schema", "open_parquet", "write_part"]

Groups = Callable[[], Iterable[pa.Table]]
"""Returns the rows of each group of rows of a file."""


def write_part(
    folder: StudyFolder, name: str, number: int, sources: Mapping[str, Groups]
) -> tuple[dict[str, str], dict[str, int]]:
    """Write merged files of a generation, which do not count yet, and read them back.

    Args:
        folder: Folder of the study's results.
        name: Name of the generation.
        number: Number of the part within it.
        sources: For each table, what returns the rows of its groups.

    Returns:
        Path of the file of each table, within the study's folder, and its number of rows.

    Raises:
        StoreError: If they cannot be written.
        RuntimeError: If what was written is not what was to be.
    """
    files: dict[str, str] = {}
    rows: dict[str, int] = {}
    for table, source in sources.items():
        schema = TABLES[table].schema
        counts: list[int] = []
        place = (GENERATIONS, name, table, f"{number:04d}.parquet")
        groups = counted(source(), schema, counts)
        folder.write_groups(schema, groups, *place, statistics=True, keys=KEY_COLUMNS[table])
        content = folder.read_bytes(*place)
        found = pq.ParquetFile(pa.BufferReader(content)).metadata.num_rows
        if not is_sound(content) or found != sum(counts):
            raise RuntimeError(f"{folder.join(*place)!r} must read as it was written")
        files[table] = "/".join(place)
        rows[table] = found
    return files, rows


def counted(groups: Iterable[pa.Table], schema: pa.Schema, counts: list[int]) -> Iterator[pa.Table]:
    """Yield `groups` in `schema`, taking note of their numbers of rows."""
    for group in groups:
        counts.append(group.num_rows)
        yield group.replace_schema_metadata(schema.metadata)


def change_rows(
    folder: StudyFolder, packs: set[str], change: Callable[[pa.Table], pa.Table], *, at: float
) -> None:
    """Write the merged files that hold rows of `packs` as new ones, with other rows.

    Args:
        folder: Folder of the study's results, which is locked.
        packs: Identifiers of the packs whose rows change.
        change: Returns what is to be left of a group of rows of any table.
        at: The time, in seconds since 1970.

    Raises:
        StoreError: If they cannot be read or written.
    """
    generation = to_change(folder)
    name = next_name(generation)
    parts: list[Part] = []
    for number, part in enumerate(generation.parts):
        if not has_pack(folder, part, packs):
            parts.append(part)
            continue
        sources = {
            table: groups_of(folder, table, path, change) for table, path in part.files.items()
        }
        files, rows = write_part(folder, name, number, sources)
        parts.append(part._replace(files=files, rows=rows, at=at))
    if tuple(parts) != generation.parts:
        write_generation(folder, generation, parts, at=at, name=name)


def has_pack(folder: StudyFolder, part: Part, packs: set[str]) -> bool:
    """Return whether merged files hold rows of one of `packs`."""
    if RUNS.name not in part.files:
        return False
    path = folder.join(part.files[RUNS.name])
    found = pq.read_table(path, columns=["pack_id"], filesystem=folder.filesystem)["pack_id"]
    return not packs.isdisjoint(pc.unique(found).to_pylist())


def groups_of(
    folder: StudyFolder, table: str, path: str, change: Callable[[pa.Table], pa.Table]
) -> Groups:
    """Return what yields the changed groups of rows of a merged file."""

    def groups() -> Iterator[pa.Table]:
        file = open_parquet(read_whole(folder.filesystem, folder.join(path)))
        for group in range(file.num_row_groups):
            yield change(in_schema(file.read_row_group(group), TABLES[table].schema))

    return groups


def open_parquet(content: bytes) -> pq.ParquetFile:
    """Return a Parquet file whose pages are checked as they are read."""
    return pq.ParquetFile(pa.BufferReader(content), page_checksum_verification=True)


def in_schema(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """Return rows in the types of `schema`; columns that a file lacks are null."""
    if table.schema.equals(schema):
        return table.replace_schema_metadata(schema.metadata)
    columns = [
        table[field.name].cast(field.type)
        if field.name in table.column_names
        else pa.nulls(table.num_rows, field.type)
        for field in schema
    ]
    return pa.Table.from_arrays(columns, schema=schema)
