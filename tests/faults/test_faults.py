"""A short part of the fault campaign: a dozen faults. All of it: `make test-faults`."""

import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.mark.slow
def test_no_fault_loses_doubles_or_changes_a_run() -> None:
    # In a process of its own: its children are forked from one that has trained nothing.
    command = [sys.executable, str(HERE / "campaign.py"), "--seed", "7", "--faults", "12"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "no run lost, none doubled" in done.stdout
