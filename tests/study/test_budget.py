"""What of a study fits a time: balanced, nested, and told."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from symstudy.errors import UserError
from symstudy.study import make_study
from symstudy.study.budget import FEWEST, choices_of, entry_levels, fit_budget
from symstudy.study.cost import Speed
from symstudy.study.sweep import Axis
from symstudy.testing.strategies import small_studies

GAMMAS = [0.0, 1e-3, 2e-3, 5e-3, 0.01, 0.02, 0.05]


GRID = {"train.gamma": GAMMAS, "model.width": [16, 32, 64, 128, 256], "seed": 10}


def study_of(**sweep):
    return make_study(
        {
            "schema": 1,
            "name": "x",
            "model": {"kind": "fcn", "width": 64},
            "data": {"kind": "digits"},
            "train": {"lr": 0.01, "batch_size": 50, "steps": 20_000},
            "sweep": sweep or GRID,
        }
    )


def fit(study, seconds, **options):
    return fit_budget(study, seconds, workers=2, **options)


def levels(*values):
    return entry_levels(Axis(("train.gamma",), tuple((value,) for value in values)))


def test_ends_come_first_then_middles():
    assert levels(*range(9)) == [0, 3, 2, 3, 1, 3, 2, 3, 0]
    assert levels(1.0, 2.0) == [0, 0]
    assert levels(1.0) == [0]


def test_values_are_thinned_in_their_order_not_that_of_the_file():
    assert levels(5, 1, 3, 2, 4) == [0, 0, 1, 2, 2]


def test_names_are_never_left_out():
    assert levels("relu", "tanh", "linear") == [0, 0, 0]
    assert levels(True, False) == [0, 0]


def test_zipped_values_are_thinned_within_each_value_that_repeats():
    points = [(2, 0.1), (2, 0.2), (2, 0.3), (3, 0.4), (3, 0.5), (3, 0.6)]
    axis = Axis(("model.depth", "train.gamma"), tuple(points))
    assert entry_levels(axis) == [0, 1, 0, 0, 1, 0]
    together = Axis(("train.lr", "train.steps"), ((5e-3, 400), (2e-3, 1000), (1e-3, 2000)))
    assert entry_levels(together) == [0, 1, 0]


def test_values_shared_between_the_groups_of_a_zip_are_thinned_too():
    points = [(2, 0.1), (2, 0.2), (2, 0.3), (3, 0.1), (3, 0.2), (3, 0.3)]
    axis = Axis(("model.depth", "train.gamma"), tuple(points))
    assert entry_levels(axis) == [0, 1, 0, 0, 1, 0]


@settings(deadline=None)
@given(small_studies())
def test_each_choice_holds_the_one_before_and_the_last_is_the_study(study):
    choices = choices_of(study)
    for small, large in itertools.pairwise(choices):
        assert all(a <= b for a, b in zip(small.levels, large.levels, strict=True))
        assert small.seeds <= large.seeds
        assert small != large
    assert fit(study, 1e12).study.runs() == study.runs()


@settings(max_examples=25, deadline=None)
@given(st.integers(20, 100_000), st.integers(20, 100_000))
def test_what_a_small_budget_trains_is_part_of_what_a_larger_one_trains(one, other):
    study = study_of()
    parts = []
    for seconds in sorted((one, other)):
        try:
            parts.append({run.run_id for run in fit(study, seconds).study.runs()})
        except UserError:
            parts.append(set())
    assert parts[0] <= parts[1]


def test_a_study_that_fits_is_left_whole():
    study = study_of()
    found = fit(study, 1e9)
    assert found.is_whole
    assert found.describe() == []
    assert found.study == study


def test_seeds_go_first_and_evenly():
    study = study_of()
    whole = fit(study, 1e9).forecast.wall
    found = fit(study, 0.7 * whole)
    assert FEWEST <= len(found.study.seeds) < 10
    assert found.study.cells == study.cells
    assert found.study.seeds == tuple(range(len(found.study.seeds)))
    assert found.describe() == [f"{10 - len(found.study.seeds)} of 10 seeds of every cell"]
    assert found.forecast.wall <= 0.7 * whole


def test_then_the_grid_is_thinned_keeping_its_ends():
    study = study_of()
    whole = fit(study, 1e9).forecast.wall
    found = fit(study, 0.2 * whole)
    assert len(found.study.seeds) == FEWEST
    kept = {
        field: sorted({point[0] for point in axis.points})
        for axis in found.study.axes
        for field in axis.fields
    }
    assert {len(values) for values in kept.values()} <= set(range(2, 7))
    assert (kept["train.gamma"][0], kept["train.gamma"][-1]) == (0.0, 0.05)
    assert (kept["model.width"][0], kept["model.width"][-1]) == (16, 256)
    pairs = {(cell.train.gamma, cell.model.width) for cell in found.study.cells}
    assert pairs == set(itertools.product(kept["train.gamma"], kept["model.width"]))
    assert any("values of train.gamma" in line for line in found.describe())
    assert found.forecast.wall <= 0.2 * whole


def test_few_seeds_are_kept_all():
    study = study_of(seed=3)
    assert len(fit(study, 1e9).study.seeds) == 3
    assert [choice.seeds for choice in choices_of(study)] == [3]


def test_a_slower_machine_fits_less():
    study = study_of()
    whole = fit(study, 1e9).forecast.wall
    slow = fit(study, whole, speed=Speed({}, 2.0))
    assert len(slow.study.runs()) < len(study.runs())
    assert slow.forecast.wall <= whole


def test_a_budget_that_nothing_fits_says_what_would():
    study = study_of()
    with pytest.raises(UserError, match=r"--budget must be at least (\d+)(s|min)") as raised:
        fit(study, 10)
    least = str(raised.value).split("at least ")[1].split(",")[0]
    seconds = float(least[:-1]) if least.endswith("s") else 60 * float(least[:-3])
    smallest = fit(study, seconds).study
    assert len(smallest.cells) == 4
    assert len(smallest.seeds) == FEWEST


def test_what_was_begun_is_part_of_the_choice():
    study = study_of()
    whole = fit(study, 1e9).forecast.wall
    begun = fit(study, 0.5 * whole).study
    planned = {run.run_id for run in begun.runs()}
    assert fit(study, 0.2 * whole, planned=planned).study == begun
    more = fit(study, 0.8 * whole, planned=planned).study
    assert planned < {run.run_id for run in more.runs()}


def test_a_search_has_a_budget_of_its_own():
    study = make_study(
        {
            "schema": 1,
            "name": "x",
            "model": {"kind": "fcn"},
            "data": {"kind": "identity"},
            "train": {"lr": 0.1, "steps": 10},
            "sweep": {"seed": 2},
            "search": {
                "method": "random",
                "objective": "test_loss",
                "trials": 4,
                "space": {"train.gamma": {"log": [1e-3, 1.0]}},
            },
        }
    )
    with pytest.raises(UserError, match="search.trials"):
        fit(study, 1e9)
