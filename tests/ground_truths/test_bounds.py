"""G14: how far apart and how many the neurons of a global minimum are, against exact cases."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from symstudy.layout import NeuronGroup
from symstudy.study import PackConfig
from symstudy.symmetry.neurons import cluster_neurons, neuron_matrix
from symstudy.symmetry.thresholds import EPSILON_RELATIVE
from symstudy.theory.bounds import estimate_smoothness, neuron_bound, separation
from symstudy.theory.collapse import critical_regularisation
from symstudy.training.engines.merging import merge_gains
from symstudy.training.loop import make_engine, make_pack

GRID = np.linspace(0.0, 3.0, 30_001)


def best_distance(loss, gamma):
    """Return the distance of two neurons at the minimum of loss(D) + gamma D^2 / 2 on a grid."""
    return float(GRID[np.argmin(loss(GRID) + gamma * GRID**2 / 2)])


@pytest.mark.parametrize("kappa", [0.5, 1.0, 2.0])
@pytest.mark.parametrize(("smooth", "c"), [(0.4, 1.0), (1.5, 0.6)])
def test_g14_the_sharp_loss_jumps_and_attains_the_separation(kappa, smooth, c):
    def loss(distance):
        return -smooth * np.minimum(distance, c) ** (2 + kappa)

    critical = 2 * smooth * c**kappa
    assert separation(critical, smooth, kappa) == pytest.approx(c, rel=1e-12)
    for share in (0.2, 0.9, 0.999):
        distance = best_distance(loss, share * critical)
        assert distance == pytest.approx(c, abs=1e-4)
        assert distance >= separation(share * critical, smooth, kappa) - 1e-4
    for share in (1.001, 1.1, 5.0):
        assert best_distance(loss, share * critical) == 0.0


@pytest.mark.parametrize(("a", "b"), [(0.5, 0.2), (1.0, 1.5)])
def test_g14_a_smooth_restoration_has_no_least_distance(a, b):
    def loss(distance):
        return -a * distance**2 + b * distance**4

    for share in (0.3, 0.9, 0.99, 0.9999):
        gamma = share * 2 * a
        exact = np.sqrt((a - gamma / 2) / (2 * b))
        assert best_distance(loss, gamma) == pytest.approx(exact, abs=1e-4)
    assert best_distance(loss, 2 * a) == 0.0
    assert best_distance(loss, 0.9999 * 2 * a) < 0.01 * best_distance(loss, 0.0) + 1e-4


@pytest.mark.parametrize("a", [0.5, 1.3])
def test_g14_the_critical_gamma_of_the_landau_loss_is_its_curvature(a):
    def loss(theta_KP, x_KBI, y_KBO):
        distance = theta_KP[:, 0] - theta_KP[:, 1]
        return -a * distance**2 + 0.2 * distance**4 + 0 * (x_KBI.sum() + y_KBO.sum())

    apart = torch.tensor([[1.0], [-1.0]], dtype=torch.float64) / 2**0.5
    nothing = torch.zeros(1, 1, 1, dtype=torch.float64)
    state = torch.full((1, 2), 0.7, dtype=torch.float64)
    critical = critical_regularisation(loss, state, apart, nothing, nothing)
    assert critical.item() == pytest.approx(2 * a, rel=1e-12)


@pytest.mark.parametrize("count", [2, 3, 5, 17])
def test_g14_a_regular_simplex_attains_the_dimension_free_bound(count):
    corners = np.eye(count) - 1 / count
    distances = np.linalg.norm(corners[:, None] - corners[None], axis=2)[np.triu_indices(count, 1)]
    np.testing.assert_allclose(distances, distances[0])
    gamma, smooth = 0.1, 0.1 / (2 * distances[0])
    assert separation(gamma, smooth, 1.0) == pytest.approx(distances[0])
    energy = gamma * float(np.square(corners).sum())
    bound = neuron_bound("dimension_free", gamma, smooth, 1.0, energy)
    assert bound == pytest.approx(count, rel=1e-12)


@given(
    seed=st.integers(0, 10**6),
    count=st.integers(2, 12),
    dims=st.integers(1, 6),
    copies=st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_g14_counted_neurons_obey_the_bound_identically(seed, count, dims, copies):
    rng = np.random.default_rng(seed)
    neurons = rng.standard_normal((1, count, dims)) * rng.uniform(0, 2, (1, count, 1))
    if copies:
        neurons = np.concatenate([neurons, neurons + 1e-9], axis=1)
    points = torch.from_numpy(neurons)
    threshold = EPSILON_RELATIVE * points.norm(dim=2).amax(dim=1)
    clusters = cluster_neurons(points, threshold, reversible=0)
    distinct = clusters.count_above(threshold).item()
    if distinct > 1:
        bound = 1 + 2 * points.square().sum().item() / clusters.gaps_K.item() ** 2
        assert distinct <= bound * (1 + 1e-12)


def minimum(study_of, activation):
    """Return the pack, the weights and the only layer of a network at its best minimum."""
    study = study_of(
        model={"width": 16, "activation": activation, "bias": False},
        data={"samples": 100},
        train={"optimizer": "lbfgs", "lr": None, "batch_size": "full", "gamma": 0.02,
               "steps": 20_000},
    )  # fmt: skip
    pack = make_pack(study.runs(), PackConfig(device="cpu"))
    engine = make_engine(pack)
    engine.advance(0, pack.train.steps)
    (group,) = pack.model.layout.groups
    return pack, engine.theta_KP.numpy()[0], group


def pair_changes(pack, theta, group: NeuronGroup):
    """Return D and l(W) - l(W^m) of all pairs, the latter without the penalty."""
    split = pack.data.train
    x, y = torch.from_numpy(split.x[0]), torch.from_numpy(split.y[0])

    def data_loss(theta_CP):
        rows = torch.from_numpy(theta_CP)
        many = (len(rows), -1, -1)
        output = pack.model.forward(rows, x.expand(*many)).output_KBO
        return (output - y.expand(*many)).square().sum(dim=2).mean(dim=1).numpy()

    pairs, changes = merge_gains(pack.model.layout, group, theta, data_loss)
    w = neuron_matrix(pack.model.layout, group, torch.from_numpy(theta[None]))[0].numpy()
    distances = np.linalg.norm(w[pairs[:, 0]] - w[pairs[:, 1]], axis=1)
    if group.odd:
        turned = np.linalg.norm(w[pairs[:, 0]] + w[pairs[:, 1]], axis=1)
        distances = np.minimum(distances, turned)
    return distances, changes, w


@pytest.mark.parametrize("activation", ["tanh", "silu"])
def test_g14_theorem_4_holds_from_end_to_end_at_a_minimum(study_of, activation):
    pack, theta, group = minimum(study_of, activation)
    distances, changes, w = pair_changes(pack, theta, group)
    gamma = 0.02
    apart = distances > EPSILON_RELATIVE * np.linalg.norm(w, axis=1).max()
    # Eq. 28: the objective of no merged state is lower.
    assert (changes + gamma * distances**2 / 2).max() < 1e-9
    found = estimate_smoothness(distances[apart], changes[apart])
    assert found.kappa > 0.4
    assert found.K_bound >= found.K > 0
    smallest = separation(gamma, found.K_bound, found.kappa)
    assert distances[apart].min() >= smallest
    # Eqs. 35-38, with the dead neurons as one.
    energy = float(np.square(pack.data.train.y).sum(axis=2).mean())
    assert gamma * np.square(w).sum() <= energy
    points = torch.from_numpy(w)[None]
    threshold = EPSILON_RELATIVE * points.norm(dim=2).amax(dim=1)
    flips = points.shape[2] * group.odd
    distinct = cluster_neurons(points, threshold, reversible=flips).count_above(threshold).item()
    for kind in ("naive", "dimension_free", "finite_dimension"):
        bound = neuron_bound(kind, gamma, found.K_bound, found.kappa, energy, w.shape[1])
        assert distinct + 1 <= bound, kind
