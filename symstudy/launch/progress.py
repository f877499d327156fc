"""Progress of a launch: runs ended, steps per second and time left."""

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from symstudy.launch.events import (
    Event,
    LaunchPlanned,
    PackEnded,
    PackLost,
    PackProgressed,
    PackRetried,
    PacksPlanned,
    PackStarted,
)
from symstudy.launch.messages import PackReport
from symstudy.study.cell import Cell
from symstudy.study.packs import Pack

__all__ = ["LaunchProgress", "ProgressSnapshot", "parse_snapshot"]

LEAST_SHARE = 0.02
"""Share of the work that must be done before the time left is estimated."""

MOST = 1e15
"""No number of a launch is larger."""


class ProgressSnapshot(NamedTuple):
    """Progress of a launch at one instant.

    Attributes:
        planned: Number of runs of the study.
        ended: Number of runs that have ended, in this launch or before.
        failed: Number of runs that failed in this launch.
        stopped: Number of runs that a search or train.stop ended early in this launch.
        lanes: Number of runs in training now.
        packs: Number of packs in training now.
        workers: Number of packs that can train at the same time.
        run_steps: Optimiser steps taken in this launch, summed over runs.
        steps_per_second: Optimiser steps per second since the launch began.
        share: Share of the launch's estimated work that is done, from 0 to 1.
        seconds: Wall time of the launch so far.
        seconds_left: Estimated wall time left; None before there is a basis for an estimate.
        retried: Number of times that a worker died and its pack was trained again.
    """

    planned: int
    ended: int
    failed: int
    stopped: int
    lanes: int
    packs: int
    workers: int
    run_steps: int
    steps_per_second: float
    share: float
    seconds: float
    seconds_left: float | None
    retried: int


def parse_snapshot(values: Mapping[str, Any]) -> ProgressSnapshot | None:
    """Return the progress that a file tells of; None if it is not told as we write it.

    Args:
        values: As `to_json` returned them, and perhaps more; of any types.
    """
    found: dict[str, Any] = {name: values.get(name) for name in ProgressSnapshot._fields}
    for name, value in found.items():
        if value is None and name == "seconds_left":
            continue
        if type(value) not in {int, float} or not abs(value) < MOST:
            return None
    return ProgressSnapshot(**found)


def work_of(pack: Pack) -> float:
    """Return the estimated seconds of a pack; its runs where nothing is known of a program."""
    return pack.seconds or float(len(pack.runs))


def steps_of(cell: Cell) -> int:
    """Return how many steps a run of a cell takes; 0 where a program does not say."""
    return cell.program.steps if cell.is_program else cell.train.steps


class LaunchProgress:
    """Progress of a launch, computed from its events; may be read from another thread."""

    def __init__(self, planned: int = 0, clock: Callable[[], float] = time.monotonic) -> None:
        """Start the clock.

        Args:
            planned: Number of runs of the study, as far as it is known before `LaunchPlanned`.
            clock: Returns seconds.
        """
        self.planned = planned
        self.before = 0
        self.workers = 1
        self.clock = clock
        self.start = clock()
        self.lock = threading.Lock()
        self.left: dict[str, float] = {}
        self.finished_work = 0.0
        self.training: dict[str, Pack] = {}
        self.fraction: dict[str, float] = {}
        self.steps: dict[str, int] = {}
        self.run_steps = self.done = self.failed = self.stopped = self.num_retried = 0

    def __call__(self, event: Event) -> None:
        """Update the numbers by an event."""
        with self.lock:
            match event:
                case LaunchPlanned():
                    self.planned, self.before = event.planned, event.ended
                    self.workers = max(event.workers, 1)
                    self.expect(event.packs)
                case PacksPlanned(packs=packs):
                    self.expect(packs)
                case PackStarted(assignment=assignment):
                    self.left.setdefault(assignment.pack.pack_id, work_of(assignment.pack))
                    self.training[assignment.pack.pack_id] = assignment.pack
                case PackProgressed():
                    self.update(event.pack_id, event.run_steps)
                case PackEnded(report=report):
                    self.end(report)
                case PackRetried(pack_id=pack_id):
                    self.num_retried += 1
                    self.fraction.pop(pack_id, None)
                case PackLost(pack_id=pack_id):
                    self.training.pop(pack_id, None)
                    self.fraction.pop(pack_id, None)

    def expect(self, packs: Iterable[Pack]) -> None:
        """Add the estimated seconds of packs to the work that is left."""
        self.left.update({pack.pack_id: work_of(pack) for pack in packs})

    def update(self, pack_id: str, run_steps: int) -> None:
        """Record the steps of a pack in training."""
        pack = self.training.get(pack_id)
        if pack is None:
            return
        total = sum(steps_of(run.cell) for run in pack.runs)
        self.steps[pack_id] = run_steps
        self.fraction[pack_id] = min(run_steps / total, 1.0) if total else 0.0

    def end(self, report: PackReport) -> None:
        """Move a pack from those in training to those that have ended, unless it was paused."""
        name = report.pack_id
        self.training.pop(name, None)
        self.fraction.pop(name, None)
        self.steps.pop(name, None)
        self.run_steps += report.run_steps
        if report.paused:
            return
        self.finished_work += self.left.pop(name, 0.0)
        self.done += report.runs - report.failed - report.stopped
        self.failed += report.failed
        self.stopped += report.stopped

    def snapshot(self) -> ProgressSnapshot:
        """Return the progress now."""
        with self.lock:
            seconds = max(self.clock() - self.start, 1e-9)
            half_done = sum(
                self.left.get(name, 0.0) * share for name, share in self.fraction.items()
            )
            total = self.finished_work + sum(self.left.values())
            share = (self.finished_work + half_done) / total if total else 1.0
            run_steps = self.run_steps + sum(self.steps.values())
            return ProgressSnapshot(
                planned=self.planned,
                ended=self.before + self.done + self.failed + self.stopped,
                failed=self.failed,
                stopped=self.stopped,
                lanes=sum(len(pack.runs) for pack in self.training.values()),
                packs=len(self.training),
                workers=self.workers,
                run_steps=run_steps,
                steps_per_second=run_steps / seconds,
                share=share,
                seconds=seconds,
                seconds_left=seconds * (1 - share) / share if share > LEAST_SHARE else None,
                retried=self.num_retried,
            )

    def to_json(self) -> dict[str, Any]:
        """Return the progress now as JSON values, for `control/progress.json`."""
        return {
            name: round(value, 3) if isinstance(value, float) else value
            for name, value in self.snapshot()._asdict().items()
        }
