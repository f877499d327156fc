"""The progress of a launch as a bar in a notebook."""

import sys
import time
from html import escape
from types import TracebackType
from typing import Any, Self

from symstudy.cli.progress import progress_text
from symstudy.escaping import printable_line
from symstudy.launch import Event, LaunchEnded, LaunchPlanned, LaunchProgress

__all__ = ["NotebookDisplay", "in_notebook"]

EVERY_S = 0.5
"""Seconds between two updates of the bar."""


def in_notebook() -> bool:
    """Return whether this process is the kernel of a notebook."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return type(shell).__name__ == "ZMQInteractiveShell"


class NotebookDisplay:
    """Shows a launch as one bar that is kept up to date; an event listener."""

    def __init__(self) -> None:
        """Prepare to show a launch."""
        self.numbers = LaunchProgress()
        self.name = ""
        self.ended_before = 0
        self.shown = 0.0
        self.handle: Any = None

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Show how it ended."""
        self.show(self.html(is_over=True))

    def __call__(self, event: Event) -> None:
        """Show an event."""
        self.numbers(event)
        if isinstance(event, LaunchPlanned):
            self.name = event.folder.name
        now = time.monotonic()
        if isinstance(event, LaunchPlanned | LaunchEnded) or now - self.shown >= EVERY_S:
            self.shown = now
            self.show(self.html())

    def html(self, *, is_over: bool = False) -> str:
        """Return the bar."""
        snapshot = self.numbers.snapshot()
        share = 1.0 if is_over and snapshot.ended == snapshot.planned else snapshot.share
        return (
            f"<div><b>{escape(printable_line(self.name))}</b> "
            f'<progress max="1" value="{share:.4f}" style="width: 16em"></progress> '
            f"{escape(progress_text(snapshot))}</div>"
        )

    def show(self, html: str) -> None:
        """Show the bar, in the place of the one before."""
        from IPython import display

        shown: Any = display  # whose functions are not typed
        if self.handle is None:
            self.handle = shown.display(shown.HTML(html), display_id=True)
        else:
            self.handle.update(shown.HTML(html))
