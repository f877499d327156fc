"""One run of a program from its start to its end: attempts, reports, faults, stops."""

import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from symstudy.errors import ChangedError, LaunchError
from symstudy.outcomes import Outcome
from symstudy.programs.faults import LONGEST_REASON, Fault, fault_of
from symstudy.programs.folders import SPOILT, Attempt, ProgramFolder, report_line
from symstudy.programs.job import VARIABLE, ProgramJob
from symstudy.programs.metrics import MetricError
from symstudy.programs.process import ProgramProcess, end_marked
from symstudy.programs.reports import Metrics, ReportFile, Row, Rows
from symstudy.programs.stopping import RowRule
from symstudy.study.cell import Run
from symstudy.study.program import PYTHON, Program, fill_word
from symstudy.study.program_cells import nested

__all__ = ["ProgramEnd", "ProgramLaunch", "RunStopped", "Supervisor"]

SHORT_POLL_S, LONG_POLL_S = 0.02, 0.1
"""How often the reports are read: at the start of a run, and later."""
SIGNALLED_S = 3.0
"""How long a program that a signal has ended is not yet a failed run. Ray kills what a worker has
started before the worker, and Slurm signals both at once: within this time the worker is over, or
knows that the launch is to stop, and must not write that the run failed."""
SIGNALLED = {
    status
    for number in (signal.SIGTERM, signal.SIGKILL)
    for status in (-number, 128 + number)  # the second is what a shell makes of it
}
"""Statuses of programs that a signal has ended."""
GRACE_S = 10.0
"""How long a program may take to save and end once it is told to."""


class RunStopped(Exception):  # noqa: N818  # not an error: the run was told to stop
    """A run was ended on request and is not over; what it has saved is kept."""


class ProgramEnd(NamedTuple):
    """How a run of a program has ended.

    Attributes:
        outcome: Its outcome.
        reason: Why, where it is not done.
        traceback: What the program left of what went wrong; empty if nothing.
        rows: Its reports.
        metrics: Kinds and last values of its metrics.
        seconds: Wall time, that of the attempts whose reports are kept included.
    """

    outcome: Outcome
    reason: str
    traceback: str
    rows: list[Row]
    metrics: Metrics
    seconds: float


@dataclass(frozen=True, kw_only=True)
class ProgramLaunch:
    """What all runs of a launch have in common.

    Attributes:
        home: Folder of the study file, in which code and files are looked for.
        device: `cpu` or `cuda`.
        cpus: Cores of a run.
    """

    home: str
    device: str
    cpus: int


class Supervisor:
    """Runs one run of a program; see `run`."""

    def __init__(
        self,
        run: Run,
        folder: ProgramFolder,
        settings: ProgramLaunch,
        taken: Mapping[str, str],
        *,
        stop: Callable[[], str] = lambda: "",
        progress: Callable[[int], None] = lambda _: None,
        rule: RowRule | None = None,
    ) -> None:
        """Prepare.

        Args:
            run: The run.
            folder: Its folder.
            settings: What all runs of the launch have in common.
            taken: What each name stands for that no metric may have.
            stop: Called often; returns why the run is to stop, empty while it is not.
            progress: Called with the last step that was reported.
            rule: What gives the run up early, if anything does.
        """
        self.planned = run
        self.folder = folder
        self.settings = settings
        self.taken = taken
        self.stop = stop
        self.progress = progress
        self.rule = rule
        self.program: Program = run.cell.program

    def run(self) -> ProgramEnd:
        """Run the program to its end, again where it fails as often as `retries` says.

        Raises:
            RunStopped: If it was told to stop.
            LaunchError: If its files are not on this machine.
            OSError: If its folder cannot be read or written.
        """
        rows = Rows(self.taken)
        about = self.folder.read_end(rows)
        if about is not None:
            return ended(
                Outcome[about["outcome"]], about["reason"], about["traceback"], rows, about
            )
        self.check_source()
        for left in reversed(range(self.program.retries + 1)):
            rows = Rows(self.taken)
            begun = time.time()
            attempt = self.folder.begin(rows)
            base = rows.elapsed
            fault = self.attempt(attempt, rows, begun)
            if fault is None or not fault.outcome.is_failed or not left:
                break
        found = fault or Fault(Outcome.DONE, "", "")
        about = {
            "outcome": found.outcome.name,
            "reason": found.reason,
            "traceback": found.traceback,
            "seconds": base + time.time() - begun,
        }
        end = ended(found.outcome, found.reason, found.traceback, rows, about)
        try:
            self.write_end(about, attempt, rows)
        except SPOILT:
            self.folder.set_aside()
            self.write_end(about, attempt, rows)
        return end

    def check_source(self) -> None:
        """Check that the code is what the study was planned with.

        Raises:
            ChangedError: If it has changed since.
        """
        if self.program.has_changed(Path(self.settings.home)):
            what = self.program.entry or " ".join(self.program.command)
            raise ChangedError(
                f"the code of a program must be as it was when the study was planned, but that of "
                f"{what!r} has changed since. Put it back as it was, or type `symstudy run STUDY "
                "--extend`: the changed code makes runs of their own."
            )

    def write_end(self, about: dict[str, Any], attempt: Attempt, rows: Rows) -> None:
        """Write what counts of the reports in the place of all of them, and how the run ended."""
        attempt.reports.write_bytes(b"".join(report_line(*row) for row in rows.rows))
        self.folder.write_end(about, attempt.reports)

    def attempt(self, attempt: Attempt, rows: Rows, begun: float) -> Fault | None:
        """Run the program once; return why it has failed or was given up, None if it is done.

        Raises:
            RunStopped: If it was told to stop.
            LaunchError: If its files are not on this machine.
        """
        job = self.job(attempt, rows, begun)
        variables = self.variables(job)
        if job.path.exists():
            # An attempt before may have lost its worker.
            end_marked(f"{VARIABLE}={variables[VARIABLE]}")
        job.write()
        file = ReportFile(attempt.reports, attempt.start)
        process = ProgramProcess(self.command(), self.folder.path, variables)
        try:
            return self.watch(process, file, rows, job)
        except MetricError as error:
            process.end()
            return Fault(Outcome.ERROR, f"MetricError: {error}"[:LONGEST_REASON], process.output)
        except SPOILT as error:
            process.end()
            self.folder.set_aside()
            why = f"a program must leave the file of its reports a file, but {error}"
            return Fault(Outcome.ERROR, why[:LONGEST_REASON], process.output)
        finally:
            process.end()

    def watch(
        self, process: ProgramProcess, file: ReportFile, rows: Rows, job: ProgramJob
    ) -> Fault | None:
        """Read the reports of a process until it ends; see `attempt`.

        Raises:
            MetricError: If it reports what it cannot.
            RunStopped: If it was told to stop.
        """
        heard = started = time.monotonic()
        while True:
            code = process.poll()
            if self.read(file, rows, job):
                heard = time.monotonic()
                if self.rule is not None and (why := self.rule.stops(rows.rows)):
                    self.tell_to_stop(process)
                    return Fault(Outcome.STOPPED, why, "")
            if code is not None:
                process.end()
                self.read(file, rows, job)
                if self.is_interrupted(code, rows):
                    raise RunStopped
                return self.verdict(code, process, file, rows)
            if self.stop():
                self.tell_to_stop(process)
                raise RunStopped
            now = time.monotonic()
            if self.program.timeout and now - heard > self.program.timeout:
                process.dump()
                process.end()
                reason = (
                    f"no report came for {self.program.timeout:g} s, which program.timeout allows; "
                    "see where it was with: symstudy runs --traceback"
                )
                return Fault(Outcome.ERROR, reason, process.output)
            time.sleep(SHORT_POLL_S if now - started < 2.0 else LONG_POLL_S)

    def read(self, file: ReportFile, rows: Rows, job: ProgramJob) -> bool:
        """Add the reports that have come since; return whether there were any.

        Raises:
            MetricError: If one is none.
        """
        lines = file.lines()
        for line in lines:
            rows.add(line, job.elapsed + time.time() - job.began)
        if lines and rows.rows:
            self.progress(rows.last_step)
        return bool(lines)

    def tell_to_stop(self, process: ProgramProcess) -> None:
        """Send SIGTERM, and wait for the program to save and end."""
        process.signal(signal.SIGTERM)
        process.wait(GRACE_S)

    def is_interrupted(self, code: int, rows: Rows) -> bool:
        """Return whether what ended a process is that the launch is to stop."""
        if code == 0 and rows.has_ended and not rows.was_signalled:
            return False
        is_signalled = rows.was_signalled or code in SIGNALLED
        deadline = time.monotonic() + (SIGNALLED_S if is_signalled else 0.0)
        while not (is_stopped := bool(self.stop())) and time.monotonic() < deadline:
            time.sleep(LONG_POLL_S)
        return is_stopped

    def verdict(
        self, code: int, process: ProgramProcess, file: ReportFile, rows: Rows
    ) -> Fault | None:
        """Return why a process that has ended with status `code` has failed; None if it is done.

        Raises:
            MetricError: If a metric changes its type.
        """
        error = self.folder.read_error()
        if code != 0:
            return fault_of(code, error, process.output)
        if rows.was_signalled:
            reason = (
                "a program must end by itself, but something other than symstudy sent it SIGTERM, "
                f"and it returned after step {rows.last_step}; run it again with: symstudy run "
                "STUDY --retry"
            )
            return Fault(Outcome.ERROR, reason, process.output)
        if file.partial.strip():
            reason = f"the last report must end its line, but is {file.partial[:80]!r}"
            return Fault(Outcome.ERROR, reason, process.output)
        if self.program.entry and not rows.has_ended:
            reason = (
                "the function must return, but its process ended with status 0 before that, as "
                "os._exit(0) does"
            )
            return Fault(Outcome.ERROR, reason, process.output)
        if not rows.rows:
            whose = "run" if self.program.entry else "symstudy"
            reason = (
                "a program must report at least once, but this one never did; call "
                f"{whose}.report(step, loss=...)"
            )
            return Fault(Outcome.ERROR, reason, process.output)
        rows.metrics()
        return None

    def job(self, attempt: Attempt, rows: Rows, begun: float) -> ProgramJob:
        """Return what the program is told."""
        return ProgramJob(
            run_id=self.planned.run_id,
            seed=self.planned.seed,
            config=nested(self.planned.cell.settings.arguments),
            device=self.settings.device,
            folder=str(self.folder.path),
            reports=str(attempt.reports),
            state=str(self.folder.state),
            error=str(self.folder.error),
            entry=self.program.entry,
            began=begun,
            elapsed=rows.elapsed,
            last_step=rows.last_step,
            taken=dict(self.taken),
        )

    def variables(self, job: ProgramJob) -> dict[str, str]:
        """Return the environment of the program."""
        cores = str(self.settings.cpus)
        found = {
            **os.environ,
            "OMP_NUM_THREADS": cores,
            "MKL_NUM_THREADS": cores,
            "PYTHONFAULTHANDLER": "1",
            "PYTHONUNBUFFERED": "1",
        }
        places = [self.settings.home]
        if self.program.entry or self.program.command[0] in PYTHON:
            # The same Python: what this process can import, the program can.
            places += [place for place in sys.path if place]
        elif os.environ.get("PYTHONPATH"):
            places.append(os.environ["PYTHONPATH"])
        found["PYTHONPATH"] = os.pathsep.join(dict.fromkeys(places))
        if self.settings.device == "cpu":
            found["CUDA_VISIBLE_DEVICES"] = ""
        return {**found, **self.program.variables, **job.variables()}

    def command(self) -> list[str]:
        """Return the words that start the program.

        Raises:
            LaunchError: If a file that they name is not on this machine.
        """
        if self.program.entry:
            return [sys.executable, "-m", "symstudy.programs.child"]
        values = {
            **self.planned.cell.settings.arguments,
            "seed": self.planned.seed,
            "device": self.settings.device,
            "folder": str(self.folder.path),
        }
        first, *rest = self.program.command
        words = [self.located(fill_word(word, values)) for word in rest]
        if first in PYTHON:
            return [sys.executable, *words]
        path = self.located(first)
        if shutil.which(path) is None:
            raise LaunchError(
                f"program.command must begin with a program of this machine, but {first!r} is not "
                "here. Install it on every node, or type its path."
            )
        return [path, *words]

    def located(self, word: str) -> str:
        """Return the path of the file that a word names; the word itself where it names none."""
        if not word or word.startswith("-") or "\0" in word or len(word) > 1000:
            return word
        names = [word, Path(word).name] if word.endswith(".py") else [word]
        for name in names:
            for place in (self.settings.home, *sys.path):
                path = Path(place or ".", name)
                if (place or name != word) and path.is_file():
                    return str(path.absolute())
        return word


def ended(
    outcome: Outcome, reason: str, traceback: str, rows: Rows, about: Mapping[str, Any]
) -> ProgramEnd:
    """Return how a run has ended; a failed one has no last values."""
    try:
        metrics = rows.metrics()
    except MetricError:
        # Rows before the change of type say nothing that holds of the run.
        rows.rows.clear()
        metrics = Metrics({}, {})
    if outcome.is_failed:
        metrics = metrics._replace(last={})
    return ProgramEnd(outcome, reason, traceback, rows.rows, metrics, float(about["seconds"]))
