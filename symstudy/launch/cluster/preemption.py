"""Saving everything on a machine that is about to be taken away.

`python -m symstudy.launch.cluster.preemption` tells the workers and drivers of this user on this
machine to save the state of their packs, and returns when they have ended. It is what a Kubernetes
preStop hook, a spot notice or an administrator calls; Linux only, since it reads /proc.
"""

import argparse
import contextlib
import itertools
import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

__all__ = ["Processes", "find_processes", "save_and_end"]

WORKER = "ray::PackTrial"
"""How Ray titles the processes that train."""

POLL_S = 0.1


class Processes(NamedTuple):
    """What runs here.

    Attributes:
        drivers: Processes of `symstudy run`.
        workers: Processes that train packs.
    """

    drivers: list[int]
    workers: list[int]


def find_processes(proc: Path = Path("/proc")) -> Processes:
    """Return this user's drivers and workers."""
    found = Processes([], [])
    for folder in proc.iterdir():
        if not folder.name.isdigit():
            continue
        # A process may end while it is looked at, and others' are none of our business.
        with contextlib.suppress(OSError):
            if folder.stat().st_uid != os.getuid() or int(folder.name) == os.getpid():
                continue
            words = (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")
            if words[0].startswith(WORKER):
                found.workers.append(int(folder.name))
            elif is_driver(words):
                found.drivers.append(int(folder.name))
    return found


def is_driver(words: Sequence[str]) -> bool:
    """Return whether a command line is that of `symstudy run`, however it is spelled."""
    names = [Path(word).name for word in words[:4]]
    return ("symstudy", "run") in itertools.pairwise(names) and not names[0].endswith("sh")


def save_and_end(seconds: float, proc: Path = Path("/proc")) -> Processes:
    """Ask every driver and worker here to save and end; return those that are still there.

    A driver has all its workers save, wherever they are. Workers of drivers elsewhere are told
    themselves: their packs are trained on elsewhere.

    Args:
        seconds: How long to wait for them.
        proc: Where the processes are listed.
    """
    told = find_processes(proc)
    for pid in told.drivers:
        send(pid, signal.SIGUSR1)
    for pid in told.workers:
        send(pid, signal.SIGTERM)
    deadline = time.monotonic() + seconds
    while True:
        now = find_processes(proc)
        left = Processes(
            [pid for pid in told.drivers if pid in now.drivers],
            [pid for pid in told.workers if pid in now.workers],
        )
        if not (left.drivers or left.workers) or time.monotonic() >= deadline:
            return left
        time.sleep(POLL_S)


def send(pid: int, number: signal.Signals) -> None:
    """Send a signal to a process that may have ended by now."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def main() -> None:
    """Save everything here and say what became of it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--seconds", type=float, default=30.0, help="How long to wait for them to end."
    )
    seconds = parser.parse_args().seconds
    before = find_processes()
    left = save_and_end(seconds)
    print(  # noqa: T201  # a program of its own
        f"asked {len(before.drivers)} drivers and {len(before.workers)} workers to save; "
        f"{len(left.drivers) + len(left.workers)} still run"
    )


if __name__ == "__main__":
    main()
