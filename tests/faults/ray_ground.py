"""A study trained by real drivers on a Ray of their own, and the processes that belong to them.

Only descendants of a driver that was started here are ever killed: others may run Ray too.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ground import Ground

from symstudy.errors import StoreError
from symstudy.launch import read_lease, read_progress
from symstudy.store import verify
from symstudy.store.files.folder import StudyFolder
from symstudy.store.files.locations import find_studies
from symstudy.study import load_study

__all__ = [
    "DONE",
    "PATIENCE_S",
    "POLL_S",
    "REFUSED",
    "STOPPED",
    "Driver",
    "Process",
    "RayGround",
    "send",
]

STUDY = Path(__file__).parents[2] / "studies" / "thousands.toml"
DONE, REFUSED, STOPPED = 0, 2, 130
"""Exit statuses of the program."""
PATIENCE_S = 90.0
"""A driver may take so long to begin, to end once it has to, and a command may take so long."""
POLL_S = 0.05


class Process(NamedTuple):
    """A process.

    Attributes:
        pid: Its number.
        name: The first word of its command line, without folders.
    """

    pid: int
    name: str


def descendants(ancestor: int) -> Iterator[Process]:
    """Yield the processes below `ancestor` that have not ended, parents first."""
    parents: dict[int, list[Process]] = {}
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            state, parent = (folder / "stat").read_text().rpartition(")")[2].split()[:2]
            words = (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue
        if state != "Z":
            process = Process(int(folder.name), Path(words[0]).name)
            parents.setdefault(int(parent), []).append(process)
    waiting = parents.get(ancestor, [])
    while waiting:
        process = waiting.pop(0)
        yield process
        waiting.extend(parents.get(process.pid, []))


class Driver:
    """A process of `symstudy run`.

    Attributes:
        process: The process.
    """

    def __init__(self, command: Sequence[str], environment: dict[str, str]) -> None:
        """Start it."""
        self.output = tempfile.TemporaryFile("w+")  # noqa: SIM115  # as long as the driver
        self.process = subprocess.Popen(
            command, stdout=self.output, stderr=subprocess.STDOUT, env=environment
        )

    @property
    def is_running(self) -> bool:
        """Whether it has not ended."""
        return self.process.poll() is None

    def below(self, name: str = "") -> list[int]:
        """Return the processes of its Ray whose names begin with `name`."""
        return [item.pid for item in descendants(self.process.pid) if item.name.startswith(name)]

    def workers(self) -> list[int]:
        """Return the processes that train."""
        return self.below("ray::PackTrial")

    def become(self, other: "Driver") -> None:
        """Stand for another process from now on."""
        self.output, self.process = other.output, other.process

    def wait(self, seconds: float = PATIENCE_S) -> int:
        """Return how it has ended: its status, or minus the signal that killed it.

        Args:
            seconds: It must not take longer.

        Raises:
            AssertionError: If it does not end.
        """
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise AssertionError(
                f"a driver must end, but this one hangs. It said:\n{self.said()}"
            ) from None

    def said(self) -> str:
        """Return all that it has written."""
        self.output.seek(0)
        return self.output.read()


class RayGround(Ground):
    """One study in one folder, trained again and again by drivers that may die."""

    def __init__(self, overrides: Sequence[str], results: Path, expected: dict[str, Any]) -> None:
        """Prepare.

        Args:
            overrides: Of the study.
            results: Where its folder is made.
            expected: Its rows when nothing disturbs it.
        """
        self.overrides = list(overrides)
        # Not below the results: the paths of Ray's sockets are short.
        self.environment = {**os.environ, "RAY_TMPDIR": str(results.parent)}
        super().__init__(load_study(STUDY, overrides=overrides), results, expected)

    def drive(self) -> Driver:
        """Start `symstudy run`."""
        words = ["run", str(STUDY), *self.overrides, "--results", str(self.results)]
        words += ["--launcher", "ray"]
        return Driver(self.program(*words), self.environment)

    def program(self, *words: str) -> list[str]:
        """Return the command line of the program."""
        return [sys.executable, "-m", "symstudy", *words]

    def call(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run the program from another process, on the results."""
        return subprocess.run(
            self.program(*words, str(self.place)),
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE_S,
            env=self.environment,
        )

    @property
    def place(self) -> Path:
        """The study's folder, as a path."""
        return self.results / self.study.name

    def found(self) -> StudyFolder | None:
        """Return the study's folder, if there is one yet."""
        try:
            folders = find_studies([str(self.place)])
        except StoreError:
            return None
        return folders[0]

    def await_training(self, driver: Driver) -> bool:
        """Wait until workers of `driver` train; return whether they do before it ends.

        Raises:
            AssertionError: If it does neither.
        """
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            if not driver.is_running:
                return False
            if self.is_training(driver):
                return True
            time.sleep(POLL_S)
        raise AssertionError(f"a driver must begin to train, but it said:\n{driver.said()}")

    def is_training(self, driver: Driver) -> bool:
        """Return whether `driver` has heard of progress of its workers."""
        return self.progress(driver) > 0.0

    def progress(self, driver: Driver) -> float:
        """Return the share of the study's optimiser steps that `driver` has seen taken."""
        folder = self.found()
        lease = None if folder is None else read_lease(folder)
        if folder is None or lease is None or lease.pid != driver.process.pid:
            return 0.0
        progress = read_progress(folder, lease.launch)
        total = sum(run.cell.train.steps for run in self.study.runs())
        return progress["run_steps"] / total if progress else 0.0

    def is_proven(self) -> bool:
        """Return whether every planned run is done, nothing twice."""
        return verify(self.folder).is_proven

    def prove(self) -> None:
        """Assert that the study is whole, also as the program itself says.

        Raises:
            AssertionError: If it is not.
        """
        self.check()
        said = self.call("verify", "--json")
        (row,) = json.loads(said.stdout)
        planned = len(self.study.runs())
        assert said.returncode == DONE, said
        assert (row["planned"], row["done"], row["proven"]) == (planned, planned, True), row
        wrong = ("twice", "missing", "failed", "damaged", "unplanned", "incomplete", "lost")
        assert not any(row[name] for name in wrong), row


def send(pids: Sequence[int], number: signal.Signals) -> bool:
    """Send a signal to processes; return whether one was there."""
    is_sent = False
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue
        is_sent = True
    return is_sent
