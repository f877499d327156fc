"""Searches on functions instead of trainings."""

from typing import Any

import numpy as np
import pytest

from symstudy.launch.search import SearchState
from symstudy.launch.search.methods import propose
from symstudy.launch.search.trials import EvaluatedTrial, Result, make_trials
from symstudy.study import make_study


@pytest.fixture
def study_with():
    """Make a small study with a search; keywords win over its tables key by key."""

    def make(search, **tables):
        values: dict[str, Any] = {
            "schema": 1,
            "name": "small",
            "title": "A small study",
            "model": {"kind": "fcn", "depth": 2},
            "data": {"kind": "teacher_student", "samples": 40, "test_samples": 30},
            "train": {"steps": 20, "batch_size": 8},
            "probe": {"num": 4, "detail": 2, "samples": 16},
            "search": {"objective": "test_loss", **search},
        }
        for name, table in tables.items():
            joined = {**values.get(name, {}), **table}
            values[name] = {key: value for key, value in joined.items() if value is not None}
        return make_study(values)

    return make


@pytest.fixture
def search_of(study_with):
    """Make the search of a small study."""

    def make(search, **tables):
        study = study_with(search, **tables)
        assert study.search is not None
        return study.search

    return make


@pytest.fixture
def play():
    """Play a branch of a search to its end: `answer(run)` is the value of a run, None if it has
    none, or the name of an outcome."""

    def to_the_end(search, answer, branch=0, asked=(), rounds=200):
        asked = list(asked)
        for _ in range(rounds):
            proposals = propose(search, branch, asked)
            if not proposals:
                break
            first = 1 + max((a.trial.number for a in asked), default=-1)
            for trial in make_trials(search, branch, first, proposals):
                results = tuple(
                    Result(value, None, 20)
                    if isinstance(value, str)
                    else Result("done", None if value is None else float(value), 20)
                    for value in map(answer, trial.runs)
                )
                asked.append(EvaluatedTrial(trial, results))
        return asked

    return to_the_end


@pytest.fixture
def noise():
    """Return a number of a run that depends on nothing else."""
    return lambda run: np.random.default_rng(int(run.run_id, 16)).normal()


@pytest.fixture
def points_of():
    """Return the points that a state has asked for, by branch."""

    def points(state: SearchState):
        return [[dict(trial.point) for trial in trials] for trials in state.trials]

    return points
