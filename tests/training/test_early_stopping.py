"""Runs that end before their last step: converged, or given up by a search."""

from typing import Any

import numpy as np
import pytest

from symstudy.errors import StudyFileError
from symstudy.outcomes import Outcome
from symstudy.study import PackConfig, make_study
from symstudy.training import StopRule, train_pack
from symstudy.training.engines.compiled import CompiledEngine
from symstudy.training.engines.padded import PaddedEngine
from symstudy.training.engines.torch import TorchEngine
from symstudy.training.loop import Training

CPU = PackConfig(device="cpu")
TORCH = PackConfig(device="cpu", engine="torch")
ENGINES = pytest.mark.parametrize("config", [CPU, TORCH], ids=["compiled", "torch"])
MEASURES = ("train_loss", "test_loss", "objective", "theta_norm", "grad_norm", "grad_ratio")


class Plan:
    """Stops given runs at given steps, and notes what it was asked."""

    def __init__(self, stops):
        self.stops, self.asked = stops, []

    def lanes(self, step, measures, alive):
        self.asked.append((step, measures, alive.copy()))
        return np.intersect1d(self.stops.get(step, []), alive).astype(np.int64)


def runs_of(**tables):
    values: dict[str, Any] = {
        "schema": 1,
        "name": "stopped",
        "model": {"kind": "fcn", "depth": 3, "width": 6},
        "data": {"kind": "teacher_student", "samples": 20, "test_samples": 10},
        "train": {"optimizer": "sgd", "lr": 0.05, "batch_size": 8, "steps": 60},
        "probe": {"num": 6, "detail": 6, "samples": 8},
        "sweep": {"seed": 5},
    }
    for name, table in tables.items():
        kept = {**values[name], **table}
        values[name] = {key: value for key, value in kept.items() if value is not None}
    return make_study(values).runs()


def rows_of(table, run):
    """Return the rows of one run."""
    mine = table["run_id"] == run.run_id
    return {name: column[mine] for name, column in table.items()}


def steps_of(runs):
    return np.unique(train_pack(runs[:1], CPU).history["step"]).tolist()


def assert_ended_at(result, plain, runs, place, step):
    """Require a run to have the measures that it has at `step` where it goes on, and no more."""
    assert result.runs["steps_done"][place] == step
    own, whole = (rows_of(each.history, runs[place]) for each in (result, plain))
    assert own["step"].max() == step
    before = whole["step"] <= step
    for name in MEASURES:
        np.testing.assert_array_equal(own[name], whole[name][before], err_msg=name)
        assert result.runs[name][place] == own[name][-1], name
    layers = rows_of(result.layers, runs[place])
    last = layers["step"] == step
    assert last.sum() == 2
    assert layers["step"].max() == step
    for name in ("effective_rank", "distinct_neurons"):
        mean = result.runs[f"mean_{name}"][place]
        assert mean == pytest.approx(layers[name][last].mean()), name


@ENGINES
def test_a_run_that_has_converged_is_done_at_that_probe(config):
    runs = runs_of(sweep={"train.converged": [0.0, 0.4, 1e-9], "seed": 2})
    plain = train_pack(runs_of(sweep={"train.converged": [0.0], "seed": 2}), config)
    result = train_pack(runs, config)
    assert result.runs["outcome"] == ["done"] * 6
    assert result.runs["reason"] == [None] * 6
    assert result.runs["steps_done"][[0, 1, 4, 5]].tolist() == [60] * 4
    for place in (2, 3):
        one = rows_of(plain.history, runs[place - 2])
        small = one["grad_ratio"] <= 0.4
        step = one["step"][small][0]
        assert 0 < step < 60
        same = [run._replace(run_id=runs[place].run_id) for run in runs[place - 2 : place - 1]]
        assert_ended_at(result, train_pack(same, config), runs, place, step)


def test_where_a_run_converges_does_not_depend_on_its_mates():
    runs = runs_of(sweep={"train.converged": [0.6, 0.3], "seed": 3})
    together = train_pack(runs, CPU).runs
    for place, run in enumerate(runs):
        alone = train_pack([run], CPU).runs
        for name in ("steps_done", *MEASURES, "mean_effective_rank"):
            assert together[name][place] == alone[name][0], name


@ENGINES
def test_a_stopped_run_keeps_the_measures_of_its_stop(config):
    runs = runs_of()
    steps = steps_of(runs)
    plain = train_pack(runs, config)
    plan = Plan({steps[2]: [1], steps[4]: [0, 3]})
    result = train_pack(runs, config, stop_rule=plan)
    assert result.runs["outcome"] == ["stopped", "stopped", "done", "stopped", "done"]
    assert result.runs["reason"][1] == Outcome.STOPPED.value
    for place, step in ((1, steps[2]), (0, steps[4]), (3, steps[4])):
        assert_ended_at(result, plain, runs, place, step)
    for place in (2, 4):
        for name in MEASURES:
            assert result.runs[name][place] == plain.runs[name][place], name


def test_a_halting_is_asked_at_each_detailed_probe_but_the_last_about_those_alive():
    runs = runs_of(
        train={"lr": None},
        sweep={"train.lr": [0.05, 80.0, 0.01], "seed": 1},
        probe={"num": 6, "detail": 4},
    )
    plain = train_pack(runs, CPU)
    detailed = np.unique(plain.layers["step"]).tolist()
    plan = Plan({detailed[2]: [2]})
    assert isinstance(plan, StopRule)
    train_pack(runs, CPU, stop_rule=plan)
    assert [step for step, _, _ in plan.asked] == detailed[:-1]
    assert [alive.tolist() for _, _, alive in plan.asked] == [[0, 1, 2], [0, 1, 2], [0, 2]]
    _, measures, _ = plan.asked[2]
    assert np.isnan(measures["test_loss"]).tolist() == [False, True, False]
    row = rows_of(plain.history, runs[2])
    at = row["step"] == detailed[2]
    for name in MEASURES:
        assert measures[name][2] == row[name][at][0]


def test_a_halting_of_a_padded_pack_is_asked_about_places_in_the_pack():
    runs = runs_of(sweep={"model.width": [3, 6], "seed": 2})[::-1]
    steps = steps_of(runs)
    plain, plan = train_pack(runs, TORCH), Plan({steps[3]: [2]})
    result = train_pack(runs, TORCH, stop_rule=plan)
    assert result.runs["outcome"].tolist() == ["done", "done", "stopped", "done"]
    assert_ended_at(result, plain, runs, 2, steps[3])
    row = rows_of(plain.history, runs[2])
    _, measures, _ = plan.asked[3]
    assert measures["test_loss"][2] == row["test_loss"][row["step"] == steps[3]][0]


def test_a_pack_whose_runs_have_all_ended_is_over():
    runs = runs_of()
    steps = steps_of(runs)
    told = []
    plan = Plan({steps[1]: [0, 1], steps[2]: [2, 3, 4]})
    result = train_pack(runs, CPU, lambda *numbers: told.append(numbers), stop_rule=plan)
    assert set(result.runs["outcome"]) == {"stopped"}
    assert result.history["step"].max() == steps[2]
    assert sum(count for _, count in told) == 2 * steps[1] + 3 * steps[2]
    assert told[-1] == (0, 0)


def test_a_stopped_run_of_a_minimiser_descends_no_more():
    train = {"optimizer": "lbfgs", "gamma": 0.02, "lr": None, "batch_size": "full", "restarts": 2}
    for config in (CPU, TORCH):
        runs = runs_of(train=train, sweep={"seed": 3})
        steps = steps_of(runs)
        plain = train_pack(runs, config)
        result = train_pack(runs, config, stop_rule=Plan({steps[3]: [1]}))
        assert result.runs["outcome"] == ["done", "stopped", "done"]
        assert_ended_at(result, plain, runs, 1, steps[3])
        assert result.runs["iterations"][1] <= steps[3]
        assert np.isnan(result.runs["merge_gain"]).tolist() == [False, True, False]
        assert result.runs["objective"][2] == plain.runs["objective"][2]


def test_a_stopped_run_of_the_kernels_costs_nothing():
    runs = runs_of()
    steps = steps_of(runs)
    training = Training(runs, CPU, Plan({steps[2]: [0, 2, 3]}))
    while training.place < 3:
        training.work()
    engine = training.engine
    assert isinstance(engine, CompiledEngine)
    before = engine.theta_KP.clone()
    assert np.flatnonzero(engine.is_alive_K).tolist() == [1, 4]
    assert engine.data.seeds == [1, 4]
    assert len(engine.data.block(steps[2], 2).rows) == 2
    while not training.is_over():
        training.work()
    moved = (engine.theta_KP != before).any(dim=1)
    assert moved.tolist() == [False, True, False, False, True]


@pytest.mark.parametrize(
    "tables",
    [
        {},
        {"train": {"entropic": 0.01}},
        {"train": {"optimizer": "adam", "lr": 0.01}},
        {"data": {"label_noise": 0.3, "noise_mode": "online"}},
        {"data": {"samples": None, "fresh": True}},
        {"sweep": {"model.width": [3, 6], "seed": 4}},
    ],
    ids=["sgd", "entropic", "adam", "online noise", "fresh", "padded"],
)
def test_torch_leaves_dead_runs_out_of_the_batch_once_they_are_half_of_it(tables):
    runs = runs_of(**{"sweep": {"seed": 8}, **tables})
    steps = steps_of(runs)
    training = Training(runs, TORCH, Plan({steps[1]: [0], steps[2]: [3, 4, 6]}))
    assert isinstance(training.engine, TorchEngine | PaddedEngine)
    sizes = []
    while not training.is_over():
        if training.at == steps[training.place]:
            sizes.append(len(training.engine.active))
        training.work()
    assert list(dict.fromkeys(sizes)) == [8, 4]
    plain, result = train_pack(runs, TORCH).runs, training.result().runs
    for name in ("test_loss", "theta_norm"):
        for place in (1, 2, 5, 7):
            assert result[name][place] == pytest.approx(plain[name][place], rel=1e-4), name


def test_runs_that_diverge_leave_the_batch_too():
    runs = runs_of(sweep={"train.lr": [0.05, 80.0, 90.0], "seed": 1}, train={"lr": None})
    training = Training(runs, TORCH)
    assert isinstance(training.engine, TorchEngine | PaddedEngine)
    while not training.is_over():
        training.work()
    assert training.engine.active.tolist() == [0]
    assert training.result().runs["outcome"] == ["done", "diverged", "diverged"]


def test_a_halting_that_names_a_run_that_has_ended_is_refused():
    class Confused:
        def lanes(self, step, measures, alive):
            return np.array([7])

    with pytest.raises(ValueError, match=r"must name runs that are alive, but got \[7\]"):
        train_pack(runs_of(), CPU, stop_rule=Confused())


def test_converged_has_no_part_in_shapes_nor_in_old_identifiers():
    plain, zero, some = (
        runs_of(train={} if value is None else {"converged": value}, sweep={"seed": 1})[0]
        for value in (None, 0.0, 1e-3)
    )
    assert plain.run_id == zero.run_id != some.run_id
    assert plain.cell.shape == some.cell.shape
    assert some.cell.train.converged == 1e-3


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        (
            {"train": {"optimizer": "lbfgs", "converged": 0.1}},
            "train.converged: must be 0 for lbfgs, but got 0.1: it stops at train.tolerance",
        ),
        (
            {"data": {"fresh": True}, "train": {"lr": 0.1, "batch_size": 4, "converged": 0.1}},
            "train.converged: must be 0 where every batch is drawn anew (data.fresh), but got 0.1",
        ),
        (
            {"train": {"lr": 0.1, "converged": -1}},
            "train.converged: must be at least 0.0, but got -1",
        ),
    ],
)
def test_a_threshold_that_cannot_hold_is_a_mistake(tables, message):
    values = {
        "schema": 1,
        "name": "wrong",
        "model": {"kind": "fcn"},
        **tables,
        "data": {"kind": "identity", **tables.get("data", {})},
    }
    with pytest.raises(StudyFileError) as error:
        make_study(values)
    assert message in str(error.value)


def test_a_stopped_run_has_neither_failed_nor_is_it_done():
    assert not Outcome.STOPPED.is_done
    assert not Outcome.STOPPED.is_failed
    assert [outcome for outcome in Outcome if outcome.is_failed] == [
        Outcome.DIVERGED,
        Outcome.OUT_OF_MEMORY,
        Outcome.ERROR,
    ]
