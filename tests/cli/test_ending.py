import subprocess
import sys

import pytest

from symstudy.cli.ending import status_of


@pytest.mark.parametrize(("code", "status"), [(None, 0), (0, 0), (2, 2), ("wrong", 1)])
def test_the_exit_status_is_pythons(code, status):
    assert status_of(code) == status
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.exit({code!r})"], capture_output=True, check=False
    )
    assert done.returncode == status


def ended(body):
    """Return what a program says whose `main` is `body`, and its exit status."""
    program = (
        "import atexit, sys, threading, time\n"
        "from symstudy.cli import ending\n"
        f"def main():\n    {body}\n"
        "ending.main = main\n"
        "atexit.register(print, 'told at the end')\n"
        "ending.program()\n"
    )
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )


def test_what_asks_to_be_told_is_told_and_threads_are_waited_for():
    body = (
        "threading.Thread(target=lambda: (time.sleep(0.3), print('thread'))).start(); sys.exit(3)"
    )
    # What the program itself registered before it began is called last, so it may be lost.
    done = ended("atexit.register(print, 'tracker'); " + body)
    assert done.stdout.splitlines()[:2] == ["thread", "tracker"]
    assert done.returncode == 3


def test_an_error_keeps_its_traceback_and_its_status():
    done = ended("raise RuntimeError('of ours')")
    assert done.returncode == 1
    assert "RuntimeError: of ours" in done.stderr


def test_the_program_ends_with_its_status(process, tmp_path):
    assert process("list", "studies").returncode == 0
    assert process("list", "nonsense").returncode == 2
