"""One driver at a time, whoever dies."""

import os
import platform
import subprocess
import sys
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import pytest

from symstudy.errors import LaunchError
from symstudy.launch import lease as leases
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
from symstudy.testing.object_store import s3_environment, s3_proxy, s3_server


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


def test_a_driver_of_another_machine_is_not_known_by_the_number_of_its_process(folder):
    driver = Lease("first", "elsewhere", dead_process(), "then", 4)
    folder.write_json(driver._asdict(), "control", "lease.json")

    def count(_seconds):
        nonlocal driver
        driver = renew_lease(folder, driver)

    with pytest.raises(LaunchError, match="one driver at a time"):
        take(folder, "second", sleep=count)
    assert holder(folder) == "first"


@pytest.mark.parametrize("before", [None, Lease("first", "elsewhere", 1, "then", 4)])
def test_of_two_that_find_the_same_lease_one_goes_on(folder, monkeypatch, before):
    """Ours is written last, and another's has come between reading and writing."""
    if before is not None:
        folder.write_json(before._asdict(), "control", "lease.json")
    rival = Lease("second", platform.node(), os.getpid(), "now", 0)

    def write_after_the_rival(folder, lease, seen):
        monkeypatch.undo()
        assert leases.write_lease(folder, rival, seen)
        return leases.write_lease(folder, lease, seen)

    def rival_counts(_seconds):
        nonlocal rival
        if holder(folder) == "second":
            rival = renew_lease(folder, rival)

    monkeypatch.setattr(leases, "write_lease", write_after_the_rival)
    with pytest.raises(LaunchError, match="must have one driver"):
        take(folder, "third", sleep=rival_counts)
    assert holder(folder) == "second"


def test_r8_with_a_slow_put_one_of_two_drivers_goes_on(tmp_path):
    """Writing, waiting and reading back lets both go on when one write takes a second."""
    puts: list[str] = []

    def fault(method, path, forward):
        if method == "PUT":
            puts.append(path)
            time.sleep(1.0 if len(puts) == 1 else 0.0)
        forward()
        return False

    def drive(launch):
        remote = StudyFolder(*open_location("s3://studies/results/small"))
        try:
            lease = take_lease(remote, launch, since="now")
        except LaunchError:
            return None
        for _ in range(5):
            time.sleep(0.5)
            lease = renew_lease(remote, lease)
        return launch

    with s3_server() as address, s3_proxy(address, fault) as slow, s3_environment(slow):
        urllib.request.urlopen(urllib.request.Request(f"{address}/studies", method="PUT")).close()
        with ThreadPoolExecutor(2) as pool:
            drivers = list(pool.map(drive, ("first", "second")))
    assert sorted(launch is None for launch in drivers) == [False, True]


def test_a_lost_lease_is_noticed_and_not_given_up_for_the_other(folder):
    first = take(folder)
    folder.delete("control", "lease.json")
    take(folder, "second")
    with pytest.raises(LaunchError, match="taken it over"):
        renew_lease(folder, first)
    release_lease(folder, first)
    assert holder(folder) == "second"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b'{"launch": "x"}',
        b"[" * 100_000,
        b'{"launch": "x", "host": "y", "pid": -1, "since": "z", "beat": 0}',
        b'{"launch": "x", "host": "y", "pid": "1", "since": "z", "beat": 0}',
        b'{"launch": "x", "host": null, "pid": 1, "since": "z", "beat": 0}',
    ],
)
def test_a_damaged_lease_is_none(folder, content):
    folder.write_bytes(content, "control", "lease.json")
    assert read_lease(folder) is None
    assert take(folder).launch == "first"
