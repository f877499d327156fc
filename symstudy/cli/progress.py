"""What a person sees while a study runs."""

import time
from types import TracebackType
from typing import Self

from symstudy.cli.output import note
from symstudy.launch import Announcer, Launch, PackReport
from symstudy.words import duration

__all__ = ["RunDisplay"]

LINE_EVERY_S = 10.0
"""Without a terminal, a line is printed at most so often."""


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
        self.start = time.monotonic()
        self.last_line = self.start
        self.total = self.done = self.failed = self.before = 0
        self.work: dict[str, float] = {}
        self.sizes: dict[str, int] = {}
        self.steps_of: dict[str, int] = {}
        self.fraction: dict[str, float] = {}
        self.training: dict[str, int] = {}
        self.run_steps: dict[str, int] = {}
        self.workers = 1

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
        self.total, self.before = launch.planned, launch.ended
        self.workers = max(launch.workers, 1)
        for pack in launch.packs:
            self.work[pack.pack_id] = pack.seconds
            self.sizes[pack.pack_id] = len(pack.runs)
            self.steps_of[pack.pack_id] = sum(run.cell.train.steps for run in pack.runs)
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
        self.start = time.monotonic()
        if self.is_live:
            self.bar = self.progress.add_task(
                launch.folder.name, total=1.0, state="starting workers"
            )

    def progressed(self, pack_id: str, run_steps: int) -> None:
        """Take note of a pack's progress."""
        self.training[pack_id] = self.sizes.get(pack_id, 0)
        self.run_steps[pack_id] = run_steps
        self.fraction[pack_id] = min(run_steps / max(self.steps_of.get(pack_id, 1), 1), 1.0)
        self.refresh()

    def ended(self, report: PackReport) -> None:
        """Take note of a pack that is accounted for."""
        self.training.pop(report.pack_id, None)
        self.run_steps[report.pack_id] = report.run_steps
        self.fraction[report.pack_id] = 1.0
        self.done += report.runs - report.failed
        self.failed += report.failed
        self.refresh()

    def retried(self, pack_id: str) -> None:
        """Tell of a worker that died."""
        self.fraction.pop(pack_id, None)
        note(f"a worker died; its pack of {self.sizes.get(pack_id, 0)} runs is trained again")

    def share(self) -> float:
        """Return how much of the work of this launch is done."""
        total = sum(self.work.values())
        done = sum(
            self.work[name] * share for name, share in self.fraction.items() if name in self.work
        )
        return done / total if total else 1.0

    def state(self) -> str:
        """Return the numbers as text."""
        elapsed = max(time.monotonic() - self.start, 1e-9)
        share = self.share()
        left = duration(elapsed * (1 - share) / share) if share > 0.02 else "?"
        lanes = sum(self.training.values())
        rate = sum(self.run_steps.values()) / elapsed
        return (
            f"{self.before + self.done}/{self.total} runs, {self.failed} failed, {lanes} lanes, "
            f"{rate:,.0f} steps/s, {left} left"
        )

    def refresh(self) -> None:
        """Show the numbers again."""
        if self.quiet:
            return
        if self.is_live:
            self.progress.update(self.bar, completed=self.share(), state=self.state())  # type: ignore[arg-type]
        elif time.monotonic() - self.last_line >= LINE_EVERY_S:
            self.last_line = time.monotonic()
            note(self.state())
