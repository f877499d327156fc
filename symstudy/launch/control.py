"""What passes between a driver, its workers and other terminals, through the results folder.

`control/stop.json` asks a launch to stop, `control/progress.json` says how far it is. Files, not
sockets: they work wherever the results do, and for whoever may write them.
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

__all__ = ["Warden", "read_progress", "request_stop", "stop_reason"]

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
    """Return why a launch is to stop; empty if nobody wants that."""
    try:
        request = folder.read_json(*STOP)
    except StoreError:
        return ""
    return str(request.get("why", "")) if request.get("launch") == launch else ""


def read_progress(folder: StudyFolder, launch: str) -> dict[str, Any] | None:
    """Return what the driver of a launch last said of its progress."""
    try:
        progress = folder.read_json(*PROGRESS)
    except StoreError:
        return None
    return progress if progress.get("launch") == launch else None


class Warden:
    """Holds a study's lease, sees requests to stop, and publishes progress: a thread of the driver.

    Used in a `with` block, which begins with taking the lease.

    Attributes:
        folder: Of the study.
        launch: The launch.
        stopping: Why the launch is to stop; empty as long as it is not.
        is_replaced: Whether another driver has taken the study over.
    """

    def __init__(
        self, folder: StudyFolder, launch: str, since: str, progress: Callable[[], dict[str, Any]]
    ) -> None:
        """Prepare.

        Args:
            folder: Of the study.
            launch: The launch.
            since: When it began, as text.
            progress: Called for what to publish.
        """
        self.folder = folder
        self.launch = launch
        self.since = since
        self.progress = progress
        self.stopping = ""
        self.is_replaced = False
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.watch, name="symstudy-warden", daemon=True)
        self.lease: Lease | None = None

    def __enter__(self) -> Self:
        """Take the lease and begin.

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
        """Publish the last of the progress and give the lease up."""
        self.over.set()
        self.thread.join()
        assert self.lease is not None, "entered"
        try:
            self.publish()
            release_lease(self.folder, self.lease)
            if error is not None and not self.folder.has_file("study.json"):
                self.leave_nothing()
        except StoreError:
            # A full disk must not hide what went wrong; a lease of a dead process is no lease.
            return

    def leave_nothing(self) -> None:
        """Delete what was published of a launch that was refused before it wrote anything."""
        for place in (PROGRESS, STOP):
            self.folder.delete(*place)
        forget_lock(self.folder)
        self.folder.delete_if_empty("control")
        self.folder.delete_if_empty()

    def stop(self, why: str) -> None:
        """Have the launch stopped; may be called by a signal's handler."""
        self.stopping = self.stopping or why

    def watch(self) -> None:
        """Count up, publish and look, again and again."""
        is_told = False
        beaten = time.monotonic()
        while not self.over.wait(TICK_S):
            try:
                if self.stopping and not is_told:
                    request_stop(self.folder, self.launch, self.stopping)
                    is_told = True
                if time.monotonic() - beaten >= BEAT_S:
                    beaten = time.monotonic()
                    self.beat()
            except StoreError:
                # The disk may be full for a while: workers find out for themselves.
                continue
            except LaunchError as error:
                # Another driver's workers must not be stopped: nothing is told any more.
                self.stop(str(error))
                self.is_replaced = is_told = True

    def beat(self) -> None:
        """Count up, publish and look once.

        Raises:
            LaunchError: If another driver has taken the study over.
            StoreError: If the results cannot be written.
        """
        assert self.lease is not None, "entered"
        self.lease = renew_lease(self.folder, self.lease)
        self.publish()
        self.look()

    def look(self) -> str:
        """Return why the launch is to stop, after looking at once; empty if it is not."""
        self.stop(stop_reason(self.folder, self.launch))
        return self.stopping

    def publish(self) -> None:
        """Write how far the launch is."""
        self.folder.write_json({"launch": self.launch, **self.progress()}, *PROGRESS)
