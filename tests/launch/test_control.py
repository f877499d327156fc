"""What passes between a driver, its workers and other terminals."""

import os
import signal
import time

import pytest

from symstudy.errors import LaunchError, StoreError
from symstudy.launch.control import Warden, read_progress, request_stop, stop_reason
from symstudy.launch.dispatch import Gate, heard_signals
from symstudy.launch.job import PackReport
from symstudy.launch.lease import TAKEN_OVER, read_lease
from symstudy.launch.source import PlannedSource
from symstudy.store import StudyFolder, open_location
from symstudy.study import plan_packs


@pytest.fixture
def folder(tmp_path):
    filesystem, path = open_location(str(tmp_path))
    return StudyFolder(filesystem, f"{path}/small")


@pytest.fixture
def warden(folder, monkeypatch):
    monkeypatch.setattr("symstudy.launch.control.BEAT_S", 0.1)
    with Warden(folder, "mine", "now", lambda: {"share": 0.5}) as warden:
        yield warden


@pytest.fixture
def packs(study_of):
    study = study_of(sweep={"seed": 4}, pack={"size": 1})
    return plan_packs(study.runs(), study.pack)


def report(pack, paused=""):
    return PackReport(
        pack_id=pack.pack_id, runs=1, failed=0, run_steps=1, seconds=0.1, paused=paused
    )


def wait_for(condition):
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def test_a_request_stops_the_launch_it_names_alone(folder, warden):
    request_stop(folder, "another", "no")
    wait_for(lambda: read_progress(folder, "mine"))
    assert warden.stopping == ""
    request_stop(folder, "mine", "cancelled")
    wait_for(lambda: warden.stopping)
    assert warden.stopping == "cancelled"


def test_workers_hear_of_a_stop_of_the_driver(folder, warden):
    warden.stop("enough")
    wait_for(lambda: stop_reason(folder, "mine"))
    assert stop_reason(folder, "mine") == "enough"
    assert stop_reason(folder, "another") == ""


def test_progress_is_published_and_the_lease_given_up(folder):
    with Warden(folder, "mine", "now", lambda: {"share": 0.5}):
        lease = read_lease(folder)
        assert lease
        assert lease.launch == "mine"
    assert read_progress(folder, "mine") == {"launch": "mine", "share": 0.5}
    assert read_progress(folder, "another") is None
    assert read_lease(folder) is None


def test_a_driver_that_was_replaced_ends(folder, warden, packs):
    lease = read_lease(folder)
    assert lease
    folder.write_json(lease._replace(launch="other")._asdict(), "control", "lease.json")
    wait_for(lambda: warden.is_replaced)
    gate = Gate(PlannedSource(packs, "x"), warden)
    assert gate.next_order() is None
    with pytest.raises(LaunchError, match=TAKEN_OVER):
        gate.check()
    assert stop_reason(folder, "mine") == ""


def test_the_gate_hands_out_until_it_is_told_to_stop(warden, packs):
    gate = Gate(PlannedSource(packs, "x"), warden)
    order = gate.next_order()
    assert order
    assert order.pack is packs[0]
    warden.stop("enough")
    assert gate.is_over
    assert gate.next_order() is None
    gate.ended(report(packs[0], "enough"))
    gate.check()


def test_results_that_cannot_be_written_are_told_at_the_end(warden, packs):
    gate = Gate(PlannedSource(packs, "x"), warden)
    gate.next_order()
    gate.ended(report(packs[0], "the results must be writable."))
    assert gate.is_over
    with pytest.raises(StoreError, match="must be writable.*same command again"):
        gate.check()


def test_a_worker_may_see_a_request_to_stop_before_its_driver(folder, warden, packs):
    gate = Gate(PlannedSource(packs, "x"), warden)
    gate.next_order()
    request_stop(folder, "mine", "cancelled")
    gate.ended(report(packs[0], "cancelled"))
    assert warden.stopping == "cancelled"
    gate.check()


def test_a_launch_that_ends_with_packs_left_is_told(warden, packs):
    gate = Gate(PlannedSource(packs[:1], "x"), warden)
    with pytest.raises(LaunchError, match="0 in training and others not begun"):
        gate.check()
    gate.next_order()
    with pytest.raises(LaunchError, match="1 in training.*same command again"):
        gate.check()
    gate.ended(report(packs[0]))
    gate.check()


def test_a_source_that_waits_for_a_lost_pack_is_not_waited_for(warden, packs):
    class Chain(PlannedSource):
        @property
        def is_over(self):
            return False

    gate = Gate(Chain(packs[:1], "x"), warden)
    order = gate.next_order()
    assert order
    assert gate.next_order() is None
    assert [gate.is_over] == [False]
    gate.lost(order.pack.pack_id)
    assert gate.next_order() is None
    assert gate.is_over
    with pytest.raises(StoreError, match="lost"):
        gate.check()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1, signal.SIGINT])
def test_a_signal_stops_with_the_state_kept(warden, number):
    with heard_signals(warden):
        os.kill(os.getpid(), number)
        wait_for(lambda: warden.stopping)
    assert warden.stopping == f"stopped by {number.name}"


def interrupt_twice(warden):
    os.kill(os.getpid(), signal.SIGINT)
    wait_for(lambda: warden.stopping)
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(5)


def test_a_second_interrupt_is_at_once(warden):
    with heard_signals(warden), pytest.raises(KeyboardInterrupt):
        interrupt_twice(warden)


def test_a_launch_that_is_refused_leaves_nothing(folder):
    warden = Warden(folder, "mine", "now", dict)

    def refused():
        with warden:
            raise LaunchError("no such cluster")

    with pytest.raises(LaunchError, match="no such cluster"):
        refused()
    assert not folder.exists()


def test_a_launch_that_fails_later_leaves_its_progress(folder):
    warden = Warden(folder, "mine", "now", dict)

    def ended():
        with warden:
            folder.write_json({}, "study.json")
            raise LaunchError("the disk is full")

    with pytest.raises(LaunchError, match="the disk is full"):
        ended()
    assert read_progress(folder, "mine") is not None
