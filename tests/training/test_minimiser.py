import numpy as np
import pytest
from scipy.optimize import minimize

from symstudy.study import PackConfig, make_study
from symstudy.training.engines.merging import best_merge, make_objective, merge_gains
from symstudy.training.loop import make_engine, make_pack, train_pack

CPU = PackConfig(device="cpu")


def study_of(width=8, activation="tanh", seeds=3, gamma=0.02, **train):
    return make_study(
        {
            "schema": 1, "name": "minimised",
            "model": {"kind": "fcn", "width": width, "activation": activation},
            "data": {"kind": "teacher_student", "samples": 60, "test_samples": 20},
            "train": {"optimizer": "lbfgs", "steps": 5000, "gamma": gamma, **train},
            "sweep": {"seed": seeds}, "probe": {"num": 5, "detail": 2},
        }
    )  # fmt: skip


def minimised(runs, config=CPU):
    """Return the engine of the runs, at the end, and its pack."""
    pack = make_pack(runs, config)
    engine = make_engine(pack)
    engine.advance(0, pack.train.steps)
    return engine, pack


@pytest.mark.parametrize("activation", ["tanh", "silu", "gelu", "sin", "linear", "polynomial"])
def test_smooth_networks_come_to_certified_minima(activation):
    result = train_pack(study_of(activation=activation).runs(), CPU)
    assert result.runs["grad_ratio"].max() < 1e-8
    assert result.runs["merge_gain"].max() < 1e-9
    assert np.isnan(result.runs["decay_budget"]).all()


def test_a_minimum_has_the_same_bits_in_any_pack():
    runs = study_of(seeds=4).runs()
    together, _ = minimised(runs[::-1])
    alone, _ = minimised(runs[:1])
    np.testing.assert_array_equal(together.theta_KP[-1], alone.theta_KP[0])


def test_the_way_to_a_minimum_does_not_depend_on_the_probes():
    runs = study_of(seeds=1).runs()
    at_once, _ = minimised(runs)
    pack = make_pack(runs, CPU)
    in_steps = make_engine(pack)
    for first, steps in ((0, 1), (1, 7), (8, 100), (108, 4892)):
        in_steps.advance(first, steps)
    np.testing.assert_array_equal(at_once.theta_KP, in_steps.theta_KP)


def test_scipy_finds_nothing_lower_from_there():
    engine, pack = minimised(study_of(seeds=1).runs())
    objective = make_objective(pack, 0)
    start = engine.theta_KP[0].numpy()
    value = float(objective(start[None])[0])
    found = minimize(lambda row: float(objective(row[None])[0]), start, method="L-BFGS-B")
    assert value <= found.fun + 1e-9


def test_more_restarts_never_end_higher():
    values = [
        train_pack(study_of(width=4, restarts=count).runs(), CPU).runs["objective"]
        for count in (1, 2, 6)
    ]
    assert (values[1] <= values[0]).all()
    assert (values[2] <= values[1]).all()
    assert (values[2] < values[0]).any()


def test_torch_and_scipy_come_to_the_same_minimum():
    study = study_of(seeds=2, restarts=2)
    compiled = train_pack(study.runs(), CPU).runs
    eager = train_pack(study.runs(), PackConfig(device="cpu", engine="torch")).runs
    np.testing.assert_allclose(eager["objective"], compiled["objective"], rtol=1e-7)
    assert eager["grad_ratio"].max() < 1e-6
    assert eager["engine"][0] == "lbfgs-torch-cpu"


def test_the_merged_state_of_near_copies_is_lower_by_the_penalty_alone():
    _, pack = minimised(study_of(seeds=1, width=4).runs())
    group = pack.model.layout.groups[0]
    theta = np.zeros(pack.model.layout.size)
    # Two neurons without outgoing weights do nothing: merging saves gamma D^2 / 2 (Eq. 28).
    theta[0], theta[8] = 0.3, 0.1
    pairs, gains = merge_gains(pack.model.layout, group, theta, make_objective(pack, 0))
    place = pairs.tolist().index([0, 1])
    assert gains[place] == pytest.approx(0.02 * (0.3 - 0.1) ** 2 / 2, rel=1e-9)


def test_refining_merges_what_is_better_merged_and_goes_on():
    plain = train_pack(study_of(steps=3, restarts=1, gamma=0.3).runs(), CPU).runs
    refined = train_pack(study_of(steps=3, restarts=1, gamma=0.3, refine=True).runs(), CPU).runs
    assert plain["merge_gain"].max() > 1e-9
    assert refined["merges"].max() > 0
    assert (refined["objective"] <= plain["objective"]).all()
    assert (refined["objective"] < plain["objective"]).any()


@pytest.mark.parametrize("steps", [3, 60, 5000])
def test_refined_runs_have_the_same_numbers_in_any_pack(steps):
    runs = study_of(steps=steps, gamma=0.3, refine=True, seeds=4).runs()
    together = train_pack(runs, CPU)
    for place, run in enumerate(runs):
        alone = train_pack([run], CPU)
        for name in ("objective", "merges", "merge_gain", "iterations"):
            np.testing.assert_array_equal(together.runs[name][place], alone.runs[name][0], name)
        own = together.history["run_id"] == run.run_id
        np.testing.assert_array_equal(
            together.history["train_loss"][own], alone.history["train_loss"]
        )


def test_the_best_merge_is_the_best_of_all_layers():
    pack = make_pack(study_of(seeds=1).runs(), CPU)
    theta = np.random.default_rng(0).normal(size=pack.model.layout.size)
    merge = best_merge(pack, 0, theta)
    objective = make_objective(pack, 0)
    assert merge is not None
    before, after = objective(np.stack([theta, merge.theta]))
    assert merge.gain == pytest.approx(before - after, rel=1e-9)
    _, gains = merge_gains(pack.model.layout, pack.model.layout.groups[0], theta, objective)
    assert merge.gain == gains.max()


def test_a_single_neuron_has_nothing_to_merge_with():
    runs = train_pack(study_of(width=1).runs(), CPU).runs
    assert np.isnan(runs["merge_gain"]).all()
