"""Runs a command that ends with its parent: `python -I -S guard.py PARENT COMMAND ...`.

A worker that is killed cannot end what it has started; on Linux the kernel does so for it. This
file imports nothing of symstudy: it is run by its path, before every program.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    """Become the command."""
    parent, *command = sys.argv[1:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != int(parent):
        sys.exit("the worker of this run has ended")
    try:
        os.execvp(command[0], command)  # noqa: S606  # no shell is meant
    except OSError as error:
        sys.exit(f"{command[0]!r} must be a program that is there, but: {error}")


if __name__ == "__main__":
    main()
