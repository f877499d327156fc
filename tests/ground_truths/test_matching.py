"""G22: a planted permutation with signs and scales is recovered exactly under noise."""

import pytest
import torch

from symstudy.models.fcn.network import Fcn
from symstudy.streams import Stream
from symstudy.symmetry.neurons import neuron_matrix
from symstudy.theory.matching import match_weights
from symstudy.theory.neuron_maps import balance, random_neuron_map


def smallest_separation(layout, group, theta_KP):
    """Return the smallest distance of two neurons, or of an odd one and its own negative."""
    rows = neuron_matrix(layout, group, theta_KP)[0]
    distances = torch.cdist(rows, rows)
    distances.fill_diagonal_(float("inf"))
    if group.odd:
        distances = torch.minimum(distances, torch.cdist(rows, -rows))
    return distances.min().item()


def noisy(layout, theta_KP, share, seed):
    """Add to each neuron a random vector of `share` of the smallest separation in its layer.

    A weight between two layers belongs to neurons of both and takes the smaller noise, so that no
    neuron of either is moved further.
    """
    bound = torch.full((layout.size,), float("inf"), dtype=torch.float64)
    for group in layout.groups:
        reach = share * smallest_separation(layout, group, theta_KP)
        length = neuron_matrix(layout, group, theta_KP).shape[2]
        for block in {*layout.incoming(group), *layout.outgoing(group)}:
            part = bound[block.offset : block.stop]
            part.clamp_(max=reach / length**0.5)
    bound[bound.isinf()] = 0.0
    signs = torch.from_numpy(Stream(seed, "noise").integers(2, layout.size) * 2.0 - 1.0)
    return theta_KP + bound * signs


ACTIVATIONS = ("tanh", "relu", "linear", "silu")
SHAPES = ([6, 24, 4], [6, 16, 12, 4], [8, 12, 12, 12, 12, 4])


@pytest.mark.parametrize(
    ("activation", "sizes", "seed"),
    [
        # One seed of every activation with two hidden layers, and one network of four.
        pytest.param(activation, sizes, seed, marks=[] if is_quick else [pytest.mark.slow])
        for activation in ACTIVATIONS
        for sizes in SHAPES
        for seed in range(3)
        for is_quick in [
            len(sizes) == 3 or (seed == 0 and (len(sizes) == 4 or activation == "tanh"))
        ]
    ],
)
def test_g22_a_planted_map_is_recovered_exactly_at_noise_of_a_tenth(activation, sizes, seed):
    model = Fcn(sizes, activation)
    layout = model.layout
    theta = balance(layout, torch.from_numpy(Stream(seed, "start").normal(1, layout.size)))
    planted = random_neuron_map(layout, seed, log_scale=0.5)
    other = planted.apply(noisy(layout, theta, 0.1, seed))
    found = match_weights(layout, theta[0], other[0]).neuron_map
    wanted = planted.inverse()
    for group in layout.groups:
        assert torch.equal(found.orders[group.name], wanted.orders[group.name])
        assert torch.equal(found.signs[group.name], wanted.signs[group.name])
        # Scales are those of the noisy neurons: right up to the noise.
        ratio = found.scales[group.name] / wanted.scales[group.name]
        assert (ratio.log().abs() < 0.2).all()


@pytest.mark.parametrize("seed", range(3))
def test_g22_with_one_hidden_layer_noise_below_half_the_separation_is_harmless(seed):
    layout = Fcn([4, 20, 3], "tanh").layout
    theta = torch.from_numpy(Stream(seed, "start").normal(1, layout.size))
    planted = random_neuron_map(layout, seed)
    other = planted.apply(noisy(layout, theta, 0.49, seed))
    found = match_weights(layout, theta[0], other[0]).neuron_map
    assert torch.equal(found.orders["hidden1"], planted.inverse().orders["hidden1"])
    assert torch.equal(found.signs["hidden1"], planted.inverse().signs["hidden1"])


def test_g22_at_noise_far_above_the_separation_the_planted_map_is_lost():
    layout = Fcn([2, 20, 1], "tanh").layout
    theta = torch.from_numpy(Stream(0, "start").normal(1, layout.size))
    planted = random_neuron_map(layout, 0)
    other = planted.apply(noisy(layout, theta, 20.0, 0))
    found = match_weights(layout, theta[0], other[0]).neuron_map
    assert not torch.equal(found.orders["hidden1"], planted.inverse().orders["hidden1"])
