"""The end of the program: at once, after the functions that were registered with `atexit`.

Python takes apart every module of a process that ends, which takes a second where torch and DuckDB
are loaded, and libraries that still hold something print what they leak. The system frees it all.
"""

import atexit
import os
import sys

from symstudy.cli.app import main

__all__ = ["program"]

UNWRITTEN = 120
"""Exit status of Python where what it prints cannot be written at the end."""


def program() -> None:
    """Run the program in a process of its own, and end it with the program's exit status."""
    statuses = [1]
    # What is registered first is called last: after threads, trackers and Ray have ended.
    atexit.register(leave, statuses)
    try:
        main()
    except SystemExit as end:
        statuses[0] = status_of(end.code)
        raise
    statuses[0] = 0


def status_of(code: object) -> int:
    """Return the exit status that Python gives a process: 1 for a message, 0 for nothing."""
    if code is None:
        return 0
    return code if isinstance(code, int) else 1


def leave(statuses: list[int]) -> None:
    """End the process with the last of `statuses`, once what was printed is written."""
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except (OSError, ValueError):
        os._exit(UNWRITTEN)
    os._exit(statuses[-1])
