"""Requests to stop and progress of a launch, exchanged as files in the results folder.

`control/stop.json` asks a launch to stop, `control/progress.json` holds its progress. Files rather
than sockets: they work from every machine that can reach the results, behind firewalls too.
"""

import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from symstudy.errors import LaunchError, StoreError
from symstudy.launch.lease import BEAT_S, Lease, release_lease, renew_lease, take_lease
from symstudy.store.files.conditional import forget_lock
from symstudy.store.files.folder import StudyFolder

__all__ = ["DriverControl", "read_progress", "request_stop", "stop_reason"]

STOP = ("control", "stop.json")
PROGRESS = ("control", "progress.json")
TICK_S = 0.1


def request_stop(folder: StudyFolder, launch: str, why: str) -> None:
    """Ask the workers of a launch to save the state of their packs and stop.

    Raises:
        StoreError: If the results cannot be written.
    """
    folder.write_json({"launch": launch, "why": why}, *STOP)


def stop_reason(folder: StudyFolder, launch: str) -> str:
    """Return why a launch was asked to stop; empty if it was not."""
    try:
        request = folder.read_json(*STOP)
    except StoreError:
        return ""
    if not isinstance(request, dict) or request.get("launch") != launch:
        return ""
    return str(request.get("why", ""))


def read_progress(folder: StudyFolder, launch: str) -> dict[str, Any] | None:
    """Return the progress that the driver of a launch last wrote, or None."""
    try:
        progress = folder.read_json(*PROGRESS)
    except StoreError:
        return None
    is_ours = isinstance(progress, dict) and progress.get("launch") == launch
    return progress if is_ours else None


class DriverControl:
    """The driver's control thread: renews the lease, watches for stop requests, writes progress.

    Used in a `with` block, which begins with taking the lease.

    Attributes:
        folder: Folder of the study.
        launch: Identifier of the launch.
        stopping: Why the launch is to stop; empty while it is not.
        is_replaced: Whether another driver has taken the study over.
    """

    def __init__(
        self, folder: StudyFolder, launch: str, since: str, progress: Callable[[], dict[str, Any]]
    ) -> None:
        """Prepare the thread; it starts with the `with` block.

        Args:
            folder: Folder of the study.
            launch: Identifier of the launch.
            since: When the launch began, as text.
            progress: Returns the progress to write, as JSON values.
        """
        self.folder = folder
        self.launch = launch
        self.since = since
        self.progress = progress
        self.stopping = ""
        self.is_replaced = False
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.loop, name="symstudy-control", daemon=True)
        self.lease: Lease | None = None

    def __enter__(self) -> Self:
        """Take the lease and start the thread.

        Raises:
            LaunchError: If another driver is at work.
            StoreError: If the results cannot be written.
        """
        self.lease = take_lease(self.folder, self.launch, since=self.since)
        self.thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Write the final progress and release the lease."""
        self.over.set()
        self.thread.join()
        assert self.lease is not None, "entered"
        try:
            self.write_progress()
            release_lease(self.folder, self.lease)
            if error is not None and not self.folder.has_file("study.json"):
                self.delete_files()
        except StoreError:
            # A full disk must not hide what went wrong; a lease of a dead process is no lease.
            return

    def delete_files(self) -> None:
        """Delete the control files of a launch that was refused before it wrote anything else."""
        for place in (PROGRESS, STOP):
            self.folder.delete(*place)
        forget_lock(self.folder)
        self.folder.delete_if_empty("control")
        self.folder.delete_if_empty()

    def stop(self, why: str) -> None:
        """Request that the launch stop, for the reason `why`; safe in a signal handler."""
        self.stopping = self.stopping or why

    def loop(self) -> None:
        """Renew the lease and pass on stop requests until the launch is over: the thread's body."""
        is_passed_on = False
        renewed = time.monotonic()
        while not self.over.wait(TICK_S):
            try:
                if self.stopping and not is_passed_on:
                    request_stop(self.folder, self.launch, self.stopping)
                    is_passed_on = True
                if time.monotonic() - renewed >= BEAT_S:
                    renewed = time.monotonic()
                    self.renew()
            except StoreError:
                # The disk may be full for a while: workers read the lease themselves.
                continue
            except LaunchError as error:
                # The stop request must not reach the other driver's workers: write none.
                self.stop(str(error))
                self.is_replaced = is_passed_on = True

    def renew(self) -> None:
        """Renew the lease, write progress and check for a stop request, once.

        Raises:
            LaunchError: If another driver has taken the study over.
            StoreError: If the results cannot be written.
        """
        assert self.lease is not None, "entered"
        self.lease = renew_lease(self.folder, self.lease)
        self.write_progress()
        self.check_stop()

    def check_stop(self) -> str:
        """Read `control/stop.json` now and return why the launch is to stop; empty if it is not."""
        self.stop(stop_reason(self.folder, self.launch))
        return self.stopping

    def write_progress(self) -> None:
        """Write the progress of the launch to `control/progress.json`."""
        self.folder.write_json({"launch": self.launch, **self.progress()}, *PROGRESS)
