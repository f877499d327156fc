"""Minima whose objective, singular values or counts are known exactly, found by `lbfgs`."""

import itertools

import numpy as np
import pytest

from symstudy.models import build_model
from symstudy.models.base import split_parameters
from symstudy.study import PackConfig, make_study
from symstudy.training.loop import make_engine, make_pack, train_pack

CPU = PackConfig(device="cpu")


def cases(*axes, quick):
    """Return all combinations as parameters, of which those in `quick` alone are not slow."""
    return [
        pytest.param(*case, marks=[] if case in quick else [pytest.mark.slow])
        for case in itertools.product(*axes)
    ]


def study_of(model, data, seeds=2, **train):
    train = {"optimizer": "lbfgs", "steps": 20_000, **train}
    return make_study(
        {
            "schema": 1, "name": "minima", "model": model, "data": data, "train": train,
            "sweep": {"seed": seeds}, "probe": {"num": 2, "detail": 1},
        }
    )  # fmt: skip


def minimum_of(study):
    """Return each run's weights at its minimum, by name, and its final measures."""
    pack = make_pack(study.runs(), CPU)
    engine = make_engine(pack)
    engine.advance(0, pack.train.steps)
    weights = split_parameters(pack.model.layout, engine.theta_KP)
    return {name: value.numpy() for name, value in weights.items()}


def nuclear(values, tau, width):
    """Return the kept singular values and the objective of the nuclear-norm problem, c = 1."""
    kept = np.maximum(values[:width] - tau, 0)
    return kept, np.square(values).sum() - np.square(kept).sum()


@pytest.mark.parametrize(
    ("width", "tau"),
    cases([1, 3, 8, 32], [0.05, 0.3, 1.2], quick=[(1, 1.2), (3, 0.3), (8, 0.05), (32, 0.3)]),
)
def test_g1_two_linear_layers_soft_threshold_the_singular_values(width, tau):
    data = {"kind": "spectrum", "input_dim": 10, "samples": 10, "exponent": 0.7}
    study = study_of({"kind": "deep_linear", "width": width}, data, gamma=tau)
    values = np.arange(1, 11) ** -0.7
    kept, objective = nuclear(values, tau, width)
    weights = minimum_of(study)
    w1, w2 = weights["layers.0.weight"], weights["layers.1.weight"]
    found = np.linalg.svd(w2 @ w1, compute_uv=False)
    np.testing.assert_allclose(found[:, : len(kept)], np.tile(kept, (2, 1)), atol=1e-6)
    np.testing.assert_allclose(w2.transpose(0, 2, 1) @ w2, w1 @ w1.transpose(0, 2, 1), atol=1e-6)
    runs = train_pack(study.runs(), CPU).runs
    np.testing.assert_allclose(runs["objective"], objective, atol=1e-10)
    assert runs["grad_ratio"].max() < 1e-8


@pytest.mark.parametrize("exponent", [0.5, 1.0, 2.0])
def test_g2_the_rank_is_that_of_the_exact_power_law(exponent):
    gammas = (np.array([2.5, 4.5, 7.5]) ** -exponent).tolist()
    for gamma in gammas:
        data = {"kind": "spectrum", "input_dim": 12, "samples": 12, "exponent": exponent}
        study = study_of({"kind": "deep_linear", "width": 12}, data, seeds=1, gamma=gamma)
        weights = minimum_of(study)
        product = weights["layers.1.weight"] @ weights["layers.0.weight"]
        rank = int(np.linalg.matrix_rank(product[0], tol=1e-4))
        assert rank == np.ceil(gamma ** (-1 / exponent)) - 1


def gap(tau, depth):
    """Return s_c, sigma_c and sigma_sp of the depth-D problem min (s - sigma)^2 + tau D s^(2/D)."""
    d = depth
    kept = (tau * (d - 2)) ** (d / (2 * d - 2))
    spinodal = (tau * (d - 2) / d) ** (d / (2 * d - 2))
    return kept, kept * (d - 1) / (d - 2), spinodal * (2 * d - 2) / (d - 2)


def best_mode(sigma, tau, depth, init_scale=1.5, restarts=24):
    """Return the singular value at the best minimum of a chain of `depth` numbers."""
    model = {"kind": "deep_linear", "depth": depth, "width": 1, "init_scale": init_scale}
    data = {"kind": "spectrum", "input_dim": 1, "samples": 1, "amplitude": sigma, "axes": True}
    weights = minimum_of(study_of(model, data, seeds=1, gamma=tau, restarts=restarts))
    return abs(np.prod([value.item() for value in weights.values()]))


@pytest.mark.parametrize("depth", [3, 4, 6])
def test_g3_deep_linear_networks_have_a_forbidden_gap(depth):
    kept, critical, spinodal = gap(0.1, depth)
    expected = {3: 0.355656, 4: 0.512993, 6: 0.721350}[depth]
    assert critical == pytest.approx(expected, abs=1e-6)
    assert spinodal < critical
    assert best_mode(1.002 * critical, 0.1, depth) == pytest.approx(kept, rel=0.05)
    assert best_mode(0.998 * critical, 0.1, depth) < 1e-6


def test_g3_two_layers_have_no_gap():
    assert best_mode(0.101, 0.1, 2) == pytest.approx(0.001, abs=1e-6)


@pytest.mark.parametrize("depth", [3, 4])
def test_g3_from_a_small_start_nothing_is_learned(depth):
    _, critical, _ = gap(0.1, depth)
    assert best_mode(2 * critical, 0.1, depth, init_scale=1e-3, restarts=8) < 1e-6
    assert best_mode(2 * critical, 0.1, depth) > critical


@pytest.mark.parametrize(
    ("width", "gamma"),
    # At the smallest gamma more values are above it than the narrow network is wide.
    cases([6, 24], [0.45, 0.3, 0.22, 0.155], quick=[(6, 0.155), (6, 0.3), (24, 0.22), (24, 0.45)]),
)
def test_g4_relu_networks_keep_one_direction_a_value_above_gamma(gamma, width):
    model = {"kind": "fcn", "activation": "relu", "width": width, "bias": False}
    data = {"kind": "spectrum", "axes": True, "input_dim": 8, "samples": 8, "test_samples": 8}
    data["exponent"] = 0.9
    study = study_of(model, data, seeds=1, gamma=gamma, restarts=6)
    values = np.arange(1, 9) ** -0.9
    _, objective = nuclear(values, gamma, 8)
    above = int((values > gamma).sum())
    runs = train_pack(study.runs(), CPU).runs
    if above > width:
        _, objective = nuclear(values, gamma, width)
    assert runs["objective"][0] == pytest.approx(objective, abs=1e-6)
    assert runs["mean_distinct_directions"][0] == min(above, width)


@pytest.mark.parametrize("activation", ["tanh", "silu"])
def test_g14_no_pair_of_a_minimum_is_better_merged(activation):
    model = {"kind": "fcn", "activation": activation, "width": 24}
    data = {"kind": "teacher_student", "samples": 150, "test_samples": 10}
    runs = train_pack(study_of(model, data, gamma=0.02).runs(), CPU).runs
    assert runs["grad_ratio"].max() < 1e-8
    assert np.isfinite(runs["merge_gain"]).all()
    assert runs["merge_gain"].max() < 1e-9


def test_g23_the_minimum_does_not_depend_on_the_width_past_twice_the_distinct_neurons():
    data = {"kind": "teacher_student", "samples": 300, "test_samples": 10, "teacher_width": 8}
    objectives, counts = [], []
    for width in (20, 40, 80):
        model = {"kind": "fcn", "width": width, "bias": False}
        runs = train_pack(study_of(model, data, gamma=0.01).runs(), CPU).runs
        objectives.append(runs["objective"])
        counts.append(runs["mean_distinct_neurons"])
    assert np.max(counts) <= 10
    ratio = np.max(objectives, axis=0) / np.min(objectives, axis=0)
    assert ratio.max() < 1.01


def test_the_layout_of_the_weights_is_that_of_the_model():
    study = study_of({"kind": "deep_linear", "width": 3}, {"kind": "spectrum", "input_dim": 4})
    model = build_model(study.runs()[0].cell.model, study.runs()[0].cell.data.shape)
    assert set(minimum_of(study)) == {block.name for block in model.layout.blocks}
