"""Sockets stand for Ray here; Ray itself is killed in `tests/faults/ray_campaign.py`."""

import socket
import subprocess
import sys
import threading
import time

import pytest

from symstudy.errors import LaunchError
from symstudy.launch import RayLauncher
from symstudy.launch.launchers import ray_connection as module
from symstudy.launch.launchers.ray_connection import Lifeline, run_beside
from symstudy.study import PackConfig


class Ray:
    """A raylet and a control store that can be ended."""

    def __init__(self, folder):
        self.place = str(folder / "raylet")
        self.raylet = socket.socket(socket.AF_UNIX)
        self.raylet.bind(self.place)
        self.raylet.listen()
        self.store = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self.store.getsockname()[1]}"

    def end_raylet(self):
        connection, _ = self.raylet.accept()
        connection.close()
        self.raylet.close()

    def close(self):
        self.raylet.close()
        self.store.close()


@pytest.fixture
def ray(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "STORE_LOOK_S", 0.01)
    standing_in = Ray(tmp_path)
    yield standing_in
    standing_in.close()


@pytest.fixture
def connect(ray):
    """Make lifelines that are closed with the test."""
    made = []

    def of(patience_s=0.0):
        made.append(Lifeline(ray.place, ray.address, patience_s))
        return made[-1]

    yield of
    for lifeline in made:
        lifeline.close()


def test_nothing_is_lost_while_ray_is_there(ray, connect):
    lifeline = connect()
    time.sleep(0.02)
    assert lifeline.lost() == ""


def test_a_raylet_that_ends_is_missed(ray, connect):
    lifeline = connect()
    ray.end_raylet()
    assert "raylet" in lifeline.lost()
    assert lifeline.reason


def test_a_raylet_that_was_never_there_is_missed(ray, tmp_path):
    lifeline = Lifeline(str(tmp_path / "none"), ray.address, 0.0)
    assert "raylet" in lifeline.lost()
    lifeline.close()


def test_a_control_store_that_ends_is_missed(ray, connect):
    lifeline = connect()
    ray.store.close()
    time.sleep(0.02)
    assert "control store" in lifeline.lost()


def test_the_control_store_of_a_cluster_may_be_restarted(ray, connect):
    lifeline = connect(patience_s=60.0)
    ray.store.close()
    time.sleep(0.02)
    assert lifeline.lost() == ""
    lifeline.patience_s = 0.01
    time.sleep(0.02)
    assert "control store" in lifeline.lost()


def test_work_that_hangs_is_left_when_ray_is_lost(ray, connect):
    lifeline = connect()
    hang = threading.Event()
    ray.end_raylet()
    with pytest.raises(LaunchError, match=r"raylet on this machine has ended.*same command again"):
        run_beside(lifeline, hang.wait, hang.set)
    hang.set()


def test_an_error_that_a_lost_ray_causes_is_told_as_such(ray, connect):
    lifeline = connect()

    def fail():
        ray.end_raylet()
        raise SystemExit(0)

    with pytest.raises(LaunchError, match="raylet"):
        run_beside(lifeline, fail, fail)


def test_any_other_error_of_the_work_is_raised(ray, connect, monkeypatch):
    monkeypatch.setattr(module, "LAST_LOOK_S", 0.05)

    def fail():
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run_beside(connect(), fail, fail)


def test_an_interrupt_has_the_work_end_first(ray, connect, monkeypatch):
    is_told = threading.Event()
    ended = []

    def work():
        is_told.wait()
        ended.append(True)

    def interrupt(lifeline):
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "check", interrupt)
    with pytest.raises(KeyboardInterrupt):
        run_beside(connect(), work, is_told.set)
    assert ended


def test_a_ray_that_does_not_start_is_told(monkeypatch):
    import ray

    def time_out(**_):
        raise Exception("The node timed out\nduring startup.")  # noqa: TRY002  # as Ray does

    monkeypatch.setattr(ray, "init", time_out)
    message = r"must start on this machine.*timed out during startup\. Run the same command again"
    with pytest.raises(LaunchError, match=message):
        RayLauncher(PackConfig()).__enter__()


def test_a_process_without_ray_ends_before_ray_can_end_it():
    code = (
        "import atexit, os, sys\n"
        "atexit.register(os._exit, 1)\n"  # what Ray would do
        "from symstudy.launch.launchers.ray_connection import leave_without_ray\n"
        "leave_without_ray(2)\n"
        "sys.stdout.write('said')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "said")
