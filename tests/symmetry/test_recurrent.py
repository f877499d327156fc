"""Neurons of recurrent layers, whose exchange moves rows and columns of one matrix at once."""

from functools import cache

import pytest
import torch
from torch import nn

from symstudy.errors import ModelError
from symstudy.layout import Block, DeclaredSymmetry, Layout
from symstudy.measures.compute import measure_layer
from symstudy.measures.views import LayerView
from symstudy.symmetry.derivation import derive
from symstudy.symmetry.registry import build_symmetry, symmetries_of
from symstudy.testing.symmetries import SymmetryCase, SymmetrySuite

STEPS, INPUTS, HIDDEN = 3, 2, 4


class Recurrent(nn.Module):
    """Sequences of 2 numbers in one long vector, a recurrent layer, and a readout of the last."""

    def __init__(self, kind, **keys):
        super().__init__()
        self.rnn = getattr(nn, kind)(INPUTS, HIDDEN, batch_first=True, **keys)
        self.head = nn.Linear(HIDDEN * (1 + self.rnn.bidirectional), 2)

    def forward(self, x):
        return self.head(self.rnn(x.view(-1, STEPS, INPUTS))[0][:, -1])


def derived(kind, **keys):
    torch.manual_seed(0)
    inputs = torch.randn(3, STEPS * INPUTS)
    return derive(Recurrent(kind, **keys).eval(), inputs)


@pytest.mark.parametrize(("kind", "gates"), [("RNN", [""]), ("GRU", ["[2]"]), ("LSTM", ["[2]"])])
def test_a_recurrent_layer_is_a_group_of_neurons_whose_candidates_may_change_sign(kind, gates):
    found = derived(kind)
    (group,) = found.layout.groups
    assert (group.name, group.size, group.odd) == ("rnn", HIDDEN, kind == "RNN")
    (flips,) = (each.parts[0] for each in found.symmetries if each.kind == "sign_flip")
    # The sign of a state is that of what a tanh gives; gates are sigmoids and keep theirs.
    names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    assert flips.blocks == tuple(f"rnn.{name}_l0{gates[0]}" for name in names)
    assert not found.refusals
    assert not found.unseen


def test_each_layer_of_a_stack_has_neurons_of_its_own():
    groups = derived("GRU", num_layers=2).layout.groups
    assert [(group.name, group.size) for group in groups] == [("rnn", HIDDEN), ("rnn~2", HIDDEN)]


@pytest.mark.parametrize(
    ("keys", "reason"),
    [
        ({"nonlinearity": "relu"}, "would be rescaled along rows and columns at once"),
        ({"bidirectional": True}, "a part of an axis of head.weight that is not its first"),
    ],
)
def test_what_no_symmetry_can_say_is_left_out_with_the_reason(keys, reason):
    found = derived("RNN", **keys)
    assert any(reason in each.reason for each in found.refusals)
    assert not any(each.kind in ("rescaling", "scaling") for each in found.symmetries)


CASES = [("RNN", "permutation"), ("LSTM", "permutation"), ("LSTM", "sign_flip")]
"""Recurrent layers, and symmetries of their neurons that the suite can act with."""


@cache
def symmetries(kind):
    """Return a recurrent network, and the symmetries of its neurons by kind."""
    found = derived(kind)
    own = [each for each in symmetries_of(found.layout) if each.declared.axis == "rnn"]
    return found, {each.kind: each for each in own}


def test_every_symmetry_of_recurrent_neurons_is_tried():
    there = [(kind, each) for kind in ("RNN", "LSTM") for each in symmetries(kind)[1]]
    assert set(there) == {*CASES, ("RNN", "sign_flip")}


class TestRecurrentNeurons(SymmetrySuite):
    """What every symmetry must pass."""

    @pytest.fixture(params=CASES, ids="-".join)
    def case(self, request):
        """A symmetry of a recurrent layer."""
        # Not when tests are collected: the first gradient of a process has to come later.
        kind, name = request.param
        found, own = symmetries(kind)

        def function(theta_KP, x_KBI):
            rows = zip(theta_KP, x_KBI, strict=True)
            return torch.stack([found.function.outputs(theta, x)[0] for theta, x in rows])

        return SymmetryCase(symmetry=own[name], function=function, input_dim=STEPS * INPUTS)


def square(size):
    """Return a layout of inputs, a recurrent matrix and a readout, and its permutations."""
    shapes = {"u": (size, 2), "w": (size, size), "v": (2, size)}
    axes = {"u": ("h", "input"), "w": ("h", "h"), "v": ("output", "h")}
    blocks: list[Block] = []
    for name, shape in shapes.items():
        offset = blocks[-1].stop if blocks else 0
        blocks.append(
            Block(
                name=name, shape=shape, offset=offset, axes=axes[name], role="weight", fan_in=size
            )
        )
    declared = DeclaredSymmetry(kind="permutation", blocks=("u", "w"), axis="h",
                                partners=("w", "v"))  # fmt: skip
    return Layout(blocks=tuple(blocks), symmetries=(declared,)), declared


def test_neurons_that_can_be_exchanged_are_no_copies_of_each_other():
    layout, declared = square(3)
    permutation = build_symmetry(layout, declared)
    w = torch.full((3, 3), 0.5) + 2.0 * torch.eye(3)
    theta = torch.cat([torch.ones(6), w.flatten(), torch.ones(6)]).double()
    assert permutation.breaking(theta[None]).item() == 0
    assert permutation.distance(theta[None]).item() == pytest.approx(0.0, abs=1e-12)
    broken = theta.clone()
    broken[6 + 1] += 1.0  # the number of neuron 0 that neuron 1 gives
    assert permutation.breaking(broken[None]).item() == 2
    assert permutation.distance(broken[None], [0, 1]).item() == pytest.approx(0.5**0.5, abs=1e-12)


def test_copies_of_a_neuron_count_once_among_the_neurons_of_an_lstm():
    found = derived("LSTM")
    (group,) = found.layout.groups
    theta = found.function.generic(torch.Generator().manual_seed(1))
    view = LayerView(found.layout, group, theta[None], None)
    assert measure_layer(view)["distinct_neurons"].item() == HIDDEN
    for block in found.layout.blocks:
        values = theta[block.offset : block.stop].view(block.shape)
        if block.axes[0] == "rnn":
            values[1] = values[0]
        if "rnn" in block.axes[1:]:
            values[:, 1] = values[:, 0]
    view = LayerView(found.layout, group, theta[None], None)
    assert measure_layer(view)["distinct_neurons"].item() == HIDDEN - 1
    assert build_symmetry(found.layout, found.layout.symmetries[0]).breaking(theta[None]) == 2


@pytest.mark.parametrize("kind", ["rescaling", "double_rotation"])
def test_only_symmetries_that_know_squares_act_on_rows_and_columns_at_once(kind):
    layout, _ = square(3)
    declared = DeclaredSymmetry(kind=kind, blocks=("w",), axis="h", partners=("w",))
    with pytest.raises(ModelError, match="must have each block on one side"):
        build_symmetry(layout, declared)
