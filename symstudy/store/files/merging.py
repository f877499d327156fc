"""Writing merged files as new generations."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from symstudy.store.files.folder import StudyFolder
from symstudy.store.files.generations import GENERATIONS, next_name, to_change, write_generation
from symstudy.store.files.parts import Part
from symstudy.store.files.rewriting import in_schema, open_parquet, united_schema
from symstudy.store.files.sealed import is_sound, read_whole
from symstudy.store.tables.keys import KEY_COLUMNS
from symstudy.store.tables.schema import RUNS

__all__ = ["Groups", "Source", "change_rows", "write_part"]

Groups = Callable[[], Iterable[pa.Table]]
"""Returns the rows of each group of rows of a file."""


class Source(NamedTuple):
    """What a merged file of a table is written from.

    Attributes:
        schema: Schema of its rows.
        groups: Returns the rows of its groups.
    """

    schema: pa.Schema
    groups: Groups


def write_part(
    folder: StudyFolder, name: str, number: int, sources: Mapping[str, Source]
) -> tuple[dict[str, str], dict[str, int]]:
    """Write merged files of a generation, which do not count yet, and read them back.

    Args:
        folder: Folder of the study's results.
        name: Name of the generation.
        number: Number of the part within it.
        sources: For each table, what its file is written from.

    Returns:
        Path of the file of each table, within the study's folder, and its number of rows.

    Raises:
        StoreError: If they cannot be written.
        RuntimeError: If what was written is not what was to be.
    """
    files: dict[str, str] = {}
    rows: dict[str, int] = {}
    for table, (schema, source) in sources.items():
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

    A pack of which no run is left there is not theirs any more: files of its own count, such as
    those that it has when it is trained again.

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
        if packs.isdisjoint(packs_of(folder, part.files)):
            parts.append(part)
            continue
        sources = {
            table: groups_of(folder, table, path, change) for table, path in part.files.items()
        }
        files, rows = write_part(folder, name, number, sources)
        gone = packs - packs_of(folder, files)
        kept = tuple(pack for pack in part.packs if pack not in gone)
        parts.append(part._replace(files=files, rows=rows, packs=kept, at=at))
    if tuple(parts) != generation.parts:
        write_generation(folder, generation, parts, at=at, name=name)


def packs_of(folder: StudyFolder, files: Mapping[str, str]) -> set[str]:
    """Return the packs that merged files hold rows of; none for files of the plan."""
    if RUNS.name not in files:
        return set()
    path = folder.join(files[RUNS.name])
    found = pq.read_table(path, columns=["pack_id"], filesystem=folder.filesystem)["pack_id"]
    return set(pc.unique(found).to_pylist())


def groups_of(
    folder: StudyFolder, table: str, path: str, change: Callable[[pa.Table], pa.Table]
) -> Source:
    """Return what the changed groups of rows of a merged file are written from."""
    file = open_parquet(read_whole(folder.filesystem, folder.join(path)))
    schema = united_schema(table, [file.schema_arrow])

    def groups() -> Iterator[pa.Table]:
        for group in range(file.num_row_groups):
            yield change(in_schema(file.read_row_group(group), schema))

    return Source(schema, groups)
