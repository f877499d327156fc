"""Sockets stand for Ray here; Ray itself is killed in `tests/faults/ray_campaign.py`."""

import socket
import subprocess
import sys
import threading
import time

import pytest

from symstudy.errors import LaunchError
from symstudy.launch import RayLauncher
from symstudy.launch.tune import connection as module
from symstudy.launch.tune.connection import RayConnection, run_while_connected
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
        accepted, _ = self.raylet.accept()
        accepted.close()
        self.raylet.close()

    def close(self):
        self.raylet.close()
        self.store.close()


@pytest.fixture
def ray(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "STORE_POLL_S", 0.01)
    standing_in = Ray(tmp_path)
    yield standing_in
    standing_in.close()


@pytest.fixture
def connect(ray):
    """Make connections that are closed with the test."""
    made = []

    def of(patience_s=0.0):
        made.append(RayConnection(ray.place, ray.address, patience_s))
        return made[-1]

    yield of
    for connection in made:
        connection.close()


def test_nothing_is_lost_while_ray_is_there(ray, connect):
    connection = connect()
    time.sleep(0.02)
    assert connection.lost() == ""


def test_a_raylet_that_ends_is_missed(ray, connect):
    connection = connect()
    ray.end_raylet()
    assert "raylet" in connection.lost()
    assert connection.reason


def test_a_raylet_that_was_never_there_is_missed(ray, tmp_path):
    connection = RayConnection(str(tmp_path / "none"), ray.address, 0.0)
    assert "raylet" in connection.lost()
    connection.close()


def test_a_control_store_that_ends_is_missed(ray, connect):
    connection = connect()
    ray.store.close()
    time.sleep(0.02)
    assert "control store" in connection.lost()


def test_the_control_store_of_a_cluster_may_be_restarted(ray, connect):
    connection = connect(patience_s=60.0)
    ray.store.close()
    time.sleep(0.02)
    assert connection.lost() == ""
    connection.patience_s = 0.01
    time.sleep(0.02)
    assert "control store" in connection.lost()


def test_work_that_hangs_is_left_when_ray_is_lost(ray, connect):
    connection = connect()
    hang = threading.Event()
    ray.end_raylet()
    with pytest.raises(LaunchError, match=r"raylet on this machine has ended.*same command again"):
        run_while_connected(connection, hang.wait, hang.set)
    hang.set()


def test_an_error_that_a_lost_ray_causes_is_told_as_such(ray, connect):
    connection = connect()

    def fail():
        ray.end_raylet()
        raise SystemExit(0)

    with pytest.raises(LaunchError, match="raylet"):
        run_while_connected(connection, fail, fail)


def test_any_other_error_of_the_work_is_raised(ray, connect, monkeypatch):
    monkeypatch.setattr(module, "LAST_POLL_S", 0.05)

    def fail():
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run_while_connected(connect(), fail, fail)


def test_an_interrupt_has_the_work_end_first(ray, connect, monkeypatch):
    is_told = threading.Event()
    ended = []

    def work():
        is_told.wait()
        ended.append(True)

    def interrupt(connection):
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "check", interrupt)
    with pytest.raises(KeyboardInterrupt):
        run_while_connected(connect(), work, is_told.set)
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
        "from symstudy.launch.tune.connection import exit_without_ray\n"
        "exit_without_ray(2)\n"
        "sys.stdout.write('said')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "said")
