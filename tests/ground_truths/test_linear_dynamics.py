"""G18 and G8: times of modes and depth, and what gradient descent conserves, on our own engine.

The engine trains; only its start is replaced where a ground truth asks for a special one.
"""

import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch

from symstudy.streams import Stream
from symstudy.study import PackConfig
from symstudy.symmetry.neurons import neuron_sides, unpack
from symstudy.training.loop import make_engine, make_pack

DIM, WIDTH = 6, 8


@pytest.fixture
def engine_of(study_of):
    """Make the runs of a study of whitened linear regression, ready to be trained."""

    def make(runs=1, **tables):
        defaults: dict[str, Any] = {
            "model": {"kind": "deep_linear", "depth": 2, "width": WIDTH},
            "data": {"kind": "spectrum", "input_dim": DIM, "samples": 12, "exponent": 0.7,
                     "amplitude": 2.0, "test_samples": 2},
            "train": {"optimizer": "sgd", "dtype": "float64", "batch_size": "full", "steps": 10**6},
            "sweep": {"seed": runs},
        }  # fmt: skip
        for name, table in tables.items():
            defaults[name] = table if "kind" in table else {**defaults[name], **table}
        pack = make_pack(study_of(**defaults).runs(), PackConfig(engine="compiled"))
        return pack, make_engine(pack)

    return make


def start_from(engine, theta_KP):
    """Replace the parameters that the engine trains."""
    engine.theta[:] = theta_KP.numpy()


def spectra(pack):
    """Return the singular vectors and values of each run's input-output covariance."""
    pairs = [(pack.data.train.x[k], pack.data.train.y[k]) for k in pack.data.lane_task]
    covariance = np.stack([y.T @ x / len(x) for x, y in pairs])
    return torch.linalg.svd(torch.from_numpy(covariance))


def layers_of(theta_KP):
    """Return the weights of a linear network of one hidden layer."""
    cut = WIDTH * DIM
    return theta_KP[:, :cut].view(-1, WIDTH, DIM), theta_KP[:, cut:].view(-1, DIM, WIDTH)


def half_times(pack, engine, duration, steps_between=10):
    """Return when each mode first reaches half of its final value, by linear interpolation."""
    u_KOO, sigma_KM, vt_KII = spectra(pack)
    lr, gamma = pack.lane_values("lr")[0], pack.lane_values("gamma")[0]
    half_KM = (sigma_KM - gamma) / 2
    times = torch.full_like(half_KM, math.nan)
    before = torch.zeros_like(half_KM)
    for at in range(0, int(duration / lr), steps_between):
        engine.advance(at, steps_between)
        w1, w2 = layers_of(engine.theta_KP)
        now = torch.diagonal(u_KOO.mT @ w2 @ w1 @ vt_KII.mT, dim1=1, dim2=2)
        share = (half_KM - before) / (now - before)
        crossed = times.isnan() & (now >= half_KM)
        times = torch.where(crossed, lr * (at + steps_between * share), times)
        before = now
    return times


def predicted_times(sigma, start, gamma=0.0):
    """Return ln(sigma_tau / s_0 - 1) / (4 sigma_tau), for a loss summed over outputs."""
    kept = sigma - gamma
    return torch.log(kept / start - 1) / (4 * kept)


@pytest.mark.parametrize("gamma", [pytest.param(0.0, marks=pytest.mark.slow), 0.05])
def test_g18_modes_of_an_aligned_start_rise_on_time(engine_of, gamma):
    pack, engine = engine_of(train={"lr": 1e-3, "gamma": gamma})
    u, sigma, vt = spectra(pack)
    frame = torch.linalg.qr(torch.from_numpy(Stream(0, "frame").normal(WIDTH, WIDTH))).Q[:, :DIM]
    start = 1e-3
    w1, w2 = start**0.5 * frame @ vt[0], start**0.5 * u[0] @ frame.T
    start_from(engine, torch.cat([w1.flatten(), w2.flatten()])[None])
    expected = predicted_times(sigma, start, gamma)
    times = half_times(pack, engine, 1.2 * expected.max().item())
    torch.testing.assert_close(times, expected, rtol=0.02, atol=0)


def growing_parts(theta_KP, pack):
    """Return A_0^T u_k + W_0 v_k of each mode, as columns."""
    u, _, vt = spectra(pack)
    w1, w2 = layers_of(theta_KP)
    return w2.mT @ u + w1 @ vt.mT


def test_g18_modes_of_a_small_random_start_rise_on_time(engine_of):
    pack, engine = engine_of(runs=3, model={"init_scale": 1e-4}, train={"lr": 1e-3})
    sigma = spectra(pack)[1]
    start = growing_parts(engine.theta_KP, pack).square().sum(dim=1) / 4
    expected = predicted_times(sigma, start)
    times = half_times(pack, engine, 1.2 * expected.max().item())
    torch.testing.assert_close(times, expected, rtol=0.1, atol=0)
    # Modes rise in the order of their singular values.
    assert (times.diff(dim=1) > 0).all()


def test_g18_a_mode_is_late_by_what_earlier_modes_took_of_its_start(engine_of):
    # Ten per cent does not hold at any small start: at 1e-2 the fifth mode is 15 per cent late. An
    # earlier mode, once risen, damps what a later one has along its direction in the hidden layer,
    # so only the part orthogonal to all earlier ones counts: Gram-Schmidt. With it the first four
    # modes are right to 2 per cent; the last ones rise too close to each other for it.
    pack, engine = engine_of(runs=3, model={"init_scale": 1e-2}, train={"lr": 1e-3})
    sigma = spectra(pack)[1]
    parts = growing_parts(engine.theta_KP, pack)
    plain = predicted_times(sigma, parts.square().sum(dim=1) / 4)
    reduced = torch.diagonal(torch.linalg.qr(parts).R, dim1=1, dim2=2).square() / 4
    times = half_times(pack, engine, 1.5 * plain.max().item())
    assert ((times / plain - 1).max() > 0.1).item()
    assert ((times / plain)[:, 1:] > 1.0).all()
    torch.testing.assert_close(
        times[:, :4], predicted_times(sigma, reduced)[:, :4], rtol=0.02, atol=0
    )


@pytest.mark.parametrize(
    ("depth", "lr", "starts"),
    [
        (3, 2e-3, [0.01, 0.014, 0.02, 0.03]),
        (4, 1e-2, [0.03, 0.05, 0.07, 0.1]),
        (5, 2e-2, [0.07, 0.1, 0.14, 0.2]),
    ],
)
def test_g18_the_first_escape_takes_longer_the_deeper_the_network(engine_of, depth, lr, starts):
    pack, engine = engine_of(
        runs=4,
        model={"depth": depth, "width": 1},
        data={"input_dim": 1, "samples": 4, "amplitude": 1.0},
        train={"lr": lr},
    )
    u, sigma, vt = spectra(pack)
    torch.testing.assert_close(sigma, torch.ones(4, 1).double())
    theta = torch.tensor(starts).double()[:, None].repeat(1, depth)
    theta[:, :1] *= u[:, 0] * vt[:, 0]
    start_from(engine, theta)
    expected = torch.tensor(starts).double() ** (2 - depth) / (2 * (depth - 2))
    every = int(expected.min().item() / lr / 100)
    times = torch.zeros(4).double()
    for at in range(0, int(1.1 * expected.max().item() / lr), every):
        engine.advance(at, every)
        is_late = engine.theta_KP.prod(dim=1).abs() < 0.5
        times[is_late] = lr * (at + every)
    slope = np.polyfit(np.log(starts), times.log().numpy(), 1)[0]
    assert slope == pytest.approx(-(depth - 2), abs=0.15)
    torch.testing.assert_close(times, expected, rtol=0.06, atol=0)


def step_gradient(before, after, lr, gamma):
    """Return the data gradient that one step of SGD used."""
    return ((1 - 2 * lr * gamma) * before - after) / lr


def linear_charges(layout, theta_KP):
    """Return W_{l+1}^T W_{l+1} - W_l W_l^T of every hidden layer."""
    weights = [unpack(theta_KP, block) for block in layout.blocks]
    return torch.stack([b.mT @ b - a @ a.mT for a, b in itertools.pairwise(weights)])


def neuron_charges(layout, theta_KP):
    """Return |leaving|^2 - |entering|^2 of every neuron, its bias entering."""
    sides = [neuron_sides(layout, group, theta_KP) for group in layout.groups]
    return torch.stack([out.square().sum(dim=2) - into.square().sum(dim=2) for into, out in sides])


CHARGES = {
    "deep_linear": (linear_charges, {"kind": "deep_linear", "depth": 4, "width": WIDTH}),
    "relu": (neuron_charges, {"kind": "fcn", "activation": "relu", "depth": 4, "width": WIDTH}),
    "relu without bias": (
        neuron_charges,
        {"kind": "fcn", "activation": "relu", "depth": 3, "width": WIDTH, "bias": False},
    ),
}


@pytest.mark.parametrize("name", CHARGES)
@pytest.mark.parametrize("batch", ["full", 3])
@pytest.mark.parametrize("gamma", [0.0, 0.1])
def test_g8_each_step_changes_a_charge_by_the_square_of_the_rate(engine_of, name, batch, gamma):
    charges, model = CHARGES[name]
    lr = 0.02
    pack, engine = engine_of(
        runs=2, model=model, train={"lr": lr, "gamma": gamma, "batch_size": batch}
    )
    layout = pack.model.layout
    for at in range(20):
        before = engine.theta_KP.clone()
        engine.advance(at, 1)
        slope = step_gradient(before, engine.theta_KP, lr, gamma)
        # The charge is a quadratic form, and so is what a step adds to it.
        expected = (1 - 2 * lr * gamma) ** 2 * charges(layout, before)
        expected += lr**2 * charges(layout, slope)
        assert slope.norm() > 0.1
        torch.testing.assert_close(
            charges(layout, engine.theta_KP), expected, rtol=1e-12, atol=1e-12
        )


@pytest.mark.parametrize("gamma", [0.1, 0.5])
def test_g8_charges_decay_at_four_gamma(engine_of, gamma):
    lr, duration = 1e-4, 1.0
    pack, engine = engine_of(train={"lr": lr, "gamma": gamma})
    start = linear_charges(pack.model.layout, engine.theta_KP.clone())
    engine.advance(0, round(duration / lr))
    end = linear_charges(pack.model.layout, engine.theta_KP)
    error = (end - start * math.exp(-4 * gamma * duration)).norm() / end.norm()
    assert error < 1e-3


def tanh_charges(layout, theta_KP, inputs):
    """Return sum_a U_ak^2 / 2 - (1/n) sum_j sinh^2(V_kj) / 2, V the preactivations."""
    w1, w2 = (unpack(theta_KP, block) for block in layout.blocks)
    potential = torch.sinh(w1 @ inputs.T).square().sum(dim=2) / 2
    return w2.square().sum(dim=1) / 2 - potential / len(inputs)


DRIFTS = {**CHARGES, "tanh": (None, {"kind": "fcn", "activation": "tanh", "bias": False})}


@pytest.mark.parametrize("name", DRIFTS)
def test_g8_the_drift_over_a_fixed_time_is_linear_in_the_rate(engine_of, name):
    # Tanh has a charge where the inputs are orthogonal and as many as there are dimensions.
    charges, model = DRIFTS[name]
    rates = [4e-3, 2e-3, 1e-3]
    drifts = []
    for lr in rates:
        pack, engine = engine_of(model=model, data={"samples": DIM}, train={"lr": lr})
        layout = pack.model.layout
        inputs = torch.from_numpy(pack.data.train.x[0])

        def charge(theta, layout=layout, inputs=inputs):
            return charges(layout, theta) if charges else tanh_charges(layout, theta, inputs)

        start = charge(engine.theta_KP.clone())
        engine.advance(0, round(0.4 / lr))
        drifts.append((charge(engine.theta_KP) - start).norm().item())
    slope = np.polyfit(np.log(rates), np.log(drifts), 1)[0]
    assert slope == pytest.approx(1.0, abs=0.1)


def test_g8_column_sums_of_a_softmax_readout_only_decay(engine_of):
    lr, gamma, steps = 0.1, 0.01, 50
    pack, engine = engine_of(
        model={"kind": "fcn", "activation": "tanh", "depth": 2},
        data={"kind": "digits", "samples": 60},
        train={"lr": lr, "gamma": gamma, "batch_size": 8},
    )
    readout = [b for b in pack.model.layout.blocks if b.axes[0] == "output"]
    sums = [unpack(engine.theta_KP.clone(), block).sum(dim=1) for block in readout]
    engine.advance(0, steps)
    for block, start in zip(readout, sums, strict=True):
        end = unpack(engine.theta_KP, block).sum(dim=1)
        factor = (1 - 2 * lr * gamma) ** steps
        torch.testing.assert_close(end, factor * start, rtol=1e-12, atol=1e-12)


def descend(loss, tensors, lr):
    """Take one plain step of gradient descent; return new tensors and gradients."""
    tensors = [t.detach().requires_grad_(True) for t in tensors]
    slopes = torch.autograd.grad(loss(*tensors), tensors)
    return [(t - lr * g).detach() for t, g in zip(tensors, slopes, strict=True)], slopes


def test_g8_attention_conserves_the_difference_of_its_gram_matrices():
    lr = 0.05
    x, y = (torch.from_numpy(Stream(0, name).normal(4, 7, 5)) for name in "xy")
    pair = [torch.from_numpy(Stream(0, name).normal(5, 3)) for name in ("query", "key")]

    def loss(query, key):
        attention = torch.softmax((x @ query) @ (x @ key).mT, dim=2)
        return (attention @ x - y).square().mean()

    for _ in range(10):
        (query, key), (slope_q, slope_k) = descend(loss, pair, lr)
        expected = pair[0].T @ pair[0] - pair[1].T @ pair[1]
        expected = expected + lr**2 * (slope_q.T @ slope_q - slope_k.T @ slope_k)
        torch.testing.assert_close(query.T @ query - key.T @ key, expected, rtol=1e-12, atol=1e-12)
        pair = [query, key]


def test_g8_a_scale_invariant_block_grows_by_the_square_of_its_steps():
    lr = 0.5
    x, y = (
        torch.from_numpy(Stream(0, "x").normal(20, 5)),
        torch.from_numpy(Stream(0, "y").normal(20)),
    )
    block = torch.from_numpy(Stream(0, "w").normal(5))
    for _ in range(10):
        (after,), (slope,) = descend(lambda w: (x @ w / w.norm() - y).square().mean(), [block], lr)
        expected = block.square().sum() + lr**2 * slope.square().sum()
        torch.testing.assert_close(after.square().sum(), expected, rtol=1e-12, atol=0)
        block = after
