"""Every state in which a crash can leave a folder: prefixes of the recorded file operations.

As SQLite tests its journal: a writer's operations on files are recorded, and each prefix of them is
replayed into a copy of the folder as it was before. What was not fsynced may be lost: the content
of a file whose fsync is missing, and a name that was made, changed or deleted since the last fsync
of its directory; with the name of a folder all that is in it.
"""

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from unittest.mock import patch

from symstudy.store.files import disk

__all__ = ["Operation", "crashed_states", "recorded", "replay"]

NAMING = ("rename", "delete", "mkdir")
"""Kinds of operations that change the names in a directory."""


class Operation(NamedTuple):
    """A change of one file or directory.

    Attributes:
        kind: One of write, fsync, rename, delete, mkdir, fsync_folder.
        path: Path within the folder.
        target: New path, of a rename.
        content: Bytes, of a write.
    """

    kind: str
    path: str
    target: str = ""
    content: bytes = b""


@contextmanager
def recorded(root: Path) -> Iterator[list[Operation]]:
    """Record the changes that the store makes below `root`, at the calls of the operating system.

    Args:
        root: The folder.
    """
    found: list[Operation] = []
    plain = (os.fsync, Path.replace, Path.unlink, Path.mkdir, disk.write_new)

    def within(path: object) -> str:
        return str(Path(str(path)).relative_to(root))

    def fsync(handle: int) -> None:
        path = Path(f"/proc/self/fd/{handle}").readlink()
        kind = "fsync_folder" if path.is_dir() else "fsync"
        plain[0](handle)
        found.append(Operation(kind, within(path)))

    def replace(self: Path, target: str) -> Path:
        done = plain[1](self, target)
        found.append(Operation("rename", within(self), within(target)))
        return done

    def unlink(self: Path, *, missing_ok: bool = False) -> None:
        is_there = self.exists()
        plain[2](self, missing_ok=missing_ok)
        if is_there:
            found.append(Operation("delete", within(self)))

    def mkdir(
        self: Path,
        mode: int = 0o777,
        parents: bool = False,  # noqa: FBT001, FBT002  # as in Path
        exist_ok: bool = False,  # noqa: FBT001, FBT002  # as in Path
    ) -> None:
        is_new = not self.exists()
        plain[3](self, mode, parents, exist_ok)
        if is_new:
            found.append(Operation("mkdir", within(self)))

    def write_new(path: str, content: bytes) -> None:
        found.append(Operation("write", within(path), content=bytes(content)))
        plain[4](path, content)

    with (
        patch("os.fsync", fsync),
        patch.object(Path, "replace", replace),
        patch.object(Path, "unlink", unlink),
        patch.object(Path, "mkdir", mkdir),
        patch.object(disk, "write_new", write_new),
    ):
        yield found


class Lost(NamedTuple):
    """What a crash takes with it.

    Attributes:
        folder: Directory whose names since its last fsync are lost; empty for none.
    """

    folder: str


def crashed_states(operations: Sequence[Operation]) -> Iterator[tuple[int, Lost]]:
    """Yield the crashes: after how many operations, and what is lost."""
    for count in range(len(operations) + 1):
        yield count, Lost("")
        for folder in sorted(unsynced_folders(operations[:count])):
            yield count, Lost(folder)


def unsynced_folders(operations: Sequence[Operation]) -> set[str]:
    """Return the directories in which a name has changed since their last fsync."""
    changed: set[str] = set()
    for operation in operations:
        if operation.kind == "fsync_folder":
            changed.discard(operation.path)
        elif operation.kind in NAMING:
            changed.add(parent_of(operation.target or operation.path))
    return changed


def parent_of(path: str) -> str:
    """Return the directory of a path."""
    return str(Path(path).parent)


def replay(before: Path, target: Path, operations: Sequence[Operation], lost: Lost) -> None:
    """Make the folder that a crash leaves.

    Args:
        before: The folder as it was before the first operation.
        target: Where to make it; not there yet.
        operations: What was done until the crash.
        lost: What the crash took with it.
    """
    shutil.copytree(before, target)
    kept = without_lost_names(operations, lost)
    synced = {operation.path for operation in operations if operation.kind == "fsync"}
    steps: dict[str, Callable[[Operation], object]] = {
        # Without an fsync a name may outlast the content that it stands for.
        "write": lambda it: (target / it.path).write_bytes(
            it.content if it.path in synced else it.content[: len(it.content) // 2]
        ),
        "rename": lambda it: (target / it.path).replace(target / it.target),
        "delete": lambda it: (target / it.path).unlink(missing_ok=True),
        "mkdir": lambda it: (target / it.path).mkdir(parents=True, exist_ok=True),
    }
    for operation in kept:
        if operation.kind in steps:
            steps[operation.kind](operation)


def without_lost_names(operations: Sequence[Operation], lost: Lost) -> list[Operation]:
    """Return the operations without changes of names that were not fsynced in one directory.

    What is done in a folder whose own name is lost is lost with it.
    """
    if not lost.folder:
        return list(operations)
    last = max(
        (
            place
            for place, operation in enumerate(operations)
            if operation == Operation("fsync_folder", lost.folder)
        ),
        default=-1,
    )
    kept: list[Operation] = []
    gone: list[Path] = []
    for place, operation in enumerate(operations):
        named = operation.target or operation.path
        is_lost = place > last and operation.kind in NAMING and parent_of(named) == lost.folder
        if is_lost and operation.kind == "mkdir":
            gone.append(Path(operation.path))
        is_inside = any(folder in Path(named).parents for folder in gone)
        if not is_lost and not is_inside:
            kept.append(operation)
    return kept
