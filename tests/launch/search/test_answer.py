"""A search ends with what it has found, in a sentence."""

import pytest

from symstudy.launch.search.answer import answer_of

GAMMA = {"train.gamma": {"linear": [0.0, 1.0]}}


def gamma(run):
    return run.cell.train.gamma


@pytest.fixture
def answer(search_of, play):
    def of(value, branch=0, **tables):
        tables.setdefault("train", {"lr": 0.1})
        tables.setdefault("sweep", {"seed": 3})
        search = search_of(tables.pop("search"), **tables)
        return answer_of(search, branch, play(search, value, branch))

    return of


def test_a_bisection_tells_between_which_values_the_condition_changes(answer):
    table = {"method": "bisect", "space": GAMMA, "batch": 3, "resolution": 0.3}
    assert answer(lambda run: gamma(run) - 0.6, search=table) == (
        "'test_loss' changes between train.gamma = 0.5 and 0.75"
    )


@pytest.mark.parametrize(("value", "holds"), [(0.1, ""), (-0.1, "not "), (0.0, "not ")])
def test_a_condition_that_does_not_change_is_told(answer, value, holds):
    table = {"method": "bisect", "space": GAMMA, "batch": 3}
    assert answer(lambda _: value, search=table) == (
        f"'test_loss' is {holds}above 0 at both ends, train.gamma = 0.0 and 1.0: a bisection needs "
        "ends that differ"
    )
    assert answer(lambda _: "diverged", search=table) == "'test_loss' has no value at any point"


@pytest.mark.parametrize(("direction", "sign"), [("minimize", 1), ("maximize", -1)])
def test_the_best_point_is_told_with_its_value(answer, direction, sign):
    table = {"method": "random", "space": GAMMA, "trials": 6, "direction": direction}
    found = answer(lambda run: sign * (abs(gamma(run) - 0.5) + run.seed), search=table)
    values = set()

    def kept(run):
        values.add(gamma(run))
        return 0.0

    answer(kept, search=table)
    best = min(values, key=lambda value: abs(value - 0.5))
    value = sign * (abs(best - 0.5) + 1.0)
    assert found == (
        f"best of 6 points: train.gamma = {best}, with 'test_loss' = {value:.6g}, the mean of 3 "
        "seeds"
    )


def test_points_without_a_value_are_counted_and_branches_named(answer):
    table = {"method": "random", "space": GAMMA, "trials": 4}
    sweep = {"seed": 1, "model.width": [4, 8]}
    found = answer(lambda _: None, branch=1, search=table, sweep=sweep)
    assert found == "at model.width = 8, none of 4 points has a value of 'test_loss'"
