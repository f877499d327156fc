"""Errors of results that cannot be read or written."""

from symstudy.errors import StoreError

__all__ = ["not_readable", "not_writable", "reason_of"]


def reason_of(error: OSError) -> str:
    """Return why a file operation failed, without its path."""
    return error.strerror or str(error)


def not_readable(path: str, error: OSError) -> StoreError:
    """Return the error that a file or folder of results cannot be read."""
    return StoreError(f"the results must be readable, but {path!r} is not: {reason_of(error)}.")


def not_writable(path: str, error: OSError, what: str = "is not") -> StoreError:
    """Return the error that a file of results cannot be written, deleted or renamed."""
    return StoreError(f"the results must be writable, but {path!r} {what}: {reason_of(error)}.")
