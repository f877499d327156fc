"""The run as a program sees it: its hyperparameters, and how it reports, saves and is stopped."""

import contextlib
import json
import os
import signal
import threading
import time
from functools import cache
from pathlib import Path
from types import FrameType
from typing import Any

from symstudy.programs.job import ProgramJob, read_job
from symstudy.programs.metrics import Kind, MetricError, check_step, checked, widened
from symstudy.programs.own_folder import refuse_other_folders

__all__ = ["ProgramRun", "current_run", "report"]

END = b'{"end": true}\n'
"""Last line of the reports of an entry that has returned."""
SIGNALLED = b'{"signalled": true}\n'
"""Line of the reports of a program that was sent SIGTERM: that it returns then is no end."""


class ProgramRun:
    """One run of a program: one point of the hyperparameters with one seed.

    Outside of a study, as when a script is started by hand, `config` is empty, `seed` 0 and
    `device` `cpu`; reports are checked and go nowhere, and nothing is saved.

    Attributes:
        config: Hyperparameters, nested as in the study file.
        seed: Seed of the run: which replicate it is.
        device: `cpu` or `cuda`.
        folder: The run's own folder for whatever it writes; its working directory.
    """

    def __init__(self, job: ProgramJob | None) -> None:
        """Begin an attempt at a run; without a job outside of a study."""
        self.job = job
        self.config: dict[str, Any] = dict(job.config) if job else {}
        self.seed = job.seed if job else 0
        self.device = job.device if job else "cpu"
        self.folder = Path(job.folder) if job else Path.cwd()
        self.last_step = -1
        self.names_of_step: set[str] = set()
        self.kinds: dict[str, Kind] = {}
        self.has_ended = self.is_told_to_stop = self.watches_stop = False

    def report(self, step: int, /, **metrics: Any) -> None:
        """Report metrics at a step: a row of `history`; the last of each are in `runs`.

        Several reports at one step are one row; a step is never below the one before.

        Args:
            step: Steps taken, from 0 on.
            metrics: Numbers, or true or false, or arrays and tensors of one number; what is not
                finite is recorded as NaN. `converged` says whether the run counts as converged.

        Raises:
            MetricError: If the step goes backwards, or a metric is no number, or has the name of
                another column.
            OSError: If the report cannot be written.
        """
        if self.has_ended:
            if self.job:
                # The worker is to know of it too: what is raised at exit goes unseen.
                self.append(END)
            raise MetricError("a run must report before its end, but its function has returned.")
        step = check_step(step)
        if step < self.last_step:
            raise MetricError(
                f"steps must not go backwards, but got {step} after {self.last_step}. Count on "
                "over epochs."
            )
        taken = self.job.taken if self.job else {}
        values = checked(metrics, taken)
        if not values:
            raise MetricError("a report must have at least one metric, such as loss=0.5.")
        again = self.names_of_step & values.keys() if step == self.last_step else set()
        if again:
            raise MetricError(
                f"a metric must be reported once a step, but {min(again)!r} was reported at step "
                f"{step} before."
            )
        kinds = {k: widened(k, self.kinds.get(k), value) for k, value in values.items()}
        if self.job:
            line = json.dumps({"step": step, **values, "elapsed": round(self.elapsed, 6)})
            self.append(line.encode() + b"\n")
        self.kinds.update(kinds)
        self.names_of_step = {*values, *(self.names_of_step if step == self.last_step else ())}
        self.last_step = step

    @property
    def elapsed(self) -> float:
        """Seconds since the run began, those of attempts that it went on from included."""
        return self.job.elapsed + time.time() - self.job.began if self.job else 0.0

    @property
    def should_stop(self) -> bool:
        """Whether the run is to save and return soon: it is interrupted, or its machine is needed.

        A program that has looked at this has 10 seconds from the signal on; any other is ended at
        once, and goes on from what it saved last.
        """
        self.watches_stop = True
        return self.is_told_to_stop

    def save(self, state: dict[str, Any]) -> None:
        """Save a state to go on from, in place of the one before, whole or not at all.

        Reports made until now are kept with it; later ones are dropped if the run goes on from it.

        Args:
            state: Arrays, tensors, numbers, texts, None, and dicts, lists and tuples of these, such
                as `{"model": model.state_dict(), "step": step}`.

        Raises:
            TypeError: If it holds something else.
            OSError: If it cannot be written.
        """
        if self.job is None:
            return
        from symstudy.programs.states import StateHead, write_state

        reports = Path(self.job.reports)
        size = reports.stat().st_size if reports.exists() else 0
        write_state(Path(self.job.state), StateHead(self.job.run_id, reports.name, size), state)

    def restore(self) -> dict[str, Any] | None:
        """Return the state that an earlier attempt at this run saved last, or None.

        Raises:
            StateError: If it is damaged, or another run's.
        """
        if self.job is None or not Path(self.job.state).exists():
            return None
        from symstudy.programs.states import read_state

        return read_state(Path(self.job.state), self.job.run_id)

    def end(self) -> None:
        """Refuse any further report: the function has returned."""
        self.has_ended = True
        if self.job:
            self.append(END)

    def append(self, line: bytes) -> None:
        """Append a line to the reports, whole: processes of a run may report at the same time.

        Raises:
            OSError: If it is not written whole.
        """
        assert self.job is not None, "checked by the caller"
        file = os.open(self.job.reports, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            if os.write(file, line) != len(line):
                raise OSError(f"a report must be written whole, but {self.job.reports!r} is not.")
        finally:
            os.close(file)

    def on_signal(self, number: int, frame: FrameType | None) -> None:
        """Take note of SIGTERM, or end at once where the program does not look whether to stop."""
        del frame
        if self.watches_stop:
            self.is_told_to_stop = True
            if self.job and not self.has_ended:
                with contextlib.suppress(OSError):
                    self.append(SIGNALLED)
        else:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)


@cache
def current_run() -> ProgramRun:
    """Return the run of this process: what a script of a `command` reports to and saves with."""
    run = ProgramRun(read_job())
    if run.job:
        refuse_other_folders(run.job.folder)
    is_main = threading.current_thread() is threading.main_thread()
    if run.job and is_main and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, run.on_signal)
    return run


def report(step: int, /, **metrics: Any) -> None:
    """Report metrics of the run of this process at a step; see `ProgramRun.report`."""
    current_run().report(step, **metrics)
