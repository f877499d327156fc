"""Saves all packs in training on a machine that is about to be taken away.

`python -m symstudy.launch.cluster.preemption` tells the workers and drivers of this user on this
machine to save the state of their packs, and returns when they have ended. It is what a Kubernetes
preStop hook, a spot notice or an administrator calls.
"""

import argparse
import contextlib
import itertools
import os
import signal
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import psutil

__all__ = ["Processes", "find_processes", "save_and_end"]

WORKER = "ray::PackTrial"
"""Title that Ray gives to worker processes that train."""

POLL_S = 0.1


class Processes(NamedTuple):
    """Identifiers of the processes of symstudy on this machine.

    Attributes:
        drivers: Identifiers of processes of `symstudy run`.
        workers: Identifiers of Ray workers that train packs.
    """

    drivers: list[int]
    workers: list[int]


def find_processes(processes: Iterable[psutil.Process] | None = None) -> Processes:
    """Return this user's drivers and workers.

    Args:
        processes: Processes to look among; all of this machine if None.
    """
    found = Processes([], [])
    for process in psutil.process_iter() if processes is None else processes:
        # A process may end while it is looked at, and those of others may not be looked at.
        with contextlib.suppress(psutil.Error):
            if process.uids().real != os.getuid() or process.pid == os.getpid():
                continue
            words = process.cmdline()
            if words and words[0].startswith(WORKER):
                found.workers.append(process.pid)
            elif is_driver(words):
                found.drivers.append(process.pid)
    return found


def is_driver(words: Sequence[str]) -> bool:
    """Return whether a command line is that of `symstudy run`, however it is spelled."""
    names = [Path(word).name for word in words[:4]]
    is_run = ("symstudy", "run") in itertools.pairwise(names)
    return is_run and not names[0].endswith("sh")


def save_and_end(seconds: float, processes: Sequence[psutil.Process] | None = None) -> Processes:
    """Tell every driver and worker here to save and end; return those that still run.

    A driver has all its workers save, wherever they are. Workers of drivers elsewhere are told
    themselves: their packs are trained on elsewhere.

    Args:
        seconds: How long to wait for them.
        processes: Processes to look among; all of this machine if None.
    """
    told = find_processes(processes)
    for pid in told.drivers:
        send(pid, signal.SIGUSR1)
    for pid in told.workers:
        send(pid, signal.SIGTERM)
    deadline = time.monotonic() + seconds
    while True:
        now = find_processes(processes)
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
    """Save all packs in training on this machine and print how many processes still run."""
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
