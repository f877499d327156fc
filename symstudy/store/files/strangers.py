"""What must not be in a study's folder: links, and what is neither a file nor a folder.

A link could have somebody who opens the results read, show or send a file of theirs; a pipe could
have them wait for ever. The folder itself may be a link, which the user has made.
"""

import os
import shlex
from pathlib import Path

from symstudy.errors import StoreError
from symstudy.ownership import trusted_owners, user_name

__all__ = ["TRACKING", "WORK", "link_error", "refuse_foreign_link", "refuse_strangers"]

TRACKING = "tracking"
"""Folder of what trackers write, which make links of their own; nothing in it is ever read."""
WORK = "work"
"""Folder of the folders of programs, which write what they like; only who runs them reads there."""


def refuse_strangers(root: str) -> None:
    """Raise if something in a study's folder is no plain file or folder.

    Args:
        root: Path of the folder, on a local disk.

    Raises:
        StoreError: If there is such a thing, or a folder cannot be listed.
    """
    waiting = [entry for entry in entries_of(root) if entry.name not in (TRACKING, WORK)]
    while waiting:
        entry = waiting.pop()
        refuse_stranger(entry)
        if entry.is_dir(follow_symlinks=False):
            waiting += entries_of(entry.path)


def entries_of(place: str) -> "list[os.DirEntry[str]]":
    """Return what a folder holds; nothing if it is gone by now.

    Raises:
        StoreError: If it cannot be listed.
    """
    try:
        with os.scandir(place) as entries:
            return list(entries)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise StoreError(
            f"the results must be readable, but {place!r} is not: {error.strerror}."
        ) from error


def refuse_foreign_link(path: str) -> None:
    """Raise if a study's folder, which was found and not named, is a link that another user made.

    Raises:
        StoreError: If so: it may lead to results of ours, which would be reported among theirs.
    """
    place = Path(path)
    if not place.is_symlink():
        return
    owner = place.lstat().st_uid
    if owner not in trusted_owners():
        raise StoreError(
            f"links among studies must be your own, but {path!r} is one that {user_name(owner)} "
            f"made, to {str(place.resolve())!r}. Name that folder itself if you mean it."
        )


def refuse_stranger(entry: "os.DirEntry[str]") -> None:
    """Raise if an entry of a folder is no plain file or folder.

    Raises:
        StoreError: If so.
    """
    if entry.is_file(follow_symlinks=False) or entry.is_dir(follow_symlinks=False):
        return
    if entry.is_symlink():
        raise link_error(entry.path)
    raise StoreError(
        f"files of a study must be files, but {entry.path!r} is a pipe, a socket or a device, and "
        f"is not opened. Remove it: rm {shlex.quote(entry.path)}"
    )


def link_error(path: str) -> StoreError:
    """Return the error that something in a study's folder is a link."""
    return StoreError(
        f"files of a study must be files, but {path!r} is a symbolic link, which is not "
        f"followed. Put the file itself there (cp -L), or remove it: rm {shlex.quote(path)}"
    )
