"""A planted study."""

import pytest

from symstudy.study import make_study
from symstudy.testing.stores import plant_store


def measures_of(run):
    gamma = run.cell.train.gamma
    if gamma == 0.1 and run.seed == 1:
        return {"outcome": "diverged", "reason": "The loss grew.", "test_loss": None}
    return {
        "test_loss": run.cell.model.width + gamma + run.seed,
        "distinct_neurons": run.cell.model.width,
        "squared_norm": 1.0,
    }


@pytest.fixture
def study():
    return make_study(
        {
            "schema": 1,
            "name": "planted",
            "title": "Planted",
            "model": {"kind": "fcn"},
            "data": {"kind": "identity"},
            "train": {"lr": 0.01},
            "sweep": {"model.width": [4, 8], "train.gamma": [0.0, 0.1], "seed": 3},
        }
    )


@pytest.fixture
def store(tmp_path, study):
    return plant_store(tmp_path, study, measures_of, pack_size=5)
