"""Reading files of results, and the errors of those that cannot be read or written."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from pyarrow import fs

from symstudy.errors import StoreError
from symstudy.store.files.sealed import ReadAt

__all__ = ["not_readable", "not_writable", "opened", "readable", "reason_of"]


def reason_of(error: OSError) -> str:
    """Return why a file operation failed, without its path; pyarrow's errors have the path in."""
    if error.errno and str(error.strerror).startswith("Failed "):
        return os.strerror(error.errno)
    return error.strerror or str(error)


def not_readable(path: str, error: OSError) -> StoreError:
    """Return the error that a file or folder of results cannot be read."""
    return StoreError(f"the results must be readable, but {path!r} is not: {reason_of(error)}.")


def not_writable(path: str, error: OSError, what: str = "is not") -> StoreError:
    """Return the error that a file of results cannot be written, deleted or renamed."""
    return StoreError(f"the results must be writable, but {path!r} {what}: {reason_of(error)}.")


@contextlib.contextmanager
def readable(path: str) -> Iterator[None]:
    """Tell a file that cannot be read from one that is damaged, and from one that is gone.

    Raises:
        FileNotFoundError: If there is no such file.
        StoreError: If the file system refuses it: by permissions, or as it is cut off.
    """
    try:
        yield
    except (FileNotFoundError, StoreError):
        raise
    except OSError as error:
        raise not_readable(path, error) from error


@contextlib.contextmanager
def opened(filesystem: fs.FileSystem | None, path: str) -> Iterator[tuple[ReadAt, int]]:
    """Open a file; give what reads some bytes from a place of it on, and its size in bytes.

    Args:
        filesystem: Where it is; None for this machine's own, which is asked without pyarrow.
        path: Of the file.

    Raises:
        FileNotFoundError: If there is no such file.
        StoreError: If it cannot be read, when it is opened or later.
    """
    with contextlib.ExitStack() as stack:
        with readable(path):
            if filesystem is None:
                handle = stack.enter_context(Path(path).open("rb", buffering=0)).fileno()
                size = os.fstat(handle).st_size
            else:
                file = stack.enter_context(filesystem.open_input_file(path))
                size = file.size()

        def read_at(at: int, count: int) -> bytes:
            with readable(path):
                return (
                    os.pread(handle, count, at) if filesystem is None else file.read_at(count, at)
                )

        yield read_at, size
