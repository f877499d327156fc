"""Which files a table consists of: those of packs, and merged ones that stand for many.

A table is a folder of Parquet files, one a pack, until `symstudy compact` merges small ones into a
new generation (`symstudy.store.files.generations`). Whoever reads tables lists them here: a file
that a part of the generation stands for is skipped, and the part's own file is read.
"""

from collections.abc import Sequence
from typing import NamedTuple

from pyarrow import fs

from symstudy.errors import StoreError
from symstudy.store.files.folder import StudyFolder
from symstudy.store.files.generations import (
    ATTEMPTS,
    read_again,
    read_generation,
    read_pointer,
)
from symstudy.store.files.parts import PACK_TABLES, PLAN_TABLES, Generation, stem_of
from symstudy.store.tables.schema import TABLES

__all__ = [
    "ATTEMPTS",
    "PACK_TABLES",
    "PLAN_TABLES",
    "Listing",
    "list_own",
    "list_table",
    "list_tables",
    "read_again",
    "stem_of",
]


class Listing(NamedTuple):
    """The files of a study's tables.

    Attributes:
        files: The files of each table.
        lost: Paths of merged files that count and are not there.
    """

    files: dict[str, list[fs.FileInfo]]
    lost: list[str]

    def paths(self, table: str) -> list[str]:
        """Return the paths of the files of a table."""
        return [info.path for info in self.files[table]]


def list_tables(folder: StudyFolder, tables: Sequence[str] = tuple(TABLES)) -> Listing:
    """Return the files that `tables` consist of, all as of one generation.

    Raises:
        StoreError: If the results cannot be read, or what says which files count is damaged.
    """
    for _ in range(ATTEMPTS):
        pointer = read_pointer(folder)
        generation = read_generation(folder)
        files: dict[str, list[fs.FileInfo]] = {}
        lost: list[str] = []
        for table in tables:
            files[table], missing = list_table(folder, table, generation)
            lost.extend(missing)
        # Files are deleted only after the pointer has moved.
        if read_pointer(folder) == pointer:
            return Listing(files, lost)
    raise StoreError(f"{folder.path!r} must hold still for a moment, but its files keep changing.")


def list_table(
    folder: StudyFolder, table: str, generation: Generation
) -> tuple[list[fs.FileInfo], list[str]]:
    """Return the files of a table, and the paths of merged ones that are not there."""
    paths = [folder.join(path) for path in generation.paths(table)]
    for path in paths:
        folder.refuse_link(path)
    merged = folder.filesystem.get_file_info(paths) if paths else []
    found = {info.path: info for info in list_own(folder, table, generation)}
    found.update({info.path: info for info in merged if info.type == fs.FileType.File})
    lost = sorted(info.path for info in merged if info.type != fs.FileType.File)
    return sorted(found.values(), key=lambda info: info.path), lost


def list_own(folder: StudyFolder, table: str, generation: Generation) -> list[fs.FileInfo]:
    """Return the files of packs in the folder of a table that no merged file stands for."""
    cover = generation.cover(table)
    # Version 4 has left merged files there, which count as such, or do not count any more.
    merged = {folder.join(path) for path in (*generation.paths(table), *generation.retired)}
    return [
        info
        for info in folder.list_infos(table, ".parquet")
        if info.path not in merged and cover(info) is None
    ]
