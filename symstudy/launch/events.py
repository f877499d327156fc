"""Those who are told of a launch: what it is about to do, and what it has done."""

from dataclasses import dataclass, field

from symstudy.launch.job import PackReport
from symstudy.launch.launchers.base import Observer
from symstudy.launch.progress import Board
from symstudy.launch.source import Order
from symstudy.store.files.folder import StudyFolder
from symstudy.study.packs import Pack

__all__ = ["Announcer", "Launch", "Summary", "Tee"]


@dataclass(frozen=True, kw_only=True)
class Launch:
    """What a launch is about to do.

    Attributes:
        folder: Of the study.
        planned: Runs of the study, or the most that its search may ask for.
        ended: Runs of it that ended before.
        packs: What is left, as packs; of a search the first of them.
        workers: Packs at the same time.
        device: Where they train.
        board: The progress of the launch, as it goes on.
        notes: What a user should be told.
    """

    folder: StudyFolder
    planned: int
    ended: int
    packs: list[Pack]
    workers: int
    device: str
    board: Board
    notes: tuple[str, ...] = ()


@dataclass
class Summary:
    """What a launch did; an observer of its packs.

    Attributes:
        done: Runs that ended as planned in this launch.
        failed: Runs that ended otherwise.
        early: Runs that were stopped early.
        run_steps: Optimiser steps taken.
        reports: One a pack.
        stopped: Why the launch was stopped before its end; empty if it was not.
    """

    done: int = 0
    failed: int = 0
    early: int = 0
    run_steps: int = 0
    reports: list[PackReport] = field(default_factory=list)
    stopped: str = ""

    def ended(self, report: PackReport) -> None:
        """Add a pack that a worker is done with."""
        self.run_steps += report.run_steps
        if report.paused:
            return
        self.done += report.runs - report.failed - report.stopped
        self.failed += report.failed
        self.early += report.stopped
        self.reports.append(report)

    def ordered(self, order: Order) -> None:
        """Nothing to sum yet."""

    def progressed(self, pack_id: str, run_steps: int) -> None:
        """Nothing to sum yet."""

    def retried(self, pack_id: str) -> None:
        """Nothing to sum."""

    def lost(self, pack_id: str) -> None:
        """Nothing to sum."""


class Tee:
    """An observer that tells several others."""

    def __init__(self, *observers: Observer) -> None:
        """Tell `observers`, in their order."""
        self.observers = observers

    def ordered(self, order: Order) -> None:
        """Pass it on."""
        for observer in self.observers:
            observer.ordered(order)

    def progressed(self, pack_id: str, run_steps: int) -> None:
        """Pass it on."""
        for observer in self.observers:
            observer.progressed(pack_id, run_steps)

    def ended(self, report: PackReport) -> None:
        """Pass it on."""
        for observer in self.observers:
            observer.ended(report)

    def retried(self, pack_id: str) -> None:
        """Pass it on."""
        for observer in self.observers:
            observer.retried(pack_id)

    def lost(self, pack_id: str) -> None:
        """Pass it on."""
        for observer in self.observers:
            observer.lost(pack_id)


class Announcer(Observer):
    """An observer that is told first what the launch is about to do."""

    def announced(self, launch: Launch) -> None:
        """The packs are planned and about to be trained."""
