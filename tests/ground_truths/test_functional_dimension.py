"""G21: ranks of the Jacobian, exact integers, generic and at symmetric states."""

import math

import pytest
import torch
from torch import nn

from symstudy.models.fcn.network import Fcn
from symstudy.streams import Stream
from symstudy.theory.explained_symmetry import report_symmetries
from symstudy.theory.functional_dimension import functional_dimension, jacobian_chunks

SEEDS = (0, 1)


def normal(seed, name, *shape):
    return torch.from_numpy(Stream(seed, name).normal(*shape))


def dimension_of(outputs, sizes, sample_shape, seed, num_outputs):
    """Return rank and P at generic parameters of the blocks `sizes`, having checked the gap."""
    counts = [math.prod(shape) for shape in sizes]
    theta = normal(seed, "theta", sum(counts))

    def flat(theta_P, x):
        parts = theta_P.split(counts)
        return outputs([part.view(s) for part, s in zip(parts, sizes, strict=True)], x)

    samples = normal(seed, "x", 4 * sum(counts) // num_outputs + 1, *sample_shape)
    found = functional_dimension(flat, theta, samples)
    assert found.is_clear, found.gap
    return found.rank, sum(counts)


def network(sizes, activation, *, bias):
    model = Fcn(sizes, activation, bias=bias)
    return model, lambda theta, x: model.forward(theta[None], x[None, None]).output_KBO[0, 0]


def rank_of_network(sizes, activation, *, bias, theta=None, seed=0):
    model, outputs = network(sizes, activation, bias=bias)
    size = model.layout.size
    theta = normal(seed, "theta", size) if theta is None else theta
    samples = normal(seed, "x", 8 * size // sizes[-1], sizes[0])
    found = functional_dimension(outputs, theta, samples)
    assert found.is_clear, found.gap
    return found.rank, size


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("sizes", [(5, 3, 4), (5, 9, 4), (3, 4, 6), (4, 4, 4)])
def test_g21_a_linear_pair_has_the_dimension_of_its_products(sizes, seed):
    rank, size = rank_of_network(sizes, "linear", bias=False, seed=seed)
    d, h, o = sizes
    q = min(sizes)
    assert rank == q * (d + o - q)
    if h <= min(d, o):
        assert rank == size - h * h


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(
    ("sizes", "bias"), [((4, 6, 3), False), ((4, 6, 3), True), ((3, 8, 1), True)]
)
def test_g21_relu_loses_one_dimension_a_neuron(sizes, bias, seed):
    rank, size = rank_of_network(sizes, "relu", bias=bias, seed=seed)
    assert rank == size - sizes[1]


# P - h does not hold at every generic point of a deeper ReLU network: neurons that are never or
# always active on the image of the layer below have further symmetries, on open sets of parameters
# (Grigsby, Lindsey and Rolnick 2023, arXiv:2306.06179).
DEEP = {
    "as drawn": (False, {}, 0),
    "as drawn, with bias": (True, {}, 0),
    "one never active: all its numbers but the rescaling": (False, {0: -1.0}, 5 + 2 - 1),
    "one always active: its bias against the output's": (True, {0: 1.0}, 1),
    "two always active: GL(2) in place of two rescalings": (False, {0: 1.0, 1: 1.0}, 2),
}


@pytest.mark.parametrize("name", DEEP)
def test_g21_deep_relu_loses_more_where_neurons_never_or_always_fire(name):
    bias, signs, lost = DEEP[name]
    sizes = (3, 5, 4, 2)
    model, outputs = network(sizes, "relu", bias=bias)
    layout = model.layout
    theta = normal(1, "theta", layout.size)
    for block in layout.incoming(layout.groups[1]):
        part = theta[block.offset : block.stop].view(block.shape)
        for neuron, sign in signs.items():
            part[neuron] = sign * part[neuron].abs()
    samples = normal(1, "x", 30 * layout.size, sizes[0])
    found = functional_dimension(outputs, theta, samples)
    assert found.is_clear
    assert found.rank == layout.size - (5 + 4) - lost


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("activation", ["tanh", "silu", "sin", "gelu"])
@pytest.mark.parametrize(
    ("sizes", "bias"), [((4, 5, 3), False), ((4, 5, 3), True), ((3, 4, 4, 2), True)]
)
def test_g21_discrete_symmetries_lose_nothing(activation, sizes, bias, seed):
    rank, size = rank_of_network(sizes, activation, bias=bias, seed=seed)
    assert rank == size


@pytest.mark.parametrize(("activation", "lost"), [(torch.abs, 5), (torch.cos, 0)])
def test_g21_signs_of_what_enters_even_neurons_lose_nothing(activation, lost):
    class Even(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.last = nn.Linear(4, 5), nn.Linear(5, 2)

        def forward(self, x):
            return self.last(activation(self.first(x)))

    torch.manual_seed(0)
    report = report_symmetries(Even(), torch.randn(6, 4))
    assert (report.nullity.nullity, report.nullity.explained) == (lost, lost)
    (flips,) = (row for row in report.rows() if row["kind"] == "sign_flip")
    assert (flips["continuous"], flips["discrete"], flips["partners"]) == (0, "2^5", [])


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("alpha", [2, 3])
def test_g21_activations_of_any_degree_lose_one_dimension_a_neuron(alpha, seed):
    def outputs(blocks, x):
        return blocks[1] @ torch.relu(blocks[0] @ x).pow(alpha)

    rank, size = dimension_of(outputs, [(5, 4), (3, 5)], (4,), seed, 3)
    assert rank == size - 5


@pytest.mark.parametrize("seed", SEEDS)
def test_g21_a_radial_activation_loses_the_rotations(seed):
    def outputs(blocks, x):
        z = blocks[0] @ x
        return blocks[1] @ (z * torch.tanh(z.norm()))

    rank, size = dimension_of(outputs, [(3, 5), (4, 3)], (5,), seed, 4)
    assert rank == size - 3 * (3 - 1) // 2


@pytest.mark.parametrize("seed", SEEDS)
def test_g21_attention_loses_a_general_linear_group_a_pair(seed):
    width, inner, tokens = 5, 2, 4

    def logits(blocks, x):
        return x @ blocks[0] @ (x @ blocks[1]).T

    shapes = [(width, inner)] * 2
    rank, _ = dimension_of(logits, shapes, (tokens, width), seed, tokens * tokens)
    assert rank == 2 * width * inner - inner**2

    def head(blocks, x):
        weights = torch.softmax(logits(blocks, x), dim=1)
        return weights @ (x @ blocks[2]) @ blocks[3]

    shapes = [(width, inner)] * 3 + [(inner, width)]
    rank, _ = dimension_of(head, shapes, (tokens, width), seed, tokens * width)
    assert rank == 2 * (2 * width * inner - inner**2)


@pytest.mark.parametrize("seed", SEEDS)
def test_g21_heads_lose_their_groups_each(seed):
    width, inner, tokens = 4, 1, 3

    def outputs(blocks, x):
        heads = [
            torch.softmax((x @ q) @ (x @ k).T, dim=1) @ (x @ v) @ o
            for q, k, v, o in zip(*[iter(blocks)] * 4, strict=True)
        ]
        return torch.stack(heads).sum(dim=0)

    shapes = ([(width, inner)] * 3 + [(inner, width)]) * 2
    rank, size = dimension_of(outputs, shapes, (tokens, width), seed, tokens * width)
    assert rank == size - 4 * inner**2


@pytest.mark.parametrize("seed", SEEDS)
def test_g21_a_softmax_readout_loses_a_translation_an_input(seed):
    def probabilities(blocks, x):
        return torch.softmax(blocks[0] @ x + blocks[1], dim=0)

    rank, size = dimension_of(probabilities, [(5, 4), (5,)], (4,), seed, 5)
    assert rank == size - (4 + 1)


@pytest.mark.parametrize("seed", SEEDS)
def test_g21_normalised_weights_lose_one_dimension_a_block(seed):
    def outputs(blocks, x):
        rows = blocks[0] / blocks[0].norm(dim=1, keepdim=True)
        return (blocks[1] / blocks[1].norm()) @ torch.tanh(rows @ x)

    rank, size = dimension_of(outputs, [(4, 5), (3, 4)], (5,), seed, 3)
    assert rank == size - (4 + 1)


def identical_pair(model, theta):
    """Return `theta` with neurons 0 and 1 of the hidden layer both at their mean."""
    theta = theta.clone()
    for block in model.layout.blocks:
        if "hidden1" in block.axes:
            axis = block.axes.index("hidden1")
            part = theta[block.offset : block.stop].view(block.shape).movedim(axis, 0)
            part[:2] = part[:2].mean(dim=0)
    return theta


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize(("activation", "scales"), [("tanh", 0), ("silu", 0), ("relu", 1)])
def test_g21_an_identical_pair_loses_the_rank_of_its_breaking(activation, scales, bias, seed):
    d, h, o = 4, 5, 3
    model, outputs = network((d, h, o), activation, bias=bias)
    theta = identical_pair(model, normal(seed, "theta", model.layout.size))
    rank, size = rank_of_network((d, h, o), activation, bias=bias, theta=theta, seed=seed)
    # ReLU: of the h rescalings, the one that tells the pair apart is among the directions lost.
    assert rank == size - (d + o + bias) - scales * (h - 1)
    rows = next(jacobian_chunks(outputs, theta, normal(seed, "x", 20, d), 20))
    block = rows[:, : h * d].view(-1, h, d)
    assert (block[:, 0] - block[:, 1]).abs().max() <= 1e-12


@pytest.mark.parametrize("seed", SEEDS)
def test_g21_copies_are_counted_by_the_rank(seed):
    d, o, distinct = 6, 5, 4
    rows = normal(seed, "rows", distinct, d + 1 + o).repeat(3, 1)
    theta = torch.cat([rows[:, :d].flatten(), rows[:, d], rows[:, d + 1 :].T.flatten()])
    theta = torch.cat([theta, torch.zeros(o).double()])
    rank, _ = rank_of_network((d, 3 * distinct, o), "tanh", bias=True, theta=theta, seed=seed)
    assert rank == distinct * (d + 1 + o) + o


@pytest.mark.parametrize("seed", SEEDS)
def test_g21_dead_odd_neurons_lose_their_signs_breaking(seed):
    d, h, o = 4, 5, 3
    model, _ = network((d, h, o), "tanh", bias=False)
    theta = normal(seed, "theta", model.layout.size)
    theta[: 2 * d] = 0.0
    theta[h * d :].view(o, h)[:, :2] = 0.0
    rank, size = rank_of_network((d, h, o), "tanh", bias=False, theta=theta, seed=seed)
    assert rank == size - 2 * (d + o)


@pytest.mark.parametrize("kept", [1, 2])
def test_g21_a_linear_pair_of_low_rank_loses_what_its_product_loses(kept):
    d, h, o = 5, 3, 4
    theta = normal(0, "theta", h * (d + o))
    theta[: (h - kept) * d] = 0.0
    theta[h * d :].view(o, h)[:, : h - kept] = 0.0
    rank, _ = rank_of_network((d, h, o), "linear", bias=False, theta=theta)
    assert rank == kept * (d + o - kept)


CHANNELS = 3
MODULES = {
    # Kernels of 4 numbers and a bias for each channel, then a readout of all its places.
    "convolution, ReLU: a rescaling a channel": (
        [nn.Conv2d(1, CHANNELS, 2), nn.ReLU(), nn.Flatten(), nn.Linear(4 * CHANNELS, 2)],
        (1, 3, 3), CHANNELS, CHANNELS,
    ),
    "convolution, tanh: nothing": (
        [nn.Conv2d(1, CHANNELS, 2), nn.Tanh(), nn.Flatten(), nn.Linear(4 * CHANNELS, 2)],
        (1, 3, 3), 0, 0,
    ),
    "batch norm, tanh: scale and bias of what it normalises": (
        [nn.Linear(4, CHANNELS), nn.BatchNorm1d(CHANNELS), nn.Tanh(), nn.Linear(CHANNELS, 2)],
        (4,), 2 * CHANNELS, 2 * CHANNELS,
    ),
    "batch norm, ReLU: these, and its own gain and bias against the next layer": (
        [nn.Linear(4, CHANNELS), nn.BatchNorm1d(CHANNELS), nn.ReLU(), nn.Linear(CHANNELS, 2)],
        (4,), 3 * CHANNELS, 3 * CHANNELS,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MODULES)
def test_g21_convolutions_and_batch_norms_lose_their_groups_which_are_all_derived(name):
    layers, shape, lost, derived = MODULES[name]
    torch.manual_seed(0)
    for layer in layers:  # drawn where this file was loaded: a channel might be dead
        if callable(reset := getattr(layer, "reset_parameters", None)):
            reset()
    report = report_symmetries(nn.Sequential(*layers), torch.randn(6, *shape))
    found = report.nullity
    assert found.reason == ""
    assert found.rank == found.parameters - lost
    assert (found.nullity, found.explained, found.unexplained) == (lost, derived, 0)
    assert "permutation" in {each.kind for each in report.derivation.symmetries}
