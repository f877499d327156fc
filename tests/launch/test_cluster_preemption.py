"""Saving what runs on a machine; only processes of these tests are ever told."""

import subprocess
import sys
import time

import psutil
import pytest

from symstudy.launch.cluster.preemption import Processes, find_processes, is_driver, save_and_end

WAITS = (
    "import signal, sys, time\n"
    "signal.signal(signal.{signal}, lambda *_: (time.sleep(0.2), sys.exit({status})))\n"
    "print('ready', flush=True)\n"
    "time.sleep(60)\n"
)


class Machine:
    """Processes that a test has started, as those of a machine."""

    def __init__(self, folder):
        self.folder = folder
        self.started = []

    @property
    def processes(self):
        return [psutil.Process(process.pid) for process in self.started if process.poll() is None]

    def start_worker(self, code):
        """Start Python under the title that Ray gives a worker."""
        return self.start(["ray::PackTrial.train", "-c", code])

    def start_driver(self, code):
        """Start a script that is called and typed as the program is."""
        script = self.folder / "symstudy"
        script.write_text(code)
        return self.start(["python", str(script), "run", "study.toml"])

    def start(self, words):
        process = subprocess.Popen(words, executable=sys.executable, stdout=subprocess.PIPE)
        assert process.stdout is not None
        process.stdout.readline()
        self.started.append(process)
        return process


@pytest.fixture
def machine(tmp_path):
    """A machine of our own; whatever is left of it ends with the test."""
    found = Machine(tmp_path)
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
    assert not is_driver([])


def test_a_worker_is_known_by_the_title_that_ray_gives_it(machine):
    process = machine.start_worker(WAITS.format(signal="SIGTERM", status=0))
    assert find_processes(machine.processes) == Processes([], [process.pid])
    assert process.pid in find_processes().workers


def test_workers_and_drivers_are_asked_to_save_and_waited_for(machine):
    worker = machine.start_worker(WAITS.format(signal="SIGTERM", status=7))
    driver = machine.start_driver(WAITS.format(signal="SIGUSR1", status=130))
    assert find_processes(machine.processes) == Processes([driver.pid], [worker.pid])
    assert save_and_end(20.0, machine.processes) == Processes([], [])
    assert worker.wait(10) == 7
    assert driver.wait(10) == 130


def test_a_driver_that_does_not_end_is_told_of_after_the_time(machine):
    stubborn = WAITS.format(signal="SIGUSR1", status=0).replace("sys.exit(0)", "None")
    driver = machine.start_driver(stubborn)
    start = time.monotonic()
    assert save_and_end(0.5, machine.processes) == Processes([driver.pid], [])
    assert time.monotonic() - start >= 0.5


def test_nothing_to_save_takes_no_time():
    start = time.monotonic()
    assert save_and_end(30.0, []) == Processes([], [])
    assert time.monotonic() - start < 5
