"""The program, called as a user calls it."""

import os
import subprocess
import sys

import pytest

from symstudy.launch import InlineLauncher, run_study
from symstudy.study import load_study


@pytest.fixture(scope="session")
def program():
    """Run the program in a process of its own and return what it said."""

    def call(*arguments, cwd=None, stdin="", env=None):
        return subprocess.run(
            [sys.executable, "-m", "symstudy", *map(str, arguments)],
            capture_output=True,
            text=True,
            input=stdin,
            cwd=cwd,
            env=env,
            check=False,
        )

    return call


@pytest.fixture
def environment() -> dict[str, str]:
    """The variables of this process."""
    return dict(os.environ)


@pytest.fixture(scope="session")
def results(tmp_path_factory, request):
    """Results of the smoke study, trained once."""
    place = tmp_path_factory.mktemp("results of 'smoke'")
    study = load_study(request.config.rootpath / "studies" / "smoke.toml")
    run_study(study, str(place), InlineLauncher(device="cpu"))
    return place
