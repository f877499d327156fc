"""What a query may use of the machine, and what is said of one that needs more."""

import re
import threading

import duckdb

from symstudy.errors import QueryError

__all__ = [
    "CLOSED",
    "MEMORY",
    "TIMEOUT_S",
    "check_limits",
    "is_out_of_memory",
    "memory_error",
    "timeout_error",
]

MEMORY = "4GB"
"""Memory that a query may use, if no other limit is given."""
TIMEOUT_S = 600.0
"""Seconds that a query may take, if no other limit is given."""

CLOSED = (
    "set autoinstall_known_extensions = false",
    "set autoload_known_extensions = false",
    "set python_enable_replacements = false",
    "set temp_directory = ''",
    "set enable_external_access = false",
    "set lock_configuration = true",
)
"""What keeps queries to the tables they are given: no files, no network, no variables of Python."""


def check_limits(memory: str, timeout_s: float) -> int:
    """Return the limit of memory in bytes.

    Raises:
        QueryError: If one of the two is no limit.
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMGT])(i?)B\s*", memory, re.IGNORECASE)
    size = 0.0
    if found:
        base = 1024 if found[3] else 1000
        size = float(found[1]) * base ** (1 + "KMGT".index(found[2].upper()))
    if size < LEAST_BYTES:
        raise QueryError(
            f"the limit of memory must be 16MB at least, such as 500MB or 8GB, but got {memory!r}."
        )
    # A timer's longest wait.
    if not 0 < timeout_s <= threading.TIMEOUT_MAX:
        raise QueryError(
            f"the limit of time must be a number of seconds above 0, but got {timeout_s!r}."
        )
    return int(size)


LEAST_BYTES = 16_000_000
"""Less memory does not do for reading a file."""


def is_out_of_memory(error: Exception) -> bool:
    """Return whether DuckDB has given up for lack of memory."""
    return isinstance(error, duckdb.OutOfMemoryException) or "Out of Memory" in str(error)


def memory_error(query: str, memory: str) -> QueryError:
    """Return the error that says what a query needs more of."""
    return QueryError(
        f"a query must do with {memory} of memory, but {query!r} needs more. Ask for less, or "
        "allow more with --memory 16GB (Python: open_store(..., memory=...))."
    )


def timeout_error(query: str, timeout_s: float) -> QueryError:
    """Return the error of a query that takes too long."""
    return QueryError(
        f"a query must end within {timeout_s:g} s, but {query!r} did not. Ask for less, or allow "
        "more with --timeout SECONDS (Python: open_store(..., timeout_s=...))."
    )
