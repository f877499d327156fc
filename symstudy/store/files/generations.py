"""Generations of merged files, and the one pointer that says which of them counts.

    generations/current.json               the pointer: names one generation
    generations/<name>/generation.json     what the generation consists of, and what it replaces
    generations/<name>/<table>/0000.parquet

A generation is never changed. Whoever merges, repairs or drops rows of merged files writes a new
one and then moves the pointer, on condition that it still is as it was read. Files that the
pointer's generation does not name do not count, and are deleted later.

Version 4 of the tables had `compact.json` instead, with merged files in `compacted/` and in the
tables' folders (`symstudy.store.files.version_4`). Its results are read as a generation without a
name; the first generation that is written takes its place.
"""

import contextlib
import re
import time
import uuid
from collections.abc import Callable, Iterable
from typing import TypeVar

from symstudy.errors import StoreError
from symstudy.store.files.conditional import Seen, read_seen, write_if_unchanged
from symstudy.store.files.folder import StudyFolder
from symstudy.store.files.parts import Generation, Part, from_json, sealed, to_json, unsealed

__all__ = [
    "ATTEMPTS",
    "CONTENTS",
    "COPY",
    "GENERATIONS",
    "NAME",
    "OLD_MANIFEST",
    "POINTER",
    "DamagedGenerationError",
    "damaged_error",
    "move_pointer",
    "next_name",
    "parse_generation",
    "parse_pointer",
    "read_again",
    "read_generation",
    "read_pointer",
    "to_change",
    "write_generation",
]

GENERATIONS = "generations"
POINTER = (GENERATIONS, "current.json")
CONTENTS = "generation.json"
COPY = "generation.copy.json"
"""The same, for the day that `generation.json` is damaged."""
OLD_MANIFEST = "compact.json"
"""Of version 4 of the tables."""
ATTEMPTS = 50
"""Maximum number of reads while files keep changing."""
NAME = re.compile(r"[0-9]{6}-[0-9a-f]{8}")

T = TypeVar("T")


class DamagedGenerationError(StoreError):
    """The pointer, or what it points to, is not as it was written."""


def read_pointer(folder: StudyFolder) -> bytes:
    """Return what says which merged files count: it changes when other ones do.

    Raises:
        StoreError: If it cannot be read.
    """
    for place in (POINTER, (OLD_MANIFEST,)):
        if folder.has_file(*place):
            return folder.read_bytes(*place)
    return b""


def read_generation(folder: StudyFolder) -> Generation:
    """Return the generation that counts now.

    Raises:
        DamagedGenerationError: If the pointer or its generation is damaged.
        StoreError: If they cannot be read.
    """
    for _ in range(ATTEMPTS):
        pointer = read_pointer(folder)
        try:
            return follow(folder, pointer)
        except FileNotFoundError:
            # Another generation counts by now, and this one was deleted; or it is lost.
            if read_pointer(folder) == pointer:
                break
    raise damaged_error(folder, folder.join(*POINTER), "but its generation is gone")


def to_change(folder: StudyFolder) -> Generation:
    """Return the generation that counts, with the pointer: for whoever holds the lock and moves it.

    Raises:
        DamagedGenerationError: If the pointer or its generation is damaged.
        StoreError: If they cannot be read.
    """
    seen = read_seen(folder, *POINTER)
    generation = read_generation(folder)
    if seen is not None and generation.name != parse_pointer(folder, seen.content):
        raise StoreError(
            f"one process at a time must change {folder.join(*POINTER)!r}, but another has just "
            "done so. Run the command again."
        )
    return generation._replace(pointer=seen)


def follow(folder: StudyFolder, pointer: bytes) -> Generation:
    """Return the generation that the content of a pointer names.

    Raises:
        FileNotFoundError: If it is not there.
        DamagedGenerationError: If it is damaged.
    """
    if not pointer:
        return Generation()
    if not folder.has_file(*POINTER):
        from symstudy.store.files.version_4 import read_manifest

        return read_manifest(folder)
    name = parse_pointer(folder, pointer)
    if not name:
        return Generation()
    if not any(folder.has_file(GENERATIONS, name, file) for file in (CONTENTS, COPY)):
        raise FileNotFoundError
    return parse_generation(folder, name)


def parse_pointer(folder: StudyFolder, content: bytes) -> str:
    """Return the name of the generation that a pointer names; empty for none.

    Raises:
        DamagedGenerationError: If it is not as it was written.
    """
    values = unsealed(content)
    name = values.get("generation") if values else None
    if not isinstance(name, str) or (name and not NAME.fullmatch(name)):
        raise damaged_error(folder, folder.join(*POINTER), "but it is damaged")
    return name


def parse_generation(folder: StudyFolder, name: str) -> Generation:
    """Return what a generation consists of, from its file or from the copy of that.

    Raises:
        DamagedGenerationError: If neither is as it was written.
    """
    for file in (CONTENTS, COPY):
        with contextlib.suppress(ValueError, StoreError):
            return from_json(name, folder.read_bytes(GENERATIONS, name, file))
    raise damaged_error(folder, folder.join(GENERATIONS, name, CONTENTS), "but it is damaged")


def next_name(generation: Generation) -> str:
    """Return the name of a generation to be written after another."""
    number = int(generation.name[:6]) + 1 if generation.name else 1
    return f"{number:06d}-{uuid.uuid4().hex[:8]}"


def write_generation(
    folder: StudyFolder, before: Generation, parts: Iterable[Part], *, at: float, name: str = ""
) -> Generation:
    """Make other merged files count: write what they are, then move the pointer.

    Args:
        folder: Folder of the study's results.
        before: The generation that counts, as `to_change` returned it.
        parts: The merged files that are to count; they are written.
        at: The time, in seconds since 1970.
        name: Name of the new generation, if it has files of its own.

    Raises:
        StoreError: If it cannot be written, or another process has moved the pointer meanwhile.
    """
    name = name or next_name(before)
    kept = tuple(parts)
    current = {path for part in kept for path in part.files.values()}
    gone = [path for part in before.parts for path in part.files.values()]
    if before.name:
        gone.extend(f"{GENERATIONS}/{before.name}/{file}" for file in (CONTENTS, COPY))
    retired = {path: at for path in gone if path not in current}
    retired |= {path: since for path, since in before.retired.items() if folder.has_file(path)}
    after = Generation(name, kept, retired)
    for file in (COPY, CONTENTS):
        folder.write_bytes(to_json(name, after), GENERATIONS, name, file)
    pointer = move_pointer(folder, name, before.pointer)
    if before.pointer is None:
        # What it says is in the generation now.
        folder.delete(OLD_MANIFEST)
    return after._replace(pointer=pointer)


def move_pointer(folder: StudyFolder, name: str, seen: Seen | None) -> Seen:
    """Make the pointer name a generation, unless another process has changed it.

    Raises:
        StoreError: If somebody has, or it cannot be written.
    """
    # Never the same content twice: a pointer that was moved and moved back is another one.
    content = sealed({"generation": name, "write": uuid.uuid4().hex})
    moved = write_if_unchanged(folder, content, seen, *POINTER)
    if moved is None:
        raise StoreError(
            f"one process at a time must change {folder.join(*POINTER)!r}, but another has just "
            "done so. Nothing is lost; run the command again."
        )
    return moved


def damaged_error(folder: StudyFolder, path: str, how: str) -> DamagedGenerationError:
    """Return the error that what says which files count is damaged."""
    return DamagedGenerationError(
        f"{path!r} must be as symstudy wrote it, {how}. Run the study again: it is set aside, and "
        f"what counts is found from the files of {folder.path!r}."
    )


def read_again(read: Callable[[], T]) -> T:
    """Return what `read` returns; it is called again if files vanish while it reads.

    Args:
        read: Lists files and reads them.

    Raises:
        StoreError: If they vanish again and again.
    """
    for attempt in range(ATTEMPTS):
        try:
            return read()
        except FileNotFoundError:
            time.sleep(0.01 * min(attempt, 10))
    raise StoreError("the results must hold still for a moment, but their files keep changing.")
