"""Whose a file is: what somebody else may change is neither run nor taken for a cache.

The administrator (root) counts as the user: root may do everything anyway. So does a group that
holds the user alone, which many systems give to each user and let write by default.
"""

import functools
import grp
import os
import pwd
import stat
import tempfile
from pathlib import Path

__all__ = [
    "make_own_folder",
    "others_in_tree",
    "own_temporary_folder",
    "trusted_owners",
    "user_name",
    "who_else_may_change",
]

ADMINISTRATOR = 0


def trusted_owners() -> frozenset[int]:
    """Return the numbers of the users whose files are as good as the user's own."""
    return frozenset((ADMINISTRATOR, os.geteuid()))


def who_else_may_change(path: Path) -> str:
    """Return who but the user may change a file or a folder, such as `it belongs to bob`.

    Of a link both it and what it leads to must be the user's.

    Args:
        path: It is there.

    Returns:
        A clause; empty if nobody may.

    Raises:
        OSError: If it is not there, or cannot be looked at.
    """
    for status in (path.lstat(), path.stat()):
        if status.st_uid not in trusted_owners():
            return f"it belongs to {user_name(status.st_uid)}"
    if status.st_mode & stat.S_IWOTH:
        return "everybody may write to it"
    if status.st_mode & stat.S_IWGRP and not is_private_group(status.st_gid, status.st_uid):
        return f"the group {group_name(status.st_gid)} may write to it"
    return ""


def others_in_tree(folder: Path) -> tuple[Path, str] | None:
    """Return the first place in a folder that somebody else may change, and who; None without one.

    Args:
        folder: It is there; it and everything below it is looked at.

    Raises:
        OSError: If something in it cannot be looked at.
    """
    for place, folders, files in os.walk(folder):
        for path in (Path(place), *(Path(place) / name for name in sorted((*folders, *files)))):
            if who := who_else_may_change(path):
                return path, who
    return None


def make_own_folder(folder: Path) -> str:
    """Make a folder that the user alone may enter, if it is not there.

    Returns:
        Why it must not be used, as a clause, since it was there and is not the user's own; empty if
        it may be.

    Raises:
        OSError: If it cannot be made.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        # Made by this very call, or not at all: a folder or a link that is there is looked at.
        folder.mkdir(mode=stat.S_IRWXU)
    except FileExistsError:
        if not folder.is_dir():
            return "it is no folder"
    return who_else_may_change(folder)


@functools.cache
def own_temporary_folder() -> Path:
    """Return a folder of the user's own in the temporary folder that all users share.

    It is the same for every process of the user. Where somebody else has put something in its
    place, it is a new one for this process alone.
    """
    place = Path(tempfile.gettempdir()) / f"symstudy-{os.geteuid()}"
    try:
        is_ours = not make_own_folder(place)
    except OSError:
        is_ours = False
    return place if is_ours else Path(tempfile.mkdtemp(prefix="symstudy-"))


def is_private_group(group: int, user: int) -> bool:
    """Return whether a group is that of one user alone, by whose name it goes."""
    try:
        found, name = grp.getgrgid(group), pwd.getpwuid(user).pw_name
    except KeyError:
        return False
    return found.gr_name == name and set(found.gr_mem) <= {name}


def user_name(user: int) -> str:
    """Return the name of a user, or what stands for it."""
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return f"user {user}"


def group_name(group: int) -> str:
    """Return the name of a group, or its number."""
    try:
        return grp.getgrgid(group).gr_name
    except KeyError:
        return str(group)
