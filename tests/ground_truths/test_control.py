"""G5, G6, G7 and G17: exact thresholds of what restores and removes symmetry."""

import itertools

import numpy as np
import pytest
import torch
from scipy import stats

from symstudy.study import PackConfig
from symstudy.theory.collapse import (
    critical_regularisation,
    lyapunov_exponents,
    noise_critical_gamma,
)
from symstudy.training.engines.entropic import pack_loss
from symstudy.training.engines.lanes import make_penalty
from symstudy.training.loop import make_engine, make_pack

TAU = 0.3
"""Threshold of G5: gamma, for a loss summed over outputs."""
BATCH = 4


def cases(*axes, quick):
    """Return all combinations as parameters, of which those in `quick` alone are not slow."""
    return [
        pytest.param(*case, marks=[] if case in quick else [pytest.mark.slow])
        for case in itertools.product(*axes)
    ]


def engine_of(study, engine="auto"):
    """Return the engine of the study's runs, ready to train."""
    return make_engine(make_pack(study.runs(), PackConfig(engine=engine, device="cpu")))


def soft(values):
    return np.sign(values) * np.maximum(np.abs(values) - TAU, 0)


def shrunk(m, form):
    """Return the minimum of |W - M|^2 plus the penalty that the factors of `form` amount to."""
    if form == "hadamard":
        return soft(m)
    if form == "gate":
        return m * max(1 - TAU / np.linalg.norm(m), 0)
    u, values, vt = np.linalg.svd(m)
    return u * soft(values) @ vt


FAR = [("hadamard", 0.2), ("gate", 1.0), ("factorised", 0.2)]
"""Cases of G5 in which nothing is near the threshold, so that few steps do."""


@pytest.mark.parametrize(
    ("form", "amplitude"), cases(["hadamard", "gate", "factorised"], [0.2, 1.0], quick=FAR)
)
def test_g5_products_of_weights_have_exact_thresholds(study_of, form, amplitude):
    steps = 1500 if (form, amplitude) in FAR else 6000
    study = study_of(
        model={"kind": "deep_linear", "depth": 1, "reparametrise": form},
        data={"kind": "spectrum", "input_dim": 4, "samples": 8, "amplitude": amplitude,
              "test_samples": 2},
        train={"optimizer": "sgd", "lr": 0.2, "gamma": TAU, "dtype": "float64", "steps": steps,
               "batch_size": "full"},
        sweep={"seed": [1, 3]},
    )  # fmt: skip
    engine = engine_of(study)
    engine.advance(0, steps)
    found = engine.pack.model.network_parameters(engine.theta_KP).reshape(2, 4, 4).numpy()
    data = engine.pack.data.train
    for k in range(2):
        m = data.y[k].T @ data.x[k] / len(data.x[k])
        # An entry at the threshold itself is approached as 1 / t only.
        assert np.abs(np.abs(m) - TAU).min() > 0.003
        np.testing.assert_allclose(found[k], shrunk(m, form), atol=1e-6)


def scalar_chain(study_of, amplitude, scale, gammas=(0.0,), init_scale=1.0):
    """Return the engine of u w x on y = +-amplitude x, x = +-scale."""
    study = study_of(
        model={"kind": "deep_linear", "depth": 2, "width": 1, "init_scale": init_scale},
        data={"kind": "spectrum", "input_dim": 1, "samples": 2, "amplitude": amplitude,
              "input_scale": scale, "test_samples": 2},
        train={"optimizer": "sgd", "lr": 0.05, "dtype": "float64", "steps": 4000,
               "batch_size": "full"},
        sweep={"train.gamma": list(gammas)},
    )  # fmt: skip
    return engine_of(study)


def critical_at_zero(engine):
    """Return gamma_c at theta = 0, where every direction breaks the symmetry."""
    data = engine.pack.data.train
    theta = torch.zeros_like(engine.theta_KP)
    basis = torch.eye(theta.shape[1], dtype=torch.float64)
    x, y = torch.from_numpy(data.x[data.lane_x]), torch.from_numpy(data.y[data.lane_y])
    return critical_regularisation(pack_loss(engine.pack), theta, basis, x, y)


@pytest.mark.parametrize(("amplitude", "scale"), [(1.0, 1.0), (0.3, 2.0), (5.0, 0.5)])
def test_g6_the_critical_gamma_of_two_numbers_is_c_s(study_of, amplitude, scale):
    # l = c (u w - s)^2 with c the second moment of the inputs.
    critical = critical_at_zero(scalar_chain(study_of, amplitude, scale))
    assert critical.item() == pytest.approx(scale**2 * amplitude, rel=1e-12)


def test_g6_training_leaves_zero_below_the_critical_gamma_and_not_above(study_of):
    engine = scalar_chain(study_of, 0.8, 1.0, gammas=(0.76, 0.84), init_scale=1e-4)
    start = engine.theta_KP.norm(dim=1)
    engine.advance(0, 4000)
    broken, kept = (engine.theta_KP.norm(dim=1) / start).tolist()
    assert broken > 1e3
    assert kept < 0.1


@pytest.mark.parametrize("seed", range(3))
def test_g6_a_tanh_neuron_dies_at_the_norm_of_its_residual_covariance(study_of, seed):
    study = study_of(
        model={"width": 3, "bias": False}, train={"dtype": "float64"}, sweep={"seed": [seed]}
    )
    engine = engine_of(study)
    data = engine.pack.data.train
    covariance = data.y[0].T @ data.x[0] / len(data.x[0])
    exact = np.linalg.norm(covariance, ord=2)
    assert critical_at_zero(engine).item() == pytest.approx(exact, rel=1e-10)


def batch_means(noise, draws=200_000):
    """Return evenly spaced quantiles of the mean of x y over a batch; y = x + noise."""
    if not noise:
        levels = (np.arange(draws) + 0.5) / draws
        return torch.from_numpy(stats.gamma.ppf(levels, BATCH / 2, scale=2 / BATCH))[None]
    rng = np.random.default_rng(0)
    x = rng.standard_normal((draws, BATCH))
    products = x * (x + noise * rng.standard_normal((draws, BATCH)))
    return torch.from_numpy(products.mean(axis=1))[None]


def growth(study_of, gammas, lr, steps, noise=0.0, seeds=128):
    """Return mean and standard error of the growth rate of ln |u + w| from 1e-9, by gamma."""
    study = study_of(
        model={"kind": "deep_linear", "depth": 2, "width": 1, "init_scale": 1e-9},
        data={"kind": "identity", "input_dim": 1, "fresh": True, "label_noise": noise,
              "test_samples": 2},
        train={"optimizer": "sgd", "lr": lr, "dtype": "float64", "steps": steps,
               "batch_size": BATCH},
        sweep={"train.gamma": list(gammas), "seed": seeds},
    )  # fmt: skip
    engine = engine_of(study)
    before = engine.theta_KP.sum(dim=1).abs().log()
    engine.advance(0, steps)
    assert engine.theta_KP.abs().max() < 1e-2, "still in the linear regime"
    rates = ((engine.theta_KP.sum(dim=1).abs().log() - before) / steps).view(len(gammas), seeds)
    return rates.mean(dim=1).numpy(), (rates.std(dim=1) / seeds**0.5).numpy()


@pytest.mark.parametrize(("lr", "noise"), [(0.05, 0.0), (0.1, 0.0), (0.05, 1.0)])
def test_g7_sgd_grows_at_its_lyapunov_exponent(study_of, lr, noise):
    gammas = np.array([0.7, 0.85, 1.0])
    rates, errors = growth(study_of, gammas, lr, round(12 / lr), noise)
    exact = lyapunov_exponents(
        batch_means(noise).repeat(3, 1),
        torch.full((3,), lr, dtype=torch.float64),
        torch.from_numpy(gammas),
    )
    np.testing.assert_array_less(np.abs(rates - exact.plus_K.numpy()), 3 * errors)
    # Without the noise's share every gamma below 1, the mean of x y, would grow.
    assert exact.plus_K[2] < 0


def test_g7_noise_and_regularisation_add_up():
    # b normal with mean m and variance v / S, T = lr / S: gamma_c = m - T v.
    m, v, size = 0.1, 1.0, 4
    levels = (np.arange(100_000) + 0.5) / 100_000
    draws = m + np.sqrt(v / size) * stats.norm.ppf(levels)
    temperatures = np.array([0.001, 0.005, 0.0125, 0.02, 0.03])
    critical = noise_critical_gamma(
        torch.from_numpy(draws).repeat(5, 1), torch.from_numpy(temperatures * size)
    ).numpy()
    assert critical[2] == pytest.approx(0.0875, abs=2e-4)
    slope, intercept = np.polyfit(temperatures, critical, 1)
    assert slope == pytest.approx(-v, rel=0.1)
    assert intercept == pytest.approx(m, rel=0.01)


def test_g7_sgd_collapses_above_its_critical_line_only(study_of):
    lr = 0.1
    critical = noise_critical_gamma(batch_means(0.0), torch.tensor([lr], dtype=torch.float64))
    line = critical.item()
    assert line < 0.97
    rates, errors = growth(study_of, (0.9 * line, 1.1 * line), lr, 150)
    assert rates[0] > 3 * errors[0]
    assert rates[1] < -3 * errors[1]


def with_syre(study_of, seeds=1, **train):
    """Return the engine of syre runs whose networks have two equal neurons, and these neurons."""
    study = study_of(
        model={"width": 6},
        train={"optimizer": "sgd", "lr": 0.05, "gamma": 0.02, "syre": 0.3, "dtype": "float64",
               "batch_size": "full", **train},
        sweep={"seed": seeds},
    )  # fmt: skip
    engine = engine_of(study)
    layout = engine.pack.model.layout
    (group,) = layout.groups
    places = []
    for block in layout.blocks:
        index = torch.arange(block.offset, block.stop).reshape(block.shape)
        if group.name in block.axes:
            rows = index.movedim(block.axes.index(group.name), 0)
            places.append(torch.stack([rows[1].flatten(), rows[4].flatten()]))
    pair_2D = torch.cat(places, dim=1)
    phi = engine.theta_KP
    phi[:, pair_2D[1]] = phi[:, pair_2D[0]]
    return engine, pair_2D


def broken(values_KP, pair_2D):
    """Return (I - P) of the swap of the pair: the half difference, in the first of the two."""
    return 0.5 * (values_KP[:, pair_2D[0]] - values_KP[:, pair_2D[1]])


@pytest.mark.parametrize("anisotropy", [0.0, 0.4])
def test_g17_syre_pulls_out_of_every_symmetric_state(study_of, anisotropy):
    engine, pair = with_syre(study_of, seeds=3, syre_anisotropy=anisotropy)
    penalty = make_penalty(engine.pack)
    centre = torch.from_numpy(penalty.centre_KP)
    theta = engine.theta_KP - centre
    pulled = torch.from_numpy(penalty.gradient(theta.numpy()))
    gradient = engine.gradient(engine.pack.data.train) + 2 * 0.02 * pulled
    if anisotropy == 0:
        # (I - P) grad = -2 gamma (I - P) theta_0, whatever the data.
        exact = -2 * 0.02 * broken(centre, pair)
    else:
        stretch = torch.from_numpy(penalty.stretch_KP)
        exact = 2 * 0.02 * broken(stretch * theta, pair)
    torch.testing.assert_close(broken(gradient, pair), exact, rtol=1e-10, atol=1e-12)
    engine.advance(0, 1)
    torch.testing.assert_close(broken(engine.theta_KP, pair), -0.05 * exact, rtol=1e-9, atol=1e-13)
    assert exact.abs().min() > 0


def test_g17_without_syre_nothing_pulls(study_of):
    engine, pair = with_syre(study_of, syre=0.0)
    engine.advance(0, 20)
    assert broken(engine.theta_KP, pair).abs().max() < 1e-12


def test_g17_the_pull_has_its_size(study_of):
    engine, pair = with_syre(study_of, seeds=200)
    centre = torch.from_numpy(make_penalty(engine.pack).centre_KP)
    fan_in = torch.empty(centre.shape[1], dtype=torch.float64)
    for block in engine.pack.model.layout.blocks:
        fan_in[block.offset : block.stop] = block.fan_in
    # The half difference of two normal numbers has half their variance.
    measured = broken(centre, pair).square().mean(dim=0).sum()
    expected = (0.5 * 0.3**2 / fan_in[pair[0]]).sum()
    assert measured.item() == pytest.approx(expected.item(), rel=0.1)
