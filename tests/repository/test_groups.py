"""Tests of one group run on one worker."""

import subprocess
import sys

TESTS = """
import os
import pytest

@pytest.fixture(scope="module")
def made():
    print("made here")

@pytest.mark.parametrize("number", range(6))
def test_of_a_module(made, number):
    print("of the module by", os.environ["PYTEST_XDIST_WORKER"])

@pytest.mark.xdist_group("together")
@pytest.mark.parametrize("number", range(6))
def test_of_a_group(number):
    print("of the group by", os.environ["PYTEST_XDIST_WORKER"])

@pytest.mark.parametrize("number", range(6))
def test_of_none(number):
    print("of none by", os.environ["PYTEST_XDIST_WORKER"])
"""


def test_tests_of_a_group_or_with_a_fixture_of_their_module_share_a_worker(root, tmp_path):
    (tmp_path / "conftest.py").write_text((root / "tests" / "conftest.py").read_text())
    (tmp_path / "test_grouped.py").write_text(TESTS)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-n", "2", "--dist", "loadgroup", "-rP", str(tmp_path)],
        cwd=tmp_path, capture_output=True, text=True, check=True,
    )  # fmt: skip
    lines = [line for line in done.stdout.splitlines() if " by gw" in line]
    assert len(lines) == 18, done.stdout
    workers = {what: {line[-3:] for line in lines if what in line} for what in ("module", "group")}
    assert {len(each) for each in workers.values()} == {1}, workers
    assert done.stdout.count("made here") == 1
