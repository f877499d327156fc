"""A worker's check whether its launch goes on: requests to stop, the lease, its own machine."""

import time
from collections.abc import Callable

from symstudy.launch.control import stop_reason
from symstudy.launch.lease import TAKEN_OVER, read_lease
from symstudy.launch.messages import LaunchConfig
from symstudy.store.files.folder import StudyFolder

__all__ = ["PREEMPTED", "StopPoll", "holds_lease"]

POLL_S = 2.0
"""How often a worker reads stop request and lease, in seconds."""
PREEMPTED = "the worker was told to end"


class StopPoll:
    """Says why the work of a launch is to stop; cheap enough to be asked many times a second.

    It stops at a request of the driver, when another driver has taken the study over, and when the
    worker's machine is about to be taken away.

    Attributes:
        reason: Why it is to stop; empty while it is not.
    """

    def __init__(
        self, config: LaunchConfig, folder: StudyFolder, is_preempted: Callable[[], bool]
    ) -> None:
        """Ask for the launch of `config`; `is_preempted` tells of this worker."""
        self.config = config
        self.folder = folder
        self.is_preempted = is_preempted
        self.reason = ""
        self.polled = time.monotonic()

    def __call__(self) -> str:
        """Return why the work is to stop; empty if it is not."""
        now = time.monotonic()
        if self.is_preempted():
            self.reason = PREEMPTED
        elif now - self.polled >= POLL_S:
            self.polled = now
            self.reason = self.find_reason()
        return self.reason

    def find_reason(self) -> str:
        """Read stop request and lease; return why the work is to stop, empty if it is not."""
        return stop_reason(self.folder, self.config.launch) or (
            "" if holds_lease(self.config, self.folder) else TAKEN_OVER
        )


def holds_lease(config: LaunchConfig, folder: StudyFolder) -> bool:
    """Return whether no other launch has taken the study over."""
    lease = read_lease(folder)
    return lease is None or lease.launch == config.launch
