"""Writes on condition: a file is made only if it is not there, replaced only if it is unchanged.

Who drives a study, who merges its files, and which generation of merged files counts are decided by
such writes, so that two processes can never both have their way, however slow a write is. An object
store decides by the version of the object (`If-None-Match`, `If-Match`); on a disk the comparison
and the rename are made under a lock of the operating system.

Contents must be unique (hold a random token or a count): a write whose answer was lost is known by
reading its content back.
"""

import hashlib
import os
from collections.abc import Callable
from typing import NamedTuple

from symstudy.errors import StoreError
from symstudy.store.files import disk
from symstudy.store.files.access import not_readable, reason_of
from symstudy.store.files.folder import StudyFolder
from symstudy.store.files.local_lock import locked_file
from symstudy.store.files.objects import Place, open_objects, plain_place

__all__ = [
    "Seen",
    "create_if_absent",
    "delete_if_unchanged",
    "forget_lock",
    "read_seen",
    "replace_if_unchanged",
    "write_if_unchanged",
]

LOCK = ("control", "conditional.lock")
PATIENCE_S = 60.0
"""Longest wait for another process that compares and renames, which takes milliseconds."""


class Seen(NamedTuple):
    """A file as it was read.

    Attributes:
        content: Its bytes; empty if it was given up.
        version: What its store calls this state of it; a hash on a disk.
    """

    content: bytes
    version: tuple[str | None, str | None]


def read_seen(folder: StudyFolder, *parts: str) -> Seen | None:
    """Return a file with its version; None if there is none.

    Raises:
        StoreError: If it cannot be read.
    """
    folder.refuse_link(folder.join(*parts))
    place = place_of(folder, parts)
    if is_disk(place):
        return read_disk(place.path)
    return read_object(folder, place)


def create_if_absent(folder: StudyFolder, content: bytes, *parts: str) -> Seen | None:
    """Write a file that is not there; return None, and write nothing, if it is.

    Args:
        folder: Folder of the study's results.
        content: Bytes that no other process writes.
        parts: Path in the folder.

    Raises:
        StoreError: If it cannot be written.
    """
    return write_if_unchanged(folder, content, None, *parts)


def replace_if_unchanged(
    folder: StudyFolder, content: bytes, seen: Seen, *parts: str
) -> Seen | None:
    """Replace a file that is still as it was `seen`; return None, and write nothing, if not.

    Args:
        folder: Folder of the study's results.
        content: Bytes that no other process writes.
        seen: The file as it was read.
        parts: Path in the folder.

    Raises:
        StoreError: If it cannot be written.
    """
    return write_if_unchanged(folder, content, seen, *parts)


def write_if_unchanged(
    folder: StudyFolder, content: bytes, seen: Seen | None, *parts: str
) -> Seen | None:
    """Do as `create_if_absent` where nothing was seen, else as `replace_if_unchanged`.

    Raises:
        StoreError: If it cannot be written.
    """
    place = place_of(folder, parts)
    if not is_disk(place):
        return write_object(folder, place, content, seen)
    temporary = f"{parts[-1]}.{os.urandom(8).hex()}.tmp"
    prepared = place_of(folder, (*parts[:-1], temporary)).path

    def publish() -> Seen | None:
        if read_disk(place.path) != seen:
            return None
        disk.rename(prepared, place.path)
        return Seen(content, version_of(content))

    return change_disk(folder, place.path, publish, prepared, content)


def delete_if_unchanged(folder: StudyFolder, seen: Seen, *parts: str) -> bool:
    """Delete a file that is still as it was `seen`; return whether it was.

    Object stores cannot delete on condition: there it is replaced by an empty one.

    Raises:
        StoreError: If it cannot be deleted.
    """
    place = place_of(folder, parts)
    if not is_disk(place):
        return write_object(folder, place, b"", seen) is not None

    def delete() -> Seen | None:
        if read_disk(place.path) != seen:
            return None
        disk.delete(place.path)
        return seen

    return change_disk(folder, place.path, delete) is not None


def forget_lock(folder: StudyFolder) -> None:
    """Delete the lock's own file: nothing is left of a study that never began."""
    place = place_of(folder, LOCK)
    if is_disk(place):
        change_disk(folder, place.path, lambda: disk.delete(place.path))


def change_disk(
    folder: StudyFolder,
    target: str,
    change: Callable[[], Seen | None],
    prepared: str = "",
    content: bytes = b"",
) -> Seen | None:
    """Make a change under the lock of the study's folder; `content` is written before it.

    Raises:
        StoreError: If it cannot be made.
    """
    folder.refuse_link(target)
    folder.refuse_link(folder.join(*LOCK))
    lock = place_of(folder, LOCK).path
    try:
        for path in (target, lock):
            disk.make_folder(path.rsplit("/", 1)[0])
        if prepared:
            disk.write_new(prepared, content)
        try:
            with locked_file(lock, patience_s=PATIENCE_S):
                return change()
        finally:
            if prepared:
                disk.delete(prepared)
    except OSError as error:
        raise unwritable(folder, target, reason_of(error)) from error


def unwritable(folder: StudyFolder, path: str, reason: str) -> StoreError:
    """Return the error that a file cannot be written."""
    return StoreError(
        f"the results must be writable, but {path!r} is not: {reason.rstrip('.')}. "
        f"{folder.remedy}, or name another place with --results."
    )


def place_of(folder: StudyFolder, parts: tuple[str, ...]) -> Place:
    """Return where a file of the folder really is."""
    return plain_place(folder.filesystem, folder.join(*parts))


def is_disk(place: Place) -> bool:
    """Return whether a place is on a local or mounted disk."""
    return bool(place.filesystem.type_name == "local")


def version_of(content: bytes) -> tuple[str, None]:
    """Return what a file of this content on a disk is known by."""
    return hashlib.blake2b(content, digest_size=16).hexdigest(), None


def read_disk(path: str) -> Seen | None:
    """Return a file on a disk; None if there is none.

    Raises:
        StoreError: If it cannot be read.
    """
    try:
        with open(path, "rb") as file:  # noqa: PTH123  # a string
            content = file.read()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise not_readable(path, error) from error
    return Seen(content, version_of(content))


def read_object(folder: StudyFolder, place: Place) -> Seen | None:
    """Return an object; None if there is none.

    Raises:
        StoreError: If it cannot be read.
    """
    import obstore
    from obstore.exceptions import BaseError, NotFoundError

    objects = open_objects(place)
    try:
        found = obstore.get(objects.store, objects.key)
        content = bytes(found.bytes())
    except (FileNotFoundError, NotFoundError):
        return None
    except (BaseError, OSError) as error:
        raise StoreError(
            f"the results must be readable, but {place.path!r} is not: "
            f"{first_line(error).rstrip(': ')}. {folder.remedy}, or name another place with "
            "--results."
        ) from error
    return Seen(content, (found.meta.get("e_tag"), found.meta.get("version")))


def write_object(
    folder: StudyFolder, place: Place, content: bytes, seen: Seen | None
) -> Seen | None:
    """Write an object if it is as it was seen; return None if it is not.

    Raises:
        StoreError: If it cannot be written.
    """
    import obstore
    from obstore.exceptions import (
        AlreadyExistsError,
        BaseError,
        NotFoundError,
        PreconditionError,
    )

    objects = open_objects(place)
    names = ("e_tag", "version")
    condition = {} if seen is None else dict(zip(names, seen.version, strict=True))
    mode = {name: value for name, value in condition.items() if value is not None}
    try:
        done = obstore.put(
            objects.store,
            objects.key,
            content,
            mode="create" if seen is None else mode,  # type: ignore[arg-type]  # both keys are optional
        )
    except (AlreadyExistsError, PreconditionError, NotFoundError, FileNotFoundError) as error:
        if seen is None and isinstance(error, NotFoundError | FileNotFoundError):
            # There is no such bucket.
            raise unwritable(folder, place.path, first_line(error)) from error
        # Either it has changed, or this very write had been made when its answer was lost.
        now = read_object(folder, place)
        return now if content and now is not None and now.content == content else None
    except (BaseError, OSError) as error:
        raise unwritable(folder, place.path, first_line(error)) from error
    return Seen(content, (done.get("e_tag"), done.get("version")))


def first_line(error: Exception) -> str:
    """Return the first line of an error's message: the others are of the HTTP client."""
    return (str(error).splitlines() or [type(error).__name__])[0]
