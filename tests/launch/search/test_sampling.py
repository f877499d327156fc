import json
import sys

import numpy as np
import pytest
from pyarrow.fs import LocalFileSystem

from symstudy.errors import LaunchError, StudyFileError
from symstudy.launch.search.history import History
from symstudy.launch.search.optuna_study import frozen_trial
from symstudy.launch.search.packages import check_packages
from symstudy.launch.search.state import SearchState
from symstudy.launch.search.trials import own_cell
from symstudy.store.files.folder import StudyFolder

SPACE = {
    "train.lr": {"log": [1e-4, 1.0]},
    "train.momentum": {"linear": [0.0, 0.9]},
    "data.label_noise": {"linear": [0.0, 1.0]},
}
METHODS = ["tpe", "cmaes", "qmc", "random"]
"""Those that take milliseconds; gp takes half a second a point."""


@pytest.fixture
def hunt(search_of):
    def make(method, space=SPACE, seeds=1, train=None, data=None, **keys):
        return search_of(
            {"method": method, "space": space, "trials": 40, "batch": 8, **keys},
            train=train or {"optimizer": "sgd"},
            data=data or {},
            sweep={"seed": seeds},
        )

    return make


def bowl(run):
    train = run.cell.train
    return (
        (np.log10(train.lr) + 2) ** 2
        + 4 * (train.value("momentum") - 0.3) ** 2
        + (run.cell.data.label_noise - 0.5) ** 2
    )


def best(search, asked):
    return min(a.value(search.config.reduce) for a in asked)


def points(asked):
    return [dict(a.trial.point) for a in asked]


@pytest.mark.parametrize("method", METHODS)
def test_the_budget_is_spent_on_different_points_of_the_space(hunt, play, method):
    search = hunt(method)
    asked = play(search, bowl)
    assert len(asked) == 40
    assert len({a.trial.cell.cell_id for a in asked}) == 40
    assert all(d.holds(a.trial.point[d.field]) for a in asked for d in search.space)


@pytest.mark.parametrize("method", METHODS)
def test_a_search_that_stops_goes_on_as_if_it_had_not(hunt, play, method):
    search = hunt(method)
    whole = play(search, bowl)
    part = play(search, bowl, rounds=2)
    assert points(part) == points(whole)[: len(part)]
    assert points(play(search, bowl, asked=part)) == points(whole)


@pytest.mark.parametrize("method", METHODS)
def test_the_seed_decides(hunt, play, method):
    one, other = (play(hunt(method, seed=seed), bowl, rounds=1) for seed in (1, 2))
    assert points(one) != points(other)


@pytest.fixture
def chance(hunt, play):
    return np.median([best(hunt("random", seed=s), play(hunt("random", seed=s), bowl))
                      for s in range(9)])  # fmt: skip


@pytest.mark.parametrize("method", ["tpe", "cmaes"])
def test_samplers_that_learn_are_better_than_chance(hunt, play, chance, method):
    found = [best(hunt(method, seed=s), play(hunt(method, seed=s), bowl)) for s in range(3)]
    assert np.median(found) < chance


def test_gaussian_processes_learn_and_go_on_after_a_stop(hunt, play, chance):
    search = hunt("gp", trials=24)
    whole = play(search, bowl)
    # With three of five trials.
    assert best(search, whole) < chance
    part = play(search, bowl, rounds=1)
    assert points(play(search, bowl, asked=part)) == points(whole)


def test_the_other_direction_is_the_other_direction(hunt, play):
    search = hunt("cmaes", direction="maximize")
    assert points(play(search, lambda run: -bowl(run))) == points(play(hunt("cmaes"), bowl))


def test_a_finite_space_is_asked_for_once_and_then_done(hunt, play):
    space = {"model.width": {"linear": [1, 3]}, "model.activation": ["tanh", "relu"]}
    for method in ("tpe", "random", "qmc"):
        asked = play(hunt(method, space, train={"lr": 0.1}), lambda run: 1.0)
        assert len(asked) == 6


def test_points_that_are_not_valid_are_passed_over(hunt, play):
    space = {"train.batch_size": {"linear": [2, 40]}, "data.samples": {"linear": [8, 40]}}
    search = hunt("random", space, train={"lr": 0.1, "batch_size": None}, data={"samples": None})
    cells = [a.trial.cell for a in play(search, lambda run: 1.0)]
    assert len(cells) == 40
    assert all(cell.train.batch_size <= cell.data.samples for cell in cells)


@pytest.mark.parametrize("method", METHODS)
def test_trials_without_a_value_do_no_harm(hunt, play, method):
    asked = play(
        hunt(method), lambda run: None if run.cell.train.value("momentum") > 0.5 else bowl(run)
    )
    assert len(asked) == 40


def edge(run):
    """Diverge for nine of ten rates."""
    return "diverged" if run.cell.train.lr > 10**-3.6 else bowl(run)


@pytest.mark.parametrize(
    ("method", "trials", "least", "most"),
    [("random", 60, 0.85, 1.0), ("tpe", 60, 0.0, 0.65), ("cmaes", 120, 0.0, 0.7)],
)
def test_a_sampler_turns_away_from_where_runs_diverge(hunt, play, method, trials, least, most):
    asked = [a for seed in range(3) for a in play(hunt(method, trials=trials, seed=seed), edge)]
    late = [a for a in asked if a.trial.number >= trials / 2]
    assert least <= sum(a.num_diverged for a in late) / len(late) <= most


def test_a_gaussian_process_turns_away_from_where_runs_diverge(hunt, play):
    asked = play(hunt("gp", trials=24), edge)
    assert sum(a.num_diverged for a in asked if a.trial.number >= 16) <= 3


def test_a_sampler_takes_a_diverged_run_for_worse_than_any(hunt, play):
    outcomes = ("diverged", 3.0, 1.0)
    for direction, bad in (("minimize", 5.0), ("maximize", -1.0)):
        for reduce, value in (("mean", (bad + 4) / 3), ("median", {5.0: 3.0, -1.0: 1.0}[bad])):
            search = hunt("random", seeds=3, reduce=reduce, direction=direction)
            asked = play(search, lambda run: outcomes[run.seed], rounds=1)
            assert History(search, 0, tuple(asked)).values(asked)[0] == pytest.approx(value)


def test_a_run_that_failed_for_memory_says_nothing_of_its_point(hunt, play):
    search = hunt("random")
    asked = play(search, lambda run: "out_of_memory" if run.cell.train.lr < 0.01 else 1.0, rounds=1)
    values = History(search, 0, tuple(asked)).values(asked)
    assert set(values) == {None, 1.0}
    infeasible = play(search, lambda run: None if run.cell.train.lr < 0.01 else 1.0, rounds=1)
    assert set(History(search, 0, tuple(infeasible)).values(infeasible)) == {2.0, 1.0}


@pytest.mark.parametrize(
    ("reduce", "value"), [("mean", 2.0), ("median", 1.0), ("min", 0.0), ("max", 5.0)]
)
def test_the_values_of_seeds_become_one(hunt, play, reduce, value):
    search = hunt("random", seeds=3, reduce=reduce)
    asked = play(search, lambda run: (0.0, 1.0, 5.0)[run.seed], rounds=1)
    assert asked[0].value(reduce) == value


def test_finds_are_trained_again_with_new_seeds_and_set_fields(hunt, play):
    confirm = {"beyond": 0.5, "seeds": 4, "most": 3, "set": {"train.dtype": "float64"}}
    search = hunt("random", seeds=2, confirm=confirm)
    asked = play(search, bowl)
    again = [a for a in asked if a.trial.confirms is not None]
    finds = [a for a in asked if a.trial.confirms is None and a.value("mean") < 0.5]
    assert len(again) == min(3, len(finds)) > 0
    for a in again:
        (find,) = [f for f in finds if f.trial.number == a.trial.confirms]
        assert a.trial.point == find.trial.point
        assert [run.seed for run in a.trial.runs] == [0, 1, 2, 3, 4, 5]
        assert a.trial.cell.train.dtype == "float64"
    assert len(asked) == 40 + len(again)


def test_values_of_confirmations_do_not_steer_the_hunt(hunt, play):
    confirm = {"beyond": 0.5, "set": {"train.dtype": "float64"}}

    def answer(run):
        return 1e6 if run.cell.train.dtype == "float64" else bowl(run)

    hunts = [a for a in play(hunt("tpe", confirm=confirm), answer) if a.trial.confirms is None]
    assert points(hunts) == points(play(hunt("tpe"), bowl))


@pytest.mark.parametrize(
    ("method", "package"), [("cmaes", "cmaes"), ("gp", "greenlet"), ("tpe", "optuna")]
)
def test_a_missing_package_is_named_with_what_to_type(hunt, monkeypatch, tmp_path, method, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(LaunchError, match=rf"{package} cannot.*pip install 'symstudy\[search\]'"):
        SearchState(hunt(method), StudyFolder(LocalFileSystem(), str(tmp_path / "hunt")))


def test_a_bisection_needs_no_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    check_packages("bisect")


CONDITIONAL = {
    "train.optimizer": ["sgd", "adam"],
    "train.lr": {"log": [1e-4, 1.0]},
    "train.momentum": {"linear": [0.0, 0.9], "when": "train.optimizer == 'sgd'"},
}


def conditional_bowl(run):
    # The best adam is better than any sgd, whose momentum matters.
    train = run.cell.train
    return (np.log10(train.lr) + 2) ** 2 + train.value("momentum", -1.0)


@pytest.mark.parametrize("method", ["tpe", "qmc", "random"])
def test_a_field_is_searched_only_where_its_condition_holds(hunt, play, method):
    search = hunt(method, space=CONDITIONAL, train={"optimizer": None})
    asked = play(search, conditional_bowl)
    found = [(a.trial.cell.train.optimizer.kind, "train.momentum" in a.trial.point) for a in asked]
    assert set(found) == {("sgd", True), ("adam", False)}


def test_a_sampler_learns_a_conditional_field_from_the_trials_that_have_it(hunt, play):
    search = hunt("tpe", space=CONDITIONAL, train={"optimizer": None})
    asked = play(search, conditional_bowl, rounds=1)
    trials = [frozen_trial(search, a, 1.0) for a in asked]
    has = ["train.momentum" in trial.params for trial in trials]
    assert has == [trial.params["train.optimizer"] == "sgd" for trial in trials]
    assert all(trial.params.keys() == trial.distributions.keys() for trial in trials)


def test_a_conditional_search_comes_back_from_its_ledger(hunt, play):
    search = hunt("random", space=CONDITIONAL, train={"optimizer": None})
    asked = play(search, conditional_bowl, rounds=2)
    for a in asked:
        cell = own_cell(search, json.loads(a.trial.to_json()))
        assert cell is not None
        assert cell.cell_id == a.trial.cell.cell_id
    bare = {"branch": 0, "point": {"train.optimizer": "sgd", "train.lr": 0.1}}
    assert own_cell(search, bare) is None


def test_a_derived_key_follows_the_searched_ones(search_of):
    search = search_of(
        {"method": "random", "space": {"model.width": [8, 16]}},
        derive={"train.lr": "0.8 / model.width"},
    )
    cells = search.cells(0, [{"model.width": 8}, {"model.width": 16}])
    assert [cell.train.lr for cell in cells] == [0.1, 0.05]


def test_branches_are_those_whose_condition_holds(search_of):
    axes = {
        "train.optimizer": ["sgd", "adam"],
        "train.momentum": {"values": [0.0, 0.9], "when": "train.optimizer == 'sgd'"},
    }
    space = {"train.lr": {"log": [1e-4, 1.0]}}
    search = search_of({"method": "tpe", "space": space}, sweep=axes)
    assert [branch.get("train.momentum") for branch in search.branches] == [0.0, 0.9, None]
    axes["train.momentum"] = {"values": [0.0, 0.9], "when": "train.lr > 0.1"}
    with pytest.raises(StudyFileError, match="must not depend on what is searched"):
        search_of({"method": "tpe", "space": space}, sweep=axes)


def test_methods_of_a_fixed_space_refuse_conditions(search_of):
    with pytest.raises(StudyFileError, match="must be searched everywhere for cmaes"):
        search_of({"method": "cmaes", "space": CONDITIONAL})
