"""Writing the files of a table of the plan again without some of their rows."""

import time
from collections.abc import Callable, Iterator

import pyarrow as pa

from symstudy.store.files.folder import StudyFolder
from symstudy.store.files.generations import next_name, to_change, write_generation
from symstudy.store.files.manifest import list_own
from symstudy.store.files.merging import Source, write_part
from symstudy.store.files.parts import Generation, Part
from symstudy.store.files.rewriting import in_schema, open_parquet, united_schema
from symstudy.store.files.sealed import read_whole
from symstudy.store.tables.keys import KEY_COLUMNS

__all__ = ["keep_rows"]

Keep = Callable[[pa.Table], pa.Table]
"""Returns the rows of some that are kept."""


def keep_rows(folder: StudyFolder, table: str, keep: Keep) -> None:
    """Replace each file of a table of the plan by one with the rows that are kept.

    Broken off in between, some files have all of their rows still.

    Args:
        folder: Folder of the study's results, which is locked.
        table: Name of the table: one of those that are merged each for itself.
        keep: Returns the rows that are kept.

    Raises:
        StoreError: If the results cannot be read or written.
    """
    generation = to_change(folder)
    for info in list_own(folder, table, generation):
        rewrite(folder, table, info.path, keep)
    keep_merged(folder, table, generation, keep)


def rewrite(folder: StudyFolder, table: str, path: str, keep: Keep) -> None:
    """Replace a file by one with the rows that are kept; delete it without any."""
    source, total, kept = kept_rows(folder, table, path, keep)
    place = path.removeprefix(folder.join("")).split("/")
    if kept == 0:
        folder.delete(*place)
    elif kept < total:
        groups = source.groups()
        keys = KEY_COLUMNS[table]
        folder.write_groups(source.schema, groups, *place, statistics=True, keys=keys)


def keep_merged(folder: StudyFolder, table: str, generation: Generation, keep: Keep) -> None:
    """Write the merged files that change as a new generation."""
    name = next_name(generation)
    now = time.time()
    parts: list[Part] = []
    for number, part in enumerate(generation.parts):
        if table not in part.files:
            parts.append(part)
            continue
        source, total, kept = kept_rows(folder, table, folder.join(part.files[table]), keep)
        if kept == total:
            parts.append(part)
            continue
        files, rows = write_part(folder, name, number, {table: source})
        parts.append(part._replace(files=files, rows=rows, at=now))
    if tuple(parts) != generation.parts:
        write_generation(folder, generation, parts, at=now, name=name)


def kept_rows(folder: StudyFolder, table: str, path: str, keep: Keep) -> tuple[Source, int, int]:
    """Return what a file without some rows is written from, its rows, and how many are kept."""
    file = open_parquet(read_whole(folder.filesystem, path))
    schema = united_schema(table, [file.schema_arrow])

    def groups() -> Iterator[pa.Table]:
        for group in range(file.num_row_groups):
            yield keep(in_schema(file.read_row_group(group), schema))

    return Source(schema, groups), file.metadata.num_rows, sum(g.num_rows for g in groups())
