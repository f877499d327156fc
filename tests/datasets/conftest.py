"""Studies on small files in an empty folder."""

import numpy as np
import pytest

from symstudy.study import make_study
from symstudy.training import train_pack

ROWS = 30


@pytest.fixture
def table():
    """Numbers x `[30, 2]` and y = x1 - 2 x2."""
    x = np.random.default_rng(1).normal(3.0, 2.0, (ROWS, 2))
    return x, x[:, :1] - 2.0 * x[:, 1:]


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    """Be in an empty folder, which is also the place of a study made in Python."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def study_on():
    """Make a study on a data table; keywords win over its other tables."""

    def make(data, **tables):
        values = {
            "schema": 1,
            "name": "own_data",
            "title": "Data of one's own",
            "model": {"kind": "fcn", "width": 6},
            "train": {"lr": 0.01, "batch_size": 6, "steps": 8},
            "probe": {"num": 2, "detail": 1, "samples": 6},
            "data": data,
        }
        return make_study({**values, **tables})

    return make


@pytest.fixture
def task_of(study_on):
    """Return the task of a data table, for seed 0."""
    train = {"lr": 0.01, "batch_size": "full"}
    return lambda data: study_on(data, train=train).cells[0].data.build(0)


@pytest.fixture
def trained():
    """Train all runs of a study in one pack and return their final columns."""
    return lambda study: train_pack(study.runs(), study.pack).runs
