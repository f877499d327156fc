"""The claims of the repository, loaded as the program loads them."""

import numpy as np
import pytest

from symstudy.findings.discovery import find_project, load_claims
from symstudy.study import load_study
from symstudy.testing.stores import plant_store


@pytest.fixture(scope="session")
def claims(request):
    return load_claims(find_project(request.config.rootpath))


@pytest.fixture
def plant(tmp_path, request):
    """Plant the laptop preset of a shipped study; noise is drawn anew by the number of a repeat."""
    studies = {}

    def make(name, measures_of, repeat=0):
        if name not in studies:
            studies[name] = load_study(request.config.rootpath / "studies" / f"{name}.toml")
        rng = np.random.default_rng([repeat, 12345])
        return plant_store(tmp_path / str(repeat), studies[name], lambda run: measures_of(run, rng))

    return make
