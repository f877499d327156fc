"""Alignments of representations, gradients and weights, where theory gives them exactly."""

import math
from typing import NamedTuple

import pytest
import torch

from symstudy.measures.alignment import (
    alignment,
    incoming_moments,
    outgoing_moments,
    rotation_score,
)
from symstudy.measures.backward import BackwardPass
from symstudy.measures.compute import measure_extra
from symstudy.measures.views import LayerView
from symstudy.models.fcn.network import Fcn

SIDES = ("incoming", "outgoing")
PAIRS = ("forward_backward", "forward_weight", "backward_weight")
EACH = [f"{side}_{pair}" for side in SIDES for pair in PAIRS]
SAMPLES = 400


class State(NamedTuple):
    """A deep linear network with data: weights layer by layer, inputs and targets."""

    weights: list[torch.Tensor]
    x: torch.Tensor
    y: torch.Tensor


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(5)


def drawn(generator, *shape):
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def orthonormal(generator, rows, columns):
    return torch.linalg.qr(drawn(generator, rows, columns)).Q


def root(matrix, power=0.5):
    values, vectors = torch.linalg.eigh(matrix)
    return vectors @ torch.diag(values.clamp_min(0) ** power) @ vectors.T


def covariance(generator, size):
    factor = drawn(generator, size, size)
    return factor @ factor.T / size + 0.2 * torch.eye(size, dtype=torch.float64)


def samples_with(generator, moment):
    """Return samples whose second moment is `moment`, exactly."""
    return math.sqrt(SAMPLES) * orthonormal(generator, SAMPLES, len(moment)) @ root(moment)


def measures_of(state):
    """Return the twelve measures of each hidden layer."""
    sizes = [state.weights[0].shape[1], *[len(w) for w in state.weights]]
    model = Fcn(sizes, "linear", bias=False)
    theta = torch.cat([w.reshape(-1) for w in state.weights])[None]
    x, y = state.x[None], state.y[None]
    loss = lambda outputs, targets: (outputs - targets).square().sum(dim=2).mean(dim=1)  # noqa: E731
    backward = BackwardPass(model, theta, x, y, loss)
    hidden = model.forward(theta, x).hidden
    names = [f"{name}_{kind}" for name in EACH for kind in ("alignment", "score")]
    views = [
        LayerView(model.layout, group, theta, hidden[group.name], backward)
        for group in model.layout.groups
    ]
    return [
        {name: value.item() for name, value in measure_extra(view, names).items()} for view in views
    ], views


def noisy(weights, generator, of_inputs, of_noise):
    """Return a network at its minimum: targets are its outputs with noise of a given covariance."""
    x = samples_with(generator, of_inputs)
    product = weights[0]
    for w in weights[1:]:
        product = w @ product
    return State(weights, x, x @ product.T + samples_with(generator, of_noise))


def test_all_six_are_1_where_two_balanced_layers_see_white_inputs_and_noise(generator):
    """W_2^T W_2 = W_1 W_1^T = S in the basis of the neurons; then H = G = S on both sides."""
    inputs, outputs, width = 5, 4, 9
    values = torch.tensor([2.0, 1.3, 0.6, 0.2], dtype=torch.float64)
    frame = orthonormal(generator, width, 4)
    first = frame @ torch.diag(values.sqrt()) @ orthonormal(generator, inputs, 4).T
    second = orthonormal(generator, outputs, 4) @ torch.diag(values.sqrt()) @ frame.T
    white = [torch.eye(size, dtype=torch.float64) for size in (inputs, outputs)]
    (found,), _ = measures_of(noisy([first, second], generator, *white))
    largest = math.sqrt((width - 1) * (width + 2) / 2)
    for name in EACH:
        assert found[f"{name}_alignment"] == pytest.approx(1.0, abs=1e-10), name
        assert found[f"{name}_score"] == pytest.approx(largest, rel=1e-10), name


def entropic_state(generator, sizes, rank):
    """Return a minimum at which SGD with label noise is stationary, in any number of layers.

    With Sigma_e^1/2 V Sigma_x^1/2 = U S R^T, frames O_i and scales c_i, the layers below i make
    c_i O_i S^1/2 R^T Sigma_x^-1/2, and those above it Sigma_e^-1/2 U S^1/2 O_i^T / c_i.
    """
    inputs, *widths, outputs = sizes
    of_inputs, of_noise = covariance(generator, inputs), covariance(generator, outputs)
    values = torch.linspace(2.0, 0.3, rank, dtype=torch.float64)
    right = orthonormal(generator, inputs, rank)
    left = orthonormal(generator, outputs, rank)
    frames = [orthonormal(generator, width, rank) for width in widths]
    scales = [1.0 + 0.5 * i for i in range(len(widths))]
    into = scales[0] * frames[0] @ torch.diag(values.sqrt()) @ right.T @ root(of_inputs, -0.5)
    between = [
        b / a * upper @ lower.T
        for a, b, lower, upper in zip(scales, scales[1:], frames, frames[1:], strict=False)
    ]
    out = root(of_noise, -0.5) @ left @ torch.diag(values.sqrt()) @ frames[-1].T / scales[-1]
    return noisy([into, *between, out], generator, of_inputs, of_noise), frames


@pytest.mark.parametrize("sizes", [(6, 8, 5), (6, 7, 9, 8, 5)])
def test_forward_and_backward_align_exactly_where_sgd_with_label_noise_is_stationary(
    generator, sizes
):
    """b A^T Sigma_e A = a B Sigma_x B^T at every layer (arXiv:2505.12387, Theorem 8)."""
    state, _ = entropic_state(generator, sizes, rank=4)
    for found, width in zip(measures_of(state)[0], sizes[1:-1], strict=True):
        for side in SIDES:
            assert found[f"{side}_forward_backward_alignment"] == pytest.approx(1.0, abs=1e-10)
            score = found[f"{side}_forward_backward_score"]
            assert score == pytest.approx(math.sqrt((width - 1) * (width + 2) / 2), rel=1e-10)


def test_weights_between_do_not_align_there_but_are_flat_on_what_is_represented(generator):
    """Z = O O^T up to a factor while H = O S O^T, so that the traceless cosine is below 1."""
    sizes, rank = (6, 7, 9, 8, 5), 4
    state, frames = entropic_state(generator, sizes, rank)
    found = measures_of(state)[0][1]
    values = torch.linspace(2.0, 0.3, rank, dtype=torch.float64)
    h, z = frames[1] @ torch.diag(values) @ frames[1].T, frames[1] @ frames[1].T
    for side in SIDES:
        expected = rotation_score(h[None], z[None]).item()
        assert found[f"{side}_forward_weight_score"] == pytest.approx(expected, rel=1e-10)
        expected = alignment(h[None], z[None]).item()
        assert found[f"{side}_forward_weight_alignment"] == pytest.approx(expected, abs=1e-10)
        assert expected < 0.99


def test_a_step_off_the_stationary_state_takes_the_alignment_away(generator):
    """Rescaling by a matrix leaves the function as it is, and the alignment not."""
    state, _ = entropic_state(generator, (6, 8, 5), rank=4)
    gauge = torch.eye(8, dtype=torch.float64) + 0.6 * drawn(generator, 8, 8) / math.sqrt(8)
    first, second = state.weights
    moved = State([gauge @ first, second @ torch.linalg.inv(gauge)], state.x, state.y)
    assert measures_of(moved)[0][0]["incoming_forward_backward_alignment"] < 0.9


def haar(generator, count, size):
    """Return random rotations, uniform."""
    found = torch.linalg.qr(drawn(generator, count, size, size))
    return found.Q * found.R.diagonal(dim1=1, dim2=2).sign()[:, None]


SPECTRA = {
    "two neurons": [1.0, 0.2],
    "one direction": [1.0, 0.0, 0.0, 0.0, 0.0, 0.0],
    "a spike on a flat rest": [5.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0],
    "a power law": [1 / k for k in range(1, 13)],
}


@pytest.mark.parametrize("first", SPECTRA)
@pytest.mark.parametrize("second", ["one direction", "a power law"])
def test_scores_of_random_rotations_have_mean_0_and_variance_1(generator, first, second):
    """Exactly, for any spectra: held to four standard errors of 20,000 rotations."""
    values = torch.tensor(SPECTRA[first], dtype=torch.float64)
    size, draws = len(values), 20_000
    others = torch.tensor((SPECTRA[second] + [0.0] * size)[:size], dtype=torch.float64)
    turns = haar(generator, draws, size)
    a = torch.diag(values).expand(draws, size, size)
    scores = rotation_score(a, turns @ torch.diag(others) @ turns.transpose(1, 2))
    spread = scores.square().std() / math.sqrt(draws)
    assert abs(scores.mean()) < 4 / math.sqrt(draws)
    assert abs(scores.square().mean() - 1) < 4 * spread


def test_a_large_correlation_alone_is_no_alignment(generator):
    """Two matrices near the unit matrix, turned at random, correlate; their scores say nothing."""
    values = 1.0 + 0.1 * torch.rand(20, generator=generator, dtype=torch.float64)
    turns = haar(generator, 500, 20)
    turned = turns @ torch.diag(values) @ turns.transpose(1, 2)
    plain = torch.diag(values).expand(500, 20, 20)
    assert alignment(plain, turned).min() > 0.9
    assert rotation_score(plain, turned).abs().mean() < 1.0


def test_a_gradient_of_nothing_has_no_alignment(generator):
    """Where the network fits its data to the last bit G is 0."""
    weights = [drawn(generator, 6, 4), drawn(generator, 3, 6)]
    x = drawn(generator, SAMPLES, 4)
    state = State(weights, x, x @ (weights[1] @ weights[0]).T)
    model = Fcn([4, 6, 3], "linear", bias=False)
    theta = torch.cat([w.reshape(-1) for w in weights])[None]
    fitted = state._replace(y=model.forward(theta, x[None]).output_KBO[0])
    (found,), _ = measures_of(fitted)
    assert math.isnan(found["incoming_forward_backward_alignment"])
    assert math.isnan(found["outgoing_backward_weight_score"])
    assert found["incoming_forward_weight_alignment"] > -1


def test_tiny_gradients_align_as_large_ones_do(generator):
    """A loss times 1e-30 changes no alignment."""
    state = noisy(
        [drawn(generator, 6, 4), drawn(generator, 3, 6)],
        generator,
        covariance(generator, 4),
        covariance(generator, 3),
    )
    product = state.weights[1] @ state.weights[0]
    tiny = state._replace(y=state.x @ product.T + 1e-12 * (state.y - state.x @ product.T))
    large, small = measures_of(state)[0][0], measures_of(tiny)[0][0]
    for name in EACH:
        assert small[f"{name}_alignment"] == pytest.approx(large[f"{name}_alignment"], rel=1e-2)


def test_the_matrices_are_those_of_the_layer(generator):
    """H, G and Z of both sides up to a factor, by their definitions, for a tanh network."""
    model = Fcn([4, 6, 3], "tanh")
    theta = drawn(generator, 2, model.layout.size)
    x, y = drawn(generator, 2, 50, 4), drawn(generator, 2, 50, 3)
    loss = lambda outputs, targets: (outputs - targets).square().sum(dim=2).mean(dim=1)  # noqa: E731
    backward = BackwardPass(model, theta, x, y, loss)
    (group,) = model.layout.groups
    view = LayerView(
        model.layout, group, theta, model.forward(theta, x).hidden[group.name], backward
    )
    w1, b1 = theta[1, :24].view(6, 4), theta[1, 24:30]
    w2, b2 = theta[1, 30:48].view(3, 6), theta[1, 48:]
    sums = x[1] @ w1.T + b1
    active = sums.tanh()
    back = (active @ w2.T + b2 - y[1]) @ w2
    before = back * (1 - active.square())
    expected = {
        incoming_moments: (sums.T @ sums, before.T @ before, w1 @ w1.T),
        outgoing_moments: (active.T @ active, back.T @ back, w2.T @ w2),
    }
    for function, matrices in expected.items():
        moments = function(view)
        assert moments is not None
        for found, matrix in zip(moments, matrices, strict=True):
            torch.testing.assert_close(found[1], matrix / torch.linalg.matrix_norm(matrix))
