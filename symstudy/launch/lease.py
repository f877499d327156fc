"""The lease of a study: one driver at a time, and another where that one has died.

The driver of a study keeps `control/lease.json` in its results and renews the heartbeat in it, a
number that grows, as long as it lives. A second driver that finds a lease looks whether its process
is there, or whether the heartbeat still grows, and leaves if so; a lease whose heartbeat has
stopped is taken over. The lease is written on
condition alone (`symstudy.store.files.conditional`): made only where there is none, and renewed
or taken over only as it was read. No clocks are compared.
"""

import json
import os
import platform
import shlex
import time
from collections.abc import Callable
from typing import NamedTuple

from symstudy.errors import LaunchError, StoreError
from symstudy.store.files.conditional import (
    Seen,
    delete_if_unchanged,
    read_seen,
    write_if_unchanged,
)
from symstudy.store.files.folder import StudyFolder

__all__ = [
    "BEAT_S",
    "TAKEN_OVER",
    "Lease",
    "is_alive",
    "may_be_alive",
    "read_lease",
    "release_lease",
    "renew_lease",
    "take_lease",
]

BEAT_S = 2.0
"""Interval at which a driver renews its lease, in seconds."""
PATIENCE_S = 12.0
"""A heartbeat that has not grown for so long belongs to a driver that is dead."""
ATTEMPTS = 10
"""Tries to write the lease while others keep changing it."""
TAKEN_OVER = "another driver has taken the study over"
PLACE = ("control", "lease.json")


class Lease(NamedTuple):
    """The driver of a study, as its lease names it.

    Attributes:
        launch: Name of its launch.
        host: Name of its machine.
        pid: Number of its process.
        since: When it began, UTC, as text.
        beat: Its heartbeat: a number that grows while it lives.
    """

    launch: str
    host: str
    pid: int
    since: str
    beat: int

    @property
    def driver(self) -> str:
        """The driver in words, for messages."""
        return f"process {self.pid} on {self.host}, since {self.since} UTC"


def read_lease(folder: StudyFolder) -> Lease | None:
    """Return the lease of a study; None if nobody has one, or what there is cannot be read."""
    try:
        return parse_lease(folder.read_bytes(*PLACE))
    except StoreError:
        return None


def parse_lease(content: bytes) -> Lease | None:
    """Return the lease that a file holds; None if it holds none."""
    try:
        values = json.loads(content)
        lease = Lease(**values)
    except (ValueError, TypeError, RecursionError):
        return None
    texts, numbers = (lease.launch, lease.host, lease.since), (lease.pid, lease.beat)
    # Process 0 and negative ones are groups to the operating system.
    is_sound = (
        all(isinstance(text, str) for text in texts)
        and all(type(number) is int for number in numbers)
        and 0 < lease.pid < 1 << 31
    )
    return lease if is_sound else None


def renew_lease(folder: StudyFolder, lease: Lease) -> Lease:
    """Renew the heartbeat, and return the lease as it is now.

    Raises:
        LaunchError: If another driver has taken the study over.
        StoreError: If the results cannot be written.
    """
    renewed = lease._replace(beat=lease.beat + 1)
    for _ in range(ATTEMPTS):
        seen = read_seen(folder, *PLACE)
        found = parse_lease(seen.content) if seen else None
        if found is not None and found.launch != lease.launch:
            raise LaunchError(
                f"{folder.path!r} must have one driver, but {found.driver} has taken it over while "
                "this one did not answer. This one ends; nothing is lost."
            )
        if write_lease(folder, renewed, seen):
            return renewed
    raise LaunchError(f"{folder.path!r} must have one driver, but several change its lease.")


def take_lease(
    folder: StudyFolder,
    launch: str,
    *,
    since: str,
    sleep: Callable[[float], None] = time.sleep,
) -> Lease:
    """Become the driver of a study.

    Args:
        folder: Folder of the study's results.
        launch: Name of our launch.
        since: The time, as text.
        sleep: Waits so many seconds.

    Raises:
        LaunchError: If another driver is at work.
        StoreError: If the results cannot be written.
    """
    lease = Lease(launch, platform.node(), os.getpid(), since, 0)
    for _ in range(ATTEMPTS):
        seen = read_seen(folder, *PLACE)
        found = parse_lease(seen.content) if seen else None
        if found is not None and is_alive(folder, found, sleep=sleep):
            place = shlex.quote(folder.location)
            raise LaunchError(
                f"{folder.location!r} must have one driver at a time, but {found.driver}, is at "
                f"work. Watch it with `symstudy status {place} --watch`, end it with `symstudy "
                f"cancel {place}`, or name another place with --results."
            )
        # Only as it was when its driver was found dead: of two that do so, one succeeds.
        if write_lease(folder, lease, seen):
            return lease
    raise LaunchError(f"{folder.path!r} must have one driver, but several change its lease.")


def write_lease(folder: StudyFolder, lease: Lease, seen: Seen | None) -> bool:
    """Write a lease in place of what was seen; return whether nothing else had come between."""
    content = (json.dumps(lease._asdict(), indent=2) + "\n").encode()
    return write_if_unchanged(folder, content, seen, *PLACE) is not None


def release_lease(folder: StudyFolder, lease: Lease) -> None:
    """Give up a lease, if it is still ours.

    Raises:
        StoreError: If the results cannot be written.
    """
    seen = read_seen(folder, *PLACE)
    found = parse_lease(seen.content) if seen else None
    if seen is not None and found is not None and found.launch == lease.launch:
        delete_if_unchanged(folder, seen, *PLACE)


def is_alive(
    folder: StudyFolder, lease: Lease, *, sleep: Callable[[float], None] = time.sleep
) -> bool:
    """Return whether the driver that holds `lease` lives; takes `PATIENCE_S` where it is silent."""
    if not may_be_alive(lease):
        return False
    waited = 0.0
    while waited < PATIENCE_S:
        sleep(BEAT_S / 4)
        waited += BEAT_S / 4
        found = read_lease(folder)
        if found is None:
            return False
        if found != lease:
            return True
    return False


def may_be_alive(lease: Lease) -> bool:
    """Return False if the driver that holds `lease` is known to be dead: its process is not there.

    A driver on another machine may be alive, as far as this can tell.
    """
    return lease.host != platform.node() or is_process(lease.pid)


def is_process(pid: int) -> bool:
    """Return whether there is a process `pid` on this machine."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
