"""A lock of the operating system on a file: it falls with the process that holds it."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from filelock import BaseFileLock, FileLock, SoftFileLock, Timeout

__all__ = ["locked_file"]

NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL}
POLL_S = 0.02


@contextmanager
def locked_file(path: str, *, patience_s: float) -> Iterator[None]:
    """Hold an exclusive lock on the file at `path`, which is made if it is not there.

    Where the file system has no locks, the lock is a file that is made and deleted; one that a dead
    process of this machine left is passed over.

    Args:
        path: The file; its folder is there.
        patience_s: Longest wait for another process, in seconds.

    Raises:
        TimeoutError: If another process does not give it up.
        OSError: If the file cannot be made.
    """
    lock = acquired(path, patience_s)
    try:
        yield
    finally:
        lock.release()


def acquired(path: str, patience_s: float) -> BaseFileLock:
    """Return the lock at `path`, held."""
    try:
        return acquire(FileLock(path, timeout=patience_s), path)
    except NotImplementedError:
        pass
    except OSError as error:
        if isinstance(error, TimeoutError) or error.errno not in NO_LOCKS:
            raise
    return acquire(SoftFileLock(f"{path}.soft", timeout=patience_s), path)


def acquire(lock: BaseFileLock, path: str) -> BaseFileLock:
    """Acquire a lock, and return it.

    Raises:
        TimeoutError: If another process does not give it up.
    """
    try:
        lock.acquire(poll_interval=POLL_S)
    except Timeout as error:
        raise TimeoutError(errno.ETIMEDOUT, "another process holds its lock", path) from error
    return lock
