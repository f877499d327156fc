"""What may still be handed out when a launch is to end."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

from symstudy.errors import LaunchError, StoreError
from symstudy.launch.control import Warden
from symstudy.launch.job import PackReport
from symstudy.launch.lease import TAKEN_OVER
from symstudy.launch.source import AbstractPackSource, Order

__all__ = ["Gate", "heard_signals"]


class Gate(AbstractPackSource):
    """Hands out the packs of a source until the launch is to stop, or can do no more."""

    def __init__(self, source: AbstractPackSource, warden: Warden) -> None:
        """Hand out what `source` has, as long as `warden` does not say stop."""
        self.source = source
        self.warden = warden
        self.trouble = ""
        self.num_training = 0

    def next_order(self) -> Order | None:
        """Return the next pack, or None."""
        order = None if self.is_over else self.source.next_order()
        self.num_training += order is not None
        if order is None and self.num_training == 0 and not self.is_over:
            # The source waits for a pack that has been given up.
            self.trouble = "the next runs depend on a pack that was lost."
        return order

    @property
    def is_over(self) -> bool:
        """Whether there will be no more packs."""
        return bool(self.trouble or self.warden.stopping) or self.source.is_over

    def ended(self, report: PackReport) -> None:
        """Pass on what is accounted for; a pack that was paused without being asked is trouble."""
        self.num_training -= 1
        if not report.paused:
            self.source.ended(report)
        elif not self.warden.look():
            # A worker may have seen a request to stop before this driver has.
            self.trouble = self.trouble or report.paused

    def lost(self, pack_id: str) -> None:
        """Pass on that a pack is given up."""
        self.num_training -= 1
        self.source.lost(pack_id)

    def check(self) -> None:
        """Raise what went wrong, if anything did.

        Raises:
            StoreError: If the results could not be written.
            LaunchError: If another driver has taken over, or the launcher ended with packs left.
        """
        if self.warden.is_replaced or self.trouble == TAKEN_OVER:
            raise LaunchError(
                f"{self.warden.folder.path!r} must have one driver, but {TAKEN_OVER} while this "
                "one did not answer. This one ends; nothing is lost."
            )
        if self.trouble:
            raise StoreError(f"{self.trouble} Then run the same command again: it goes on.")
        if not self.warden.stopping and (self.num_training > 0 or not self.source.is_over):
            raise LaunchError(
                f"every pack must be accounted for, but the launch ended with {self.num_training} "
                "in training and others not begun: its cluster went away. Run the same command "
                "again to go on."
            )


@contextlib.contextmanager
def heard_signals(warden: Warden) -> Iterator[None]:
    """Have `warden` stop its launch at Ctrl-C, SIGTERM and SIGUSR1; a second Ctrl-C interrupts.

    Only a process's main thread hears signals: elsewhere this does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: FrameType | None) -> None:
        del frame
        if number == signal.SIGINT and warden.stopping:
            raise KeyboardInterrupt
        warden.stop(f"stopped by {signal.Signals(number).name}")

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)
    before = {number: signal.signal(number, stop) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
