"""How far a launch is: the numbers behind a progress line, wherever it is shown."""

import threading
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from symstudy.launch.job import PackReport
from symstudy.launch.launchers.base import Observer
from symstudy.launch.source import Order
from symstudy.study.packs import Pack

__all__ = ["Board", "Snapshot"]


class Snapshot(NamedTuple):
    """How far a launch is.

    Attributes:
        planned: Runs of the study.
        ended: Runs that have ended, in this launch or before.
        failed: Runs that did not end as planned, in this launch.
        stopped: Runs that were stopped early, in this launch.
        lanes: Runs in training now.
        packs: Packs in training now.
        workers: Packs that can train at the same time.
        run_steps: Optimiser steps taken in this launch, summed over runs.
        steps_per_second: Of this launch, on average.
        share: How much of the launch's work is done, from 0 to 1.
        seconds: Wall time of the launch so far.
        seconds_left: Estimate; None as long as there is no basis for one.
        retried: Packs that were trained again after a worker died.
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


class Board(Observer):
    """Sums up what a launcher tells; may be read from another thread."""

    def __init__(
        self, planned: int, before: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Begin.

        Args:
            planned: Runs of the study, or the budget of its search.
            before: Runs of them that ended before.
            clock: Returns seconds.
        """
        self.planned = planned
        self.before = before
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

    def expect(self, packs: list[Pack], workers: int) -> None:
        """Take note of packs that will be ordered."""
        with self.lock:
            self.workers = max(workers, 1)
            self.left.update({pack.pack_id: pack.seconds for pack in packs})

    def ordered(self, order: Order) -> None:
        """Take note of a pack that a worker gets."""
        with self.lock:
            self.left.setdefault(order.pack.pack_id, order.pack.seconds)
            self.training[order.pack.pack_id] = order.pack

    def progressed(self, pack_id: str, run_steps: int) -> None:
        """Take note of a pack's progress."""
        with self.lock:
            pack = self.training.get(pack_id)
            if pack is None:
                return
            total = sum(run.cell.train.steps for run in pack.runs)
            self.steps[pack_id] = run_steps
            self.fraction[pack_id] = min(run_steps / max(total, 1), 1.0)

    def ended(self, report: PackReport) -> None:
        """Take note of a pack that a worker is done with."""
        with self.lock:
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

    def retried(self, pack_id: str) -> None:
        """Take note of a worker that died."""
        with self.lock:
            self.num_retried += 1
            self.fraction.pop(pack_id, None)

    def lost(self, pack_id: str) -> None:
        """Take note of a pack that is given up."""
        with self.lock:
            self.training.pop(pack_id, None)
            self.fraction.pop(pack_id, None)

    def snapshot(self) -> Snapshot:
        """Return how far the launch is."""
        with self.lock:
            seconds = max(self.clock() - self.start, 1e-9)
            half_done = sum(
                self.left.get(name, 0.0) * share for name, share in self.fraction.items()
            )
            total = self.finished_work + sum(self.left.values())
            share = (self.finished_work + half_done) / total if total else 1.0
            run_steps = self.run_steps + sum(self.steps.values())
            return Snapshot(
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
                seconds_left=seconds * (1 - share) / share if share > 0.02 else None,
                retried=self.num_retried,
            )

    def published(self) -> dict[str, Any]:
        """Return the snapshot as what another terminal reads."""
        return {
            name: round(value, 3) if isinstance(value, float) else value
            for name, value in self.snapshot()._asdict().items()
        }
