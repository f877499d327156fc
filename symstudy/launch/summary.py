"""Counts of what a launch did."""

from dataclasses import dataclass, field
from html import escape

from symstudy.launch.events import Event, LaunchEnded, PackEnded, PairsMeasured
from symstudy.launch.messages import PackReport

__all__ = ["Summary"]


@dataclass
class Summary:
    """Counts of what a launch did; an event listener.

    Attributes:
        done: Number of runs that ended as planned in this launch.
        failed: Number of runs that failed in this launch.
        pairs: Number of pairs of runs that were compared in this launch.
        pairs_left_out: Number of pairs that could not be compared, since a run has kept nothing.
        early: Number of runs that a search or train.stop ended early in this launch.
        run_steps: Optimiser steps taken, summed over runs.
        reports: Report of each pack that ended.
        stopped: Why the launch was stopped before its end; empty if it was not.
    """

    done: int = 0
    failed: int = 0
    pairs: int = 0
    pairs_left_out: int = 0
    early: int = 0
    run_steps: int = 0
    reports: list[PackReport] = field(default_factory=list)
    stopped: str = ""

    def __call__(self, event: Event) -> None:
        """Count an event."""
        if isinstance(event, PackEnded):
            self.add(event.report)
        elif isinstance(event, PairsMeasured):
            self.pairs += event.pairs
            self.pairs_left_out += event.left_out
        elif isinstance(event, LaunchEnded):
            self.stopped = event.stopped

    def _repr_html_(self) -> str:
        """Return the counts as a table, for notebooks."""
        counts = {
            "done": self.done,
            "failed": self.failed,
            "stopped early": self.early,
            "run steps": self.run_steps,
        }
        head = "".join(f"<th>{name}</th>" for name in counts)
        cells = "".join(f"<td>{count:,}</td>" for count in counts.values())
        stopped = f"<p>stopped: {escape(self.stopped)}</p>" if self.stopped else ""
        return f"<table><tr>{head}</tr><tr>{cells}</tr></table>{stopped}"

    def add(self, report: PackReport) -> None:
        """Add the counts of a pack; of a paused one only its steps."""
        self.run_steps += report.run_steps
        if report.paused:
            return
        self.done += report.runs - report.failed - report.stopped
        self.failed += report.failed
        self.early += report.stopped
        self.reports.append(report)
