"""One at a time: whoever merges, replaces or repairs files of results.

On a file system with locks the lock is the system's, and falls with its process. In an object store
it is an object with a token: two that come at the same moment find out by reading it back, and one
that was left by a dead process counts for an hour.
"""

import errno
import fcntl
import os
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pyarrow import fs

from symstudy.errors import StoreError
from symstudy.store.files.folder import StudyFolder

__all__ = ["locked"]

PLACE = ("control", "files.lock")
PATIENCE_S = 120.0
"""So long one waits for the other."""
STALE_S = 3600.0
"""A token that is older was left by a dead process."""
SETTLE_S = 0.5
"""Two that write their tokens at the same moment have both done so after this time."""
NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)


@contextmanager
def locked(
    folder: StudyFolder,
    *,
    patience_s: float = PATIENCE_S,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[None]:
    """Be the only one that replaces files of a study.

    Args:
        folder: Of the study.
        patience_s: How long to wait for another.
        sleep: Waits so many seconds.

    Raises:
        StoreError: If another does not end, or the results cannot be written.
    """
    if folder.is_local:
        handle = open_lock(folder)
        try:
            if system_locked(folder, handle, patience_s, sleep):
                yield
                return
        finally:
            # Closing it gives the lock up.
            os.close(handle)
    with token_held(folder, patience_s, sleep):
        yield


def open_lock(folder: StudyFolder) -> int:
    """Return the lock's file, opened; it is made once and never replaced.

    Raises:
        StoreError: If it cannot be made.
    """
    path = Path(folder.join(*PLACE))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return os.open(path, os.O_CREAT | os.O_RDWR, 0o666)
    except OSError as error:
        raise StoreError(
            f"the results must be writable, but {str(path)!r} is not: {error.strerror}."
        ) from error


def system_locked(
    folder: StudyFolder, handle: int, patience_s: float, sleep: Callable[[float], None]
) -> bool:
    """Take the system's lock on a file; return False where the file system has none.

    Raises:
        StoreError: If another process does not give it up.
    """
    waited = 0.0
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waited = wait(folder, waited, patience_s, sleep)
        except OSError as error:
            if error.errno in NO_LOCKS:
                return False
            raise
        else:
            return True


@contextmanager
def token_held(
    folder: StudyFolder, patience_s: float, sleep: Callable[[float], None]
) -> Iterator[None]:
    """Hold the token of an object store."""
    place = (PLACE[0], f"{PLACE[1]}.token")
    token = uuid.uuid4().hex.encode()
    waited = 0.0
    while True:
        info = folder.filesystem.get_file_info(folder.join(*place))
        is_held = info.type == fs.FileType.File and (
            info.mtime is None or time.time() - info.mtime.timestamp() < STALE_S
        )
        if not is_held:
            folder.write_bytes(token, *place)
            sleep(SETTLE_S)
            with suppress(StoreError):
                if folder.read_bytes(*place) == token:
                    break
        waited = wait(folder, waited, patience_s, sleep)
    try:
        yield
    finally:
        folder.delete(*place)


def wait(
    folder: StudyFolder, waited: float, patience_s: float, sleep: Callable[[float], None]
) -> float:
    """Wait a moment and return how long that makes.

    Raises:
        StoreError: If it has been long enough.
    """
    if waited >= patience_s:
        raise StoreError(
            f"one process at a time must merge or repair the files of {folder.path!r}, but another "
            f"has been at it for {waited:.0f} s. Wait for it, or end it; if it ran on another "
            f"machine and died, delete {folder.join(*PLACE)!r} and its token."
        )
    sleep(0.1)
    return waited + 0.1
