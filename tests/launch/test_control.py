"""Requests to stop, progress and dispatch, between a driver, its workers and other terminals."""

import os
import signal
import time

import pytest

from symstudy.errors import ChangedError, LaunchError, StoreError
from symstudy.launch.control import DriverControl, read_progress, request_stop, stop_reason
from symstudy.launch.dispatch import Dispatch, stop_on_signals
from symstudy.launch.lease import TAKEN_OVER, read_lease
from symstudy.launch.messages import PackReport
from symstudy.launch.source import PlannedSource
from symstudy.store import StudyFolder, open_location
from symstudy.study import plan_packs


@pytest.fixture
def folder(tmp_path):
    filesystem, path = open_location(str(tmp_path))
    return StudyFolder(filesystem, f"{path}/small")


@pytest.fixture
def control(folder, monkeypatch):
    monkeypatch.setattr("symstudy.launch.control.BEAT_S", 0.1)
    with DriverControl(folder, "mine", "now", lambda: {"share": 0.5}) as control:
        yield control


@pytest.fixture
def packs(study_of):
    study = study_of(sweep={"seed": 4}, pack={"size": 1})
    return plan_packs(study.runs(), study.pack)


def report(pack, paused="", *, is_refused=False):
    return PackReport(
        pack_id=pack.pack_id,
        runs=1,
        failed=0,
        run_steps=1,
        seconds=0.1,
        paused=paused,
        is_refused=is_refused,
    )


def wait_for(condition):
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def test_a_request_stops_the_launch_it_names_alone(folder, control):
    request_stop(folder, "another", "no")
    wait_for(lambda: read_progress(folder, "mine"))
    assert control.stopping == ""
    request_stop(folder, "mine", "cancelled")
    wait_for(lambda: control.stopping)
    assert control.stopping == "cancelled"


def test_workers_hear_of_a_stop_of_the_driver(folder, control):
    control.stop("enough")
    wait_for(lambda: stop_reason(folder, "mine"))
    assert stop_reason(folder, "mine") == "enough"
    assert stop_reason(folder, "another") == ""


def test_progress_is_published_and_the_lease_given_up(folder):
    with DriverControl(folder, "mine", "now", lambda: {"share": 0.5}):
        lease = read_lease(folder)
        assert lease
        assert lease.launch == "mine"
    assert read_progress(folder, "mine") == {"launch": "mine", "share": 0.5}
    assert read_progress(folder, "another") is None
    others: tuple[object, ...] = ([], "mine", None, 3)
    for other in others:
        folder.write_json(other, "control", "progress.json")
        folder.write_json(other, "control", "stop.json")
        assert read_progress(folder, "mine") is None
        assert stop_reason(folder, "mine") == ""
    assert read_lease(folder) is None


def test_a_driver_that_was_replaced_ends(folder, control, packs):
    lease = read_lease(folder)
    assert lease
    folder.write_json(lease._replace(launch="other")._asdict(), "control", "lease.json")
    wait_for(lambda: control.is_replaced)
    dispatch = Dispatch(PlannedSource(packs, "x"), control)
    assert dispatch.next_assignment() is None
    with pytest.raises(LaunchError, match=TAKEN_OVER):
        dispatch.check()
    assert stop_reason(folder, "mine") == ""


def test_packs_are_dispatched_until_the_launch_is_to_stop(control, packs):
    dispatch = Dispatch(PlannedSource(packs, "x"), control)
    assignment = dispatch.next_assignment()
    assert assignment
    assert assignment.pack is packs[0]
    control.stop("enough")
    assert dispatch.is_over
    assert dispatch.next_assignment() is None
    dispatch.ended(report(packs[0], "enough"))
    dispatch.check()


def test_results_that_cannot_be_written_are_told_at_the_end(control, packs):
    dispatch = Dispatch(PlannedSource(packs, "x"), control)
    dispatch.next_assignment()
    dispatch.ended(report(packs[0], "the results must be writable."))
    assert dispatch.is_over
    with pytest.raises(StoreError, match="must be writable.*same command again"):
        dispatch.check()


def test_changed_code_ends_a_launch_without_another_attempt(control, packs):
    dispatch = Dispatch(PlannedSource(packs, "mine.parquet"), control)
    dispatch.next_assignment()
    dispatch.ended(report(packs[0], "the source has changed since.", is_refused=True))
    assert dispatch.is_over
    with pytest.raises(ChangedError, match=r"has changed since\.$"):
        dispatch.check()


def test_a_worker_may_see_a_request_to_stop_before_its_driver(folder, control, packs):
    dispatch = Dispatch(PlannedSource(packs, "x"), control)
    dispatch.next_assignment()
    request_stop(folder, "mine", "cancelled")
    dispatch.ended(report(packs[0], "cancelled"))
    assert control.stopping == "cancelled"
    dispatch.check()


def test_a_launch_that_ends_with_packs_left_is_told(control, packs):
    dispatch = Dispatch(PlannedSource(packs[:1], "x"), control)
    with pytest.raises(LaunchError, match="0 in training and others not begun"):
        dispatch.check()
    dispatch.next_assignment()
    with pytest.raises(LaunchError, match="1 in training.*same command again"):
        dispatch.check()
    dispatch.ended(report(packs[0]))
    dispatch.check()


def test_a_source_that_waits_for_a_lost_pack_is_not_waited_for(control, packs):
    class Chain(PlannedSource):
        @property
        def is_over(self):
            return False

    dispatch = Dispatch(Chain(packs[:1], "x"), control)
    assignment = dispatch.next_assignment()
    assert assignment
    assert dispatch.next_assignment() is None
    assert [dispatch.is_over] == [False]
    dispatch.lost(assignment.pack.pack_id)
    assert dispatch.next_assignment() is None
    assert dispatch.is_over
    with pytest.raises(StoreError, match="lost"):
        dispatch.check()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1, signal.SIGINT])
def test_a_signal_stops_with_the_state_kept(control, number):
    with stop_on_signals(control):
        os.kill(os.getpid(), number)
        wait_for(lambda: control.stopping)
    assert control.stopping == f"stopped by {number.name}"


def interrupt_twice(control):
    os.kill(os.getpid(), signal.SIGINT)
    wait_for(lambda: control.stopping)
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(5)


def test_a_second_interrupt_is_at_once(control):
    with stop_on_signals(control), pytest.raises(KeyboardInterrupt):
        interrupt_twice(control)


def test_a_launch_that_is_refused_leaves_nothing(folder):
    control = DriverControl(folder, "mine", "now", dict)

    def refused():
        with control:
            raise LaunchError("no such cluster")

    with pytest.raises(LaunchError, match="no such cluster"):
        refused()
    assert not folder.exists()


def test_a_launch_that_fails_later_leaves_its_progress(folder):
    control = DriverControl(folder, "mine", "now", dict)

    def ended():
        with control:
            folder.write_json({}, "study.json")
            raise LaunchError("the disk is full")

    with pytest.raises(LaunchError, match="the disk is full"):
        ended()
    assert read_progress(folder, "mine") is not None
