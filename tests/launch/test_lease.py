"""One driver at a time, whoever dies."""

import os
import platform
import subprocess
import sys

import pytest

from symstudy.errors import LaunchError
from symstudy.launch.lease import (
    Lease,
    is_alive,
    may_be_alive,
    read_lease,
    release_lease,
    renew_lease,
    take_lease,
)
from symstudy.store import StudyFolder, open_location


@pytest.fixture
def folder(tmp_path):
    filesystem, path = open_location(str(tmp_path))
    return StudyFolder(filesystem, f"{path}/small")


def patiently(_seconds):
    """Wait no time at all."""


def take(folder, launch="first", sleep=patiently):
    return take_lease(folder, launch, since="2026-01-01 00:00:00", sleep=sleep)


def holder(folder):
    """Return the launch that holds the lease; None if none does."""
    lease = read_lease(folder)
    return lease and lease.launch


def dead_process():
    """Return the number of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_a_lease_is_taken_renewed_and_given_up(folder):
    lease = take(folder)
    assert renew_lease(folder, lease).beat == lease.beat + 1
    assert holder(folder) == "first"
    release_lease(folder, lease)
    assert read_lease(folder) is None


def test_a_driver_that_counts_keeps_others_out(folder):
    first = take(folder)

    def count(_seconds):
        nonlocal first
        first = renew_lease(folder, first)

    with pytest.raises(LaunchError, match="one driver at a time.*symstudy cancel"):
        take(folder, "second", sleep=count)
    assert holder(folder) == "first"


def test_a_lease_of_a_dead_process_is_taken_over_at_once(folder):
    lease = Lease("first", platform.node(), dead_process(), "then", 4)
    folder.write_json(lease._asdict(), "control", "lease.json")
    assert not may_be_alive(lease)
    assert take(folder, "second").launch == "second"


def test_a_lease_of_another_machine_that_stands_still_is_taken_over(folder):
    silent = Lease("first", "elsewhere", os.getpid(), "then", 4)
    folder.write_json(silent._asdict(), "control", "lease.json")
    assert may_be_alive(silent)
    waited: list[float] = []
    assert not is_alive(folder, silent, sleep=waited.append)
    assert sum(waited) >= 10
    assert take(folder, "second").launch == "second"


def test_of_two_that_write_at_once_one_goes_on(folder):
    def race(_seconds):
        other = Lease("second", platform.node(), os.getpid(), "now", 0)
        folder.write_json(other._asdict(), "control", "lease.json")

    with pytest.raises(LaunchError, match="must have one driver"):
        take(folder, "first", sleep=race)
    assert holder(folder) == "second"


def test_a_lost_lease_is_noticed_and_not_given_up_for_the_other(folder):
    first = take(folder)
    folder.delete("control", "lease.json")
    take(folder, "second")
    with pytest.raises(LaunchError, match="taken it over"):
        renew_lease(folder, first)
    release_lease(folder, first)
    assert holder(folder) == "second"


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"launch": "x"}'])
def test_a_damaged_lease_is_none(folder, content):
    folder.write_bytes(content, "control", "lease.json")
    assert read_lease(folder) is None
    assert take(folder).launch == "first"
