"""A short part of the fault campaign on Ray; all of it: `python tests/faults/ray_campaign.py`."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.xdist_group("ray")]
HERE = Path(__file__).parent


@pytest.mark.timeout(1200)
def test_no_death_of_ray_or_its_driver_loses_doubles_or_changes_a_run() -> None:
    options = ["--seed", "3", "--faults", "10", "--deaths", "4", "seed=2"]
    command = [sys.executable, str(HERE / "ray_campaign.py"), *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "no run lost, none doubled" in done.stdout
