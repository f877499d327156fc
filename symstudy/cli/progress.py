"""What a person sees while a study runs."""

import time
from types import TracebackType
from typing import Self

from symstudy.cli.output import note
from symstudy.launch import Announcer, Launch, Order, PackReport, Snapshot
from symstudy.quantities import duration

__all__ = ["RunDisplay", "progress_text"]

LINE_EVERY_S = 10.0
"""Without a terminal, a line is printed at most so often."""


def progress_text(snapshot: Snapshot) -> str:
    """Return how far a launch is, in a line."""
    left = "?" if snapshot.seconds_left is None else duration(snapshot.seconds_left)
    stopped = f"{snapshot.stopped} stopped early, " if snapshot.stopped else ""
    return (
        f"{snapshot.ended}/{snapshot.planned} runs, {snapshot.failed} failed, {stopped}"
        f"{snapshot.lanes} lanes, {snapshot.steps_per_second:,.0f} steps/s, {left} left"
    )


class RunDisplay(Announcer):
    """Shows runs done, failed and left, lanes, steps a second and time left, on stderr.

    On a terminal one line is kept up to date; elsewhere a plain line is printed now and then.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        """Show nothing but problems if `quiet`."""
        from rich.console import Console

        self.console = Console(stderr=True)
        self.is_live = self.console.is_terminal and not quiet
        self.quiet = quiet
        self.bar: object | None = None
        self.last_line = time.monotonic()
        self.launch: Launch | None = None
        self.sizes: dict[str, int] = {}

    def __enter__(self) -> Self:
        """Begin to show."""
        if self.is_live:
            from rich.progress import BarColumn, Progress, TextColumn

            self.progress = Progress(
                TextColumn("{task.description}"),
                BarColumn(bar_width=28),
                TextColumn("{task.percentage:>3.0f}%"),
                TextColumn("{task.fields[state]}"),
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
        """Stop showing."""
        if self.is_live:
            self.progress.stop()

    def announced(self, launch: Launch) -> None:
        """Say what is about to run."""
        self.launch = launch
        for message in launch.notes:
            note(f"{launch.folder.name}: {message}")
        if self.quiet:
            return
        left = launch.planned - launch.ended
        if left == 0:
            note(f"{launch.folder.name}: all {launch.planned} runs have ended; nothing to do")
            return
        ended = f", {launch.ended} ended before" if launch.ended else ""
        note(
            f"{launch.folder.name}: {launch.planned} runs{ended}; {left} left in "
            f"{len(launch.packs)} packs on {launch.workers} {launch.device} "
            f"worker{'s' if launch.workers > 1 else ''}"
        )
        if self.is_live:
            self.bar = self.progress.add_task(
                launch.folder.name, total=1.0, state="starting workers"
            )

    def ordered(self, order: Order) -> None:
        """Take note of a pack's size."""
        self.sizes[order.pack.pack_id] = len(order.pack.runs)

    def progressed(self, pack_id: str, run_steps: int) -> None:
        """Show the progress."""
        del pack_id, run_steps
        self.refresh()

    def ended(self, report: PackReport) -> None:
        """Show the progress."""
        self.sizes.pop(report.pack_id, None)
        self.refresh()

    def retried(self, pack_id: str) -> None:
        """Tell of a worker that died."""
        note(f"a worker died; its pack of {self.sizes.get(pack_id, 0)} runs is trained again")

    def lost(self, pack_id: str) -> None:
        """Tell of a pack that is given up."""
        note(f"a pack of {self.sizes.pop(pack_id, 0)} runs has cost too many workers: it is lost")

    def refresh(self) -> None:
        """Show the numbers again."""
        if self.quiet or self.launch is None:
            return
        if self.is_live:
            snapshot = self.launch.board.snapshot()
            self.progress.update(
                self.bar,  # type: ignore[arg-type]
                completed=snapshot.share,
                state=progress_text(snapshot),
            )
        elif time.monotonic() - self.last_line >= LINE_EVERY_S:
            self.last_line = time.monotonic()
            note(progress_text(self.launch.board.snapshot()))
