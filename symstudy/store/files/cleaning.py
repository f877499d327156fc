"""Deleting what does not count: files that merged ones stand for, and what dead processes left."""

import time
from collections.abc import Iterable

from pyarrow import fs

from symstudy.store.files.folder import StudyFolder
from symstudy.store.files.generations import (
    CONTENTS,
    COPY,
    GENERATIONS,
    POINTER,
    move_pointer,
    write_generation,
)
from symstudy.store.files.parts import Generation
from symstudy.store.files.version_4 import COMPACTED
from symstudy.store.tables.schema import TABLES

__all__ = ["clean", "clear_leftovers"]

ENDINGS = (".parquet", ".json", ".tmp")
"""Of files that are deleted; what was set aside as damaged stays."""


def clean(folder: StudyFolder, generation: Generation, *, before: float) -> tuple[int, int]:
    """Delete files that do not count any more.

    Args:
        folder: Folder of the study's results, which is locked.
        generation: The generation that counts.
        before: Only what has not counted since then, in seconds since 1970.

    Returns:
        Number of Parquet files deleted, and number of those that stay for now.
    """
    due: list[str] = []
    waiting = 0
    for path, since in (*replaced(folder, generation), *retired(folder, generation)):
        if since <= before:
            due.append(path)
        elif path.endswith(".parquet"):
            waiting += 1
    for path in due:
        folder.delete(path)
    delete_empty(folder, due)
    return sum(path.endswith(".parquet") for path in due), waiting


def replaced(folder: StudyFolder, generation: Generation) -> Iterable[tuple[str, float]]:
    """Yield the files of packs and of plans that merged ones stand for, and since when."""
    for table in TABLES:
        cover = generation.cover(table)
        merged = {folder.join(path) for path in (*generation.paths(table), *generation.retired)}
        # The runs first: what is left of a pack by a death between does not count without them.
        for info in folder.list_infos(table, ".parquet"):
            part = cover(info)
            if part is not None and info.path not in merged:
                yield within(folder, info.path), part.at


def retired(folder: StudyFolder, generation: Generation) -> Iterable[tuple[str, float]]:
    """Yield the merged files that counted once and are still there, and since when they do not."""
    paths = {folder.join(path): path for path in generation.retired}
    for info in folder.filesystem.get_file_info(list(paths)) if paths else ():
        if info.type == fs.FileType.File:
            path = paths[info.path]
            yield path, generation.retired[path]


def clear_leftovers(folder: StudyFolder, generation: Generation) -> Generation:
    """Delete merged files that never came to count, since whoever wrote them died.

    Whoever wrote them may only have been thought dead. So the pointer is written again before: they
    can then not come to count any more, since the pointer is not as it was read.

    Args:
        folder: Folder of the study's results, which is locked.
        generation: The generation that counts.

    Returns:
        The same, with the pointer as it is now.

    Raises:
        StoreError: If another process has moved the pointer.
    """
    known = {"/".join(POINTER), *generation.retired}
    known.update(f"{GENERATIONS}/{generation.name}/{file}" for file in (CONTENTS, COPY))
    known.update(path for part in generation.parts for path in part.files.values())
    left = [path for path in list_merged(folder) if path not in known]
    if not left:
        return generation
    if generation.name or not generation.parts:
        pointer = move_pointer(folder, generation.name, generation.pointer)
        generation = generation._replace(pointer=pointer)
    else:
        # Of version 4: it had no pointer.
        generation = write_generation(folder, generation, generation.parts, at=time.time())
    for path in left:
        folder.delete(path)
    delete_empty(folder, left)
    return generation


def delete_empty(folder: StudyFolder, paths: Iterable[str]) -> None:
    """Delete the folders of deleted merged files, as far as nothing is left in them."""
    places = {path.rsplit("/", 1)[0] for path in paths}
    above = {place.rsplit("/", 1)[0] for place in places}
    for place in sorted(places | above, key=len, reverse=True):
        if place.startswith((f"{GENERATIONS}/", COMPACTED)):
            folder.delete_if_empty(place)


def list_merged(folder: StudyFolder) -> list[str]:
    """Return the files of all generations, and those that version 4 wrote, within the folder."""
    found: list[str] = []
    for place in (GENERATIONS, COMPACTED):
        folder.refuse_link(folder.join(place))
        selector = fs.FileSelector(folder.join(place), allow_not_found=True, recursive=True)
        infos = folder.filesystem.get_file_info(selector)
        found.extend(
            within(folder, info.path)
            for info in infos
            if info.type == fs.FileType.File and info.path.endswith(ENDINGS)
        )
    return sorted(found)


def within(folder: StudyFolder, path: str) -> str:
    """Return a path within the study's folder."""
    return path.removeprefix(folder.join(""))
