"""File operations on a local or mounted disk, ordered so that they outlast a loss of power.

Every change that the store makes to a local folder is one of these functions, so that a test can
record them and replay each prefix of them (`tests/store/test_crashes.py`).
"""

import contextlib
import os
from pathlib import Path

__all__ = ["delete", "find_link", "make_folder", "rename", "sync_folder", "write_new"]


def write_new(path: str, content: bytes) -> None:
    """Write a new file and fsync it.

    Raises:
        OSError: If it cannot be written, or is there.
    """
    with Path(path).open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def rename(path: str, target: str) -> None:
    """Rename a file within its disk, over whatever has the new name, and fsync both folders.

    Raises:
        OSError: If it cannot be renamed.
    """
    Path(path).replace(target)
    folders = dict.fromkeys((os.path.dirname(target), os.path.dirname(path)))  # noqa: PTH120  # strings
    for folder in folders:
        sync_folder(folder)


def delete(path: str) -> None:
    """Delete a file, or the link of that name, if it is there.

    Raises:
        OSError: If it cannot be deleted.
    """
    Path(path).unlink(missing_ok=True)


def make_folder(path: str) -> None:
    """Make a folder and those above it; names of new ones outlast a loss of power.

    Raises:
        OSError: If it cannot be made.
    """
    place = Path(path)
    if place.is_dir():
        return
    make_folder(str(place.parent))
    place.mkdir(exist_ok=True)
    sync_folder(str(place.parent))


def sync_folder(path: str) -> None:
    """Fsync a directory: its entries then outlast a loss of power.

    Some network file systems have no such call; their servers decide.
    """
    with contextlib.suppress(OSError):
        handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def find_link(root: str, path: str) -> str | None:
    """Return the first symbolic link on the way from `root` down to `path`, or None.

    Args:
        root: Folder that may be a link itself.
        path: A path below it.
    """
    at = root
    for name in path.removeprefix(root).strip("/").split("/"):
        at = f"{at}/{name}"
        if os.path.islink(at):  # noqa: PTH114  # strings: called for every file
            return at
    return None
