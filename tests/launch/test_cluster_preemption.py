"""Saving what runs on a machine; only processes of these tests are ever told."""

import subprocess
import sys
import time

import pytest

from symstudy.launch.cluster.preemption import Processes, find_processes, is_driver, save_and_end

WAITS = (
    "import signal, sys, time\n"
    "signal.signal(signal.{signal}, lambda *_: (time.sleep(0.2), sys.exit({status})))\n"
    "print('ready', flush=True)\n"
    "time.sleep(60)\n"
)


class Proc:
    """A /proc of only those processes that a test has started."""

    def __init__(self, folder):
        self.folder = folder
        self.started = []

    def start(self, title, code):
        """Start Python under another name and show it."""
        words = [*title, "-c", code] if title[0] == "python" else [*title]
        process = subprocess.Popen(
            [words[0], "-c", code, *words[1:]], executable=sys.executable, stdout=subprocess.PIPE
        )
        assert process.stdout is not None
        process.stdout.readline()
        self.started.append(process)
        (self.folder / str(process.pid)).symlink_to(f"/proc/{process.pid}")
        return process

    def show(self, process, *words):
        """Show a process under another command line."""
        path = self.folder / str(process.pid)
        path.unlink()
        path.mkdir()
        (path / "cmdline").write_bytes("\0".join([*words, ""]).encode())


@pytest.fixture
def proc(tmp_path):
    """A /proc of our own; whatever is left of it ends with the test."""
    found = Proc(tmp_path)
    yield found
    for process in found.started:
        process.kill()
        process.communicate()


def test_drivers_are_known_however_they_are_spelled():
    assert is_driver(["/venv/bin/python", "/venv/bin/symstudy", "run", "a.toml"])
    assert is_driver(["python", "-m", "symstudy", "run", "a.toml"])
    assert not is_driver(["python", "-m", "symstudy", "status"])
    assert not is_driver(["bash", "symstudy", "run"])
    assert not is_driver(["vi", "run"])


def test_a_worker_is_known_by_the_title_that_ray_gives_it(proc):
    process = proc.start(["ray::PackTrial.train"], WAITS.format(signal="SIGTERM", status=0))
    assert find_processes(proc.folder) == Processes([], [process.pid])


def test_workers_and_drivers_are_asked_to_save_and_waited_for(proc):
    worker = proc.start(["ray::PackTrial"], WAITS.format(signal="SIGTERM", status=7))
    driver = proc.start(["python"], WAITS.format(signal="SIGUSR1", status=130))
    proc.show(driver, "python", "-m", "symstudy", "run", "study.toml")
    assert find_processes(proc.folder) == Processes([driver.pid], [worker.pid])
    start = time.monotonic()
    left = save_and_end(1.0, proc.folder)
    # The driver's line stays where it is shown, as that of a process that does not end.
    assert left == Processes([driver.pid], [])
    assert time.monotonic() - start >= 1.0
    assert worker.wait(10) == 7
    assert driver.wait(10) == 130


def test_nothing_to_save_takes_no_time(tmp_path):
    start = time.monotonic()
    assert save_and_end(30.0, tmp_path) == Processes([], [])
    assert time.monotonic() - start < 5
