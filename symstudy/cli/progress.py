"""The progress line of `symstudy run`, on stderr."""

import time
from types import TracebackType
from typing import Self

from symstudy.cli.output import note
from symstudy.escaping import printable_line
from symstudy.launch import (
    Event,
    LaunchPlanned,
    LaunchProgress,
    PackEnded,
    PackLost,
    PackProgressed,
    PackRetried,
    PackStarted,
    ProgressSnapshot,
)
from symstudy.quantities import duration

__all__ = ["RunDisplay", "progress_text"]

LINE_EVERY_S = 10.0
"""Seconds between two progress lines where stderr is no terminal."""
COMPILING = "compiling kernels, once on this machine: about half a minute"


def progress_text(snapshot: ProgressSnapshot) -> str:
    """Return the progress of a launch as a line of text."""
    left = "?" if snapshot.seconds_left is None else duration(snapshot.seconds_left)
    stopped = f"{snapshot.stopped} stopped early, " if snapshot.stopped else ""
    return (
        f"{snapshot.ended}/{snapshot.planned} runs, {snapshot.failed} failed, {stopped}"
        f"{snapshot.lanes} lanes, {snapshot.steps_per_second:,.0f} steps/s, {left} left"
    )


class RunDisplay:
    """Shows runs done, failed and left, lanes, steps per second and time left; an event listener.

    On a terminal one line is kept up to date; elsewhere a plain line is printed now and then.
    """

    def __init__(self, *, quiet: bool = False, engine: str = "auto", is_here: bool = True) -> None:
        """Prepare to show the progress of a launch.

        Args:
            quiet: Whether to show nothing but problems.
            engine: The study's `pack.engine`.
            is_here: Whether this machine trains, and not a cluster that was there before.
        """
        self.engine = engine
        self.is_here = is_here
        from rich.console import Console

        self.console = Console(stderr=True)
        self.is_live = self.console.is_terminal and not quiet
        self.quiet = quiet
        self.bar: object | None = None
        self.last_line = time.monotonic()
        self.numbers = LaunchProgress()
        self.sizes: dict[str, int] = {}
        self.is_compiling = False

    def __enter__(self) -> Self:
        """Start the live line on a terminal."""
        if self.is_live:
            from rich.progress import BarColumn, Progress, TextColumn

            self.progress = Progress(
                TextColumn("{task.description}", markup=False),
                BarColumn(bar_width=28),
                TextColumn("{task.percentage:>3.0f}%"),
                TextColumn("{task.fields[state]}", markup=False),
                console=self.console,
                transient=True,
            )
            self.progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Remove the live line."""
        if self.is_live:
            self.progress.stop()

    def __call__(self, event: Event) -> None:
        """Show an event."""
        self.numbers(event)
        match event:
            case LaunchPlanned():
                self.show_plan(event)
            case PackStarted(assignment=assignment):
                self.sizes[assignment.pack.pack_id] = len(assignment.pack.runs)
                self.refresh()
            case PackEnded(report=report):
                self.sizes.pop(report.pack_id, None)
                self.refresh()
            case PackProgressed():
                self.refresh()
            case PackRetried(pack_id=pack_id):
                size = self.sizes.get(pack_id, 0)
                note(f"a worker died; its pack of {size} runs is trained again")
            case PackLost(pack_id=pack_id):
                size = self.sizes.pop(pack_id, 0)
                note(f"a pack of {size} runs has cost too many workers: it is lost")

    def show_plan(self, plan: LaunchPlanned) -> None:
        """Show what is about to be trained."""
        name = plan.folder.name
        for message in plan.notes:
            note(f"{name}: {message}")
        if self.quiet:
            return
        left = plan.planned - plan.ended
        if left == 0:
            note(f"{name}: all {plan.planned} runs have ended; nothing to do")
            return
        ended = f", {plan.ended} ended before" if plan.ended else ""
        note(
            f"{name}: {plan.planned} runs{ended}; {left} left in {len(plan.packs)} packs on "
            f"{plan.workers} {plan.device} worker{'s' if plan.workers > 1 else ''}"
        )
        if self.has_to_compile(plan):
            note(f"{name}: {COMPILING}")
            self.is_compiling = True
        if self.is_live:
            name = printable_line(name)
            self.bar = self.progress.add_task(name, total=1.0, state="starting workers")

    def has_to_compile(self, plan: LaunchPlanned) -> bool:
        """Return whether the first pack has to wait until its kernels are compiled."""
        from symstudy.kernels.cache import has_kernels
        from symstudy.study.cost import estimate_cost

        if plan.device != "cpu" or not self.is_here or has_kernels():
            return False
        first = {pack.runs[0].cell.shape: pack.runs[0].cell for pack in plan.packs}
        trained = [cell for cell in first.values() if not cell.is_program]
        return any(
            estimate_cost(cell, device="cpu", engine=self.engine).is_compiled for cell in trained
        )

    def state(self) -> str:
        """Return the line on the progress now."""
        snapshot = self.numbers.snapshot()
        if self.is_compiling and snapshot.run_steps == 0:
            return f"{snapshot.ended}/{snapshot.planned} runs, {COMPILING}"
        return progress_text(snapshot)

    def refresh(self) -> None:
        """Show the numbers again."""
        if self.quiet:
            return
        if self.is_live:
            snapshot = self.numbers.snapshot()
            self.progress.update(
                self.bar,  # type: ignore[arg-type]
                completed=snapshot.share,
                state=self.state(),
            )
        elif time.monotonic() - self.last_line >= LINE_EVERY_S:
            self.last_line = time.monotonic()
            note(self.state())
