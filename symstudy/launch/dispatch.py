"""Dispatch of packs: stops it when the launch is to stop, and checks that all are accounted for."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

from symstudy.errors import ChangedError, LaunchError, StoreError
from symstudy.launch.control import DriverControl
from symstudy.launch.lease import TAKEN_OVER
from symstudy.launch.messages import PackReport
from symstudy.launch.source import AbstractPackSource, PackAssignment

__all__ = ["Dispatch", "stop_on_signals"]


class Dispatch(AbstractPackSource):
    """Yields the packs of a source until the launch is asked to stop or cannot go on.

    Attributes:
        trouble: Why the launch cannot go on; empty while it can.
        is_refused: Whether that is since code or data of the study have changed.
        num_training: Number of packs that have been yielded and have not ended.
    """

    def __init__(self, source: AbstractPackSource, control: DriverControl) -> None:
        """Yield the packs of `source` as long as `control` has no request to stop."""
        self.source = source
        self.control = control
        self.trouble = ""
        self.is_refused = False
        self.num_training = 0

    def next_assignment(self) -> PackAssignment | None:
        """Return the next pack, or None."""
        assignment = None if self.is_over else self.source.next_assignment()
        self.num_training += assignment is not None
        if assignment is None and self.num_training == 0 and not self.is_over:
            # The source waits for a pack that has been given up.
            self.trouble = "the next runs depend on a pack that was lost."
        return assignment

    @property
    def is_over(self) -> bool:
        """Whether there will be no more packs."""
        return bool(self.trouble or self.control.stopping) or self.source.is_over

    def ended(self, report: PackReport) -> None:
        """Pass on a pack that ended; one that paused without a stop request ends the dispatch."""
        self.num_training -= 1
        if not report.paused:
            self.source.ended(report)
        elif report.is_refused or not self.control.check_stop():
            # A worker may have seen a request to stop before this driver has.
            self.trouble = self.trouble or report.paused
            self.is_refused |= report.is_refused

    def lost(self, pack_id: str) -> None:
        """Pass on that a pack was given up."""
        self.num_training -= 1
        self.source.lost(pack_id)

    def check(self) -> None:
        """Raise unless every pack is accounted for or the launch was asked to stop.

        Raises:
            StoreError: If the results could not be written.
            ChangedError: If code or data are no longer what the study was planned with.
            LaunchError: If another driver has taken over, or the launcher ended with packs left.
        """
        if self.control.is_replaced or self.trouble == TAKEN_OVER:
            raise LaunchError(
                f"{self.control.folder.path!r} must have one driver, but {TAKEN_OVER} while this "
                "one did not answer. This one ends; nothing is lost."
            )
        if self.is_refused:
            raise ChangedError(self.trouble)
        if self.trouble:
            raise StoreError(f"{self.trouble} Then run the same command again: it goes on.")
        if not self.control.stopping and (self.num_training > 0 or not self.source.is_over):
            raise LaunchError(
                f"every pack must be accounted for, but the launch ended with {self.num_training} "
                "in training and others not begun: its cluster went away. Run the same command "
                "again to go on."
            )


@contextlib.contextmanager
def stop_on_signals(control: DriverControl) -> Iterator[None]:
    """Stop the launch at Ctrl-C, SIGTERM and SIGUSR1, packs saved; a second Ctrl-C interrupts.

    Python delivers signals to the main thread alone: in another thread this does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: FrameType | None) -> None:
        del frame
        if number == signal.SIGINT and control.stopping:
            raise KeyboardInterrupt
        control.stop(f"stopped by {signal.Signals(number).name}")

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)
    before = {number: signal.signal(number, stop) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
