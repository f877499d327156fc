import itertools
from dataclasses import replace

import pytest
import torch
from scipy.optimize import linear_sum_assignment

from symstudy.layout import Block, Layout, NeuronGroup
from symstudy.models.fcn.network import Fcn
from symstudy.streams import Stream
from symstudy.theory.matching import (
    Products,
    best_assignment,
    match_activations,
    match_weights,
    starts_for,
)
from symstudy.theory.neuron_maps import random_neuron_map

slow = pytest.mark.slow


def parameters(model, seed):
    return torch.from_numpy(Stream(seed, "test").normal(1, model.layout.size))


def is_inverse(found, planted):
    """Return whether the map `found` undoes the map `planted`, scales up to rounding."""
    wanted = planted.inverse()
    return all(
        torch.equal(found.orders[name], wanted.orders[name])
        and torch.equal(found.signs[name], wanted.signs[name])
        and torch.allclose(found.scales[name], wanted.scales[name], rtol=1e-9)
        for name in wanted.orders
    )


@pytest.mark.parametrize("turning", [0.0, 1.0, 3.0])
@pytest.mark.parametrize("fixed", [0.0, 1.0])
def test_the_assignment_is_the_best_of_all(turning, fixed):
    products = Products(
        turning * torch.from_numpy(Stream(0, "test").normal(5, 5)),
        fixed * torch.from_numpy(Stream(1, "test").normal(5, 5)),
    )
    order, sign = best_assignment(products)
    totals = [
        sum(abs(products[0][i, j]) + products[1][i, j] for i, j in enumerate(permutation))
        for permutation in itertools.permutations(range(5))
    ]
    assert products.total(order, sign) == pytest.approx(float(max(totals)))
    assert turning or (sign == 1).all()


SHAPES = [[5, 12, 3], [5, 12, 9, 3], [5, 8, 8, 8, 8, 3]]


@pytest.mark.parametrize(
    ("activation", "sizes"),
    [
        # Linear neurons have signs and scales; four layers of them take seconds.
        pytest.param(
            activation, sizes, marks=slow if len(sizes) > 4 and activation != "linear" else []
        )
        for activation in ("tanh", "relu", "linear", "silu")
        for sizes in SHAPES
    ],
)
def test_a_planted_map_is_recovered(activation, sizes):
    model = Fcn(sizes, activation)
    theta = parameters(model, 1)
    planted = random_neuron_map(model.layout, 2, log_scale=0.7)
    other = planted.apply(theta)
    matching = match_weights(model.layout, theta[0], other[0])
    assert is_inverse(matching.neuron_map, planted)
    assert matching.similarity == pytest.approx(1.0, abs=1e-12)
    torch.testing.assert_close(matching.apply(other), theta, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("sizes", SHAPES[:2])
@pytest.mark.parametrize("activation", ["relu", "silu"])
def test_a_planted_map_of_even_neurons_is_recovered_with_the_signs_of_what_enters(
    activation, sizes
):
    model = Fcn(sizes, activation)
    # The layout of the absolute value, and of an even activation that is not homogeneous.
    groups = tuple(replace(group, even=True) for group in model.layout.groups)
    layout = replace(model.layout, groups=groups)
    theta = parameters(model, 1)
    planted = random_neuron_map(layout, 2, log_scale=0.7)
    assert any((sign < 0).any() for sign in planted.signs.values())
    other = planted.apply(theta)
    matching = match_weights(layout, theta[0], other[0])
    assert is_inverse(matching.neuron_map, planted)
    torch.testing.assert_close(matching.apply(other), theta, rtol=1e-9, atol=1e-12)
    if activation == "relu":
        # |z| is what ReLU of z and of -z make together.
        x = torch.from_numpy(Stream(5, "test").normal(1, 20, sizes[0]))
        torch.testing.assert_close(of_absolutes(layout, other, x), of_absolutes(layout, theta, x))


def of_absolutes(layout, theta, x):
    """Return the outputs of a dense network of the absolute value with these parameters."""
    blocks = [theta[0, b.offset : b.stop].view(b.shape) for b in layout.blocks]
    hidden = x[0]
    for at in range(0, len(blocks), 2):
        hidden = hidden @ blocks[at].T + blocks[at + 1]
        hidden = hidden.abs() if at + 2 < len(blocks) else hidden
    return hidden


@pytest.mark.parametrize("activation", ["tanh", "relu", "linear", "silu"])
def test_activations_recover_a_planted_map(activation):
    model = Fcn([5, 12, 9, 3], activation)
    theta = parameters(model, 4)
    planted = random_neuron_map(model.layout, 4, log_scale=0.7)
    x = torch.from_numpy(Stream(5, "test").normal(1, 200, 5))
    hidden, moved = (model.forward(p, x).hidden for p in (theta, planted.apply(theta)))
    assert all((h.norm(dim=1) > 0).all() for h in hidden.values())  # else they look alike
    matching = match_activations(
        model.layout,
        {name: h[0] for name, h in hidden.items()},
        {name: h[0] for name, h in moved.items()},
    )
    assert is_inverse(matching.neuron_map, planted)
    assert matching.similarity == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize("activation", ["tanh", pytest.param("relu", marks=slow)])
def test_matching_brings_independent_runs_nearer_than_any_random_map(activation):
    model = Fcn([6, 16, 16, 4], activation)
    theta, other = parameters(model, 6), parameters(model, 7)
    matching = match_weights(model.layout, theta[0], other[0])
    for seed in range(4):
        shuffled = random_neuron_map(model.layout, seed).apply(other)
        again = match_weights(model.layout, theta[0], shuffled[0])
        # The start differs, so may the fixed point; no random order comes near either.
        assert again.similarity == pytest.approx(matching.similarity, abs=0.05)
    assert 0.2 < matching.similarity < 1.0


def test_more_restarts_never_find_less():
    model = Fcn([4, 10, 10, 10, 2], "tanh")
    theta, other = (torch.from_numpy(Stream(1, n).normal(1, model.layout.size)) for n in "ab")
    found = [
        match_weights(model.layout, theta[0], other[0], restarts=count).similarity
        for count in (1, 4, 16)
    ]
    assert found[0] < found[1] < found[2]


def best_of_all(layout, reference, other, width):
    """Return the largest inner product of all permutations of two hidden layers."""
    one, two = (
        [each[block.offset : block.stop].reshape(block.shape) for block in layout.blocks]
        for each in (reference, other)
    )
    totals = []
    for order in itertools.permutations(range(width)):
        first = (one[0] * two[0][list(order)]).sum() + (one[1] * two[1][list(order)]).sum()
        # Given the first layer, the second one is a linear assignment.
        gains = one[2] @ two[2][:, list(order)].T + torch.outer(one[3], two[3])
        gains += one[4].T @ two[4]
        rows, columns = linear_sum_assignment(gains.numpy(), maximize=True)
        totals.append(float(first + gains[rows, columns].sum()))
    return max(totals)


@pytest.mark.parametrize("width", [4, pytest.param(6, marks=slow)])
def test_small_layers_are_matched_as_by_a_search_of_all_permutations(width):
    layout = Fcn([2, width, width, 2], "silu").layout
    generator = torch.Generator().manual_seed(0)
    for _ in range(2):
        one, two = torch.randn(2, layout.size, generator=generator, dtype=torch.float64)
        moved = match_weights(layout, one, two).apply(two[None])[0]
        # The output's bias belongs to no hidden neuron.
        kept = layout.blocks[-1].offset
        found = float(one[:kept] @ moved[:kept])
        assert found == pytest.approx(best_of_all(layout, one, two, width), abs=1e-9)


def test_large_layers_have_fewer_starts():
    counts = [starts_for(Fcn([2, size, size, 2], "tanh").layout) for size in (4, 16, 512)]
    assert counts == [1024, 256, 8]


def test_identical_neurons_do_not_swap_for_ever():
    model = Fcn([3, 6, 6, 2], "tanh")
    theta = torch.ones(1, model.layout.size, dtype=torch.float64)
    assert match_weights(model.layout, theta[0], theta[0], restarts=1).sweeps <= 2


def test_a_layout_without_neurons_is_matched_by_nothing():
    model = Fcn([3, 2], "tanh")
    theta = parameters(model, 10)
    matching = match_weights(model.layout, theta[0], theta[0])
    assert (matching.similarity, matching.sweeps) == (1.0, 0)
    torch.testing.assert_close(matching.apply(theta), theta, rtol=0, atol=0)


def test_a_group_on_two_axes_of_a_block_is_refused():
    block = Block(name="loop", shape=(3, 3), offset=0, axes=("h", "h"), role="weight", fan_in=3)
    group = NeuronGroup(name="h", layer=1, size=3, odd=False, homogeneous=False)
    layout = Layout(blocks=(block,), groups=(group,))
    with pytest.raises(ValueError, match="'h' runs along 2 of 'loop'"):
        match_weights(layout, torch.ones(9).double(), torch.ones(9).double())


def test_too_few_restarts_are_refused():
    layout = Fcn([3, 4, 2], "tanh").layout
    with pytest.raises(ValueError, match="`restarts` must be at least 1, but got 0"):
        match_weights(layout, torch.ones(layout.size), torch.ones(layout.size), restarts=0)


def test_activations_of_other_groups_or_samples_are_refused():
    layout = Fcn([3, 4, 2], "tanh").layout
    hidden = {"hidden1": torch.ones(7, 4)}
    with pytest.raises(ValueError, match="must have the group 'hidden1'"):
        match_activations(layout, hidden, {})
    with pytest.raises(ValueError, match="must be of the same samples"):
        match_activations(layout, hidden, {"hidden1": torch.ones(6, 4)})
