"""What is odd, even or homogeneous is decided on numbers, whatever it is put together from."""

import itertools
from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.nn import functional

from symstudy.layout import Block, DeclaredSymmetry, Layout
from symstudy.measures.compute import measure_layer
from symstudy.measures.views import LayerView
from symstudy.symmetry.derivation import derive
from symstudy.symmetry.permutation import Permutation
from symstudy.symmetry.registry import build_symmetry, symmetries_of
from symstudy.testing.symmetries import SymmetryCase, SymmetrySuite

ODD, EVEN, HOMOGENEOUS = "odd", "even", "homogeneous"


class Network(nn.Module):
    """One hidden layer with some activation."""

    def __init__(self, activation):
        super().__init__()
        self.into, self.out = nn.Linear(4, 6), nn.Linear(6, 3)
        self.activation = activation

    def forward(self, x):
        return self.out(self.activation(self.into(x)))


def derived(activation, make=Network, shape=(6, 4)):
    torch.manual_seed(0)
    return derive(make(activation), torch.randn(*shape))


def nature(group):
    return {each for each in (ODD, EVEN, HOMOGENEOUS) if getattr(group, each)}


def tanh_by_exponentials(z):
    return (z.exp() - (-z).exp()) / (z.exp() + (-z).exp())


@pytest.mark.parametrize(
    ("activation", "expected"),
    [
        (nn.Hardtanh(), {ODD}),
        (nn.Hardtanh(-1.0, 2.0), set()),
        (nn.ReLU6(), set()),
        (lambda z: z.clamp(-2.0, 2.0), {ODD}),
        (lambda z: z.clamp(-2.0, 1.0), set()),
        (lambda z: z.clamp(min=0.0), {HOMOGENEOUS}),
        (lambda z: z.clamp(max=0), {HOMOGENEOUS}),
        (lambda z: z.clamp_min(0.5), set()),
        (lambda z: z.clamp_max(0.0), {HOMOGENEOUS}),
        (lambda z: functional.threshold(z, 0.0, 0.0), {HOMOGENEOUS}),
        (lambda z: functional.threshold(z, 0.1, 0.0), set()),
    ],
)
def test_numbers_that_are_cut_off_are_odd_or_homogeneous_where_the_ends_say_so(
    activation, expected
):
    (group,) = derived(activation).layout.groups
    assert nature(group) == expected


@pytest.mark.parametrize(
    ("activation", "expected"),
    [
        (lambda z: 2.0 * torch.sigmoid(2.0 * z) - 1.0, {ODD}),
        (lambda z: torch.sigmoid(z) - 0.5, {ODD}),
        (lambda z: 2.0 * torch.sigmoid(2.0 * z) - 1.001, set()),
        (tanh_by_exponentials, {ODD}),
        (functional.softsign, {ODD}),
        (lambda z: torch.relu(z - 1.0) - torch.relu(-z - 1.0), {ODD}),
        (lambda z: torch.maximum(torch.minimum(z, torch.ones_like(z)), -torch.ones_like(z)), {ODD}),
        (lambda z: torch.relu(z) - torch.relu(-z), {ODD, HOMOGENEOUS}),
        (lambda z: torch.maximum(z, 0.0 * z) + torch.minimum(z, 0.0 * z), {ODD, HOMOGENEOUS}),
        (lambda z: torch.relu(z) - 0.1 * torch.relu(-z), {HOMOGENEOUS}),
        (lambda z: torch.relu(z) - 0.1 * torch.relu(1e-3 - z), set()),
        (lambda z: torch.maximum(z, torch.zeros_like(z)), {HOMOGENEOUS}),
        (lambda z: torch.maximum(z, 0.1 * z), {HOMOGENEOUS}),
        (lambda z: z * (z > 0), {HOMOGENEOUS}),
        (lambda z: z.masked_fill(z < 0, 0.0), {HOMOGENEOUS}),
        (lambda z: torch.where(z > 0, z, 0.2 * z), {HOMOGENEOUS}),
        (lambda z: torch.where(z > 0, z, z.exp() - 1.0), set()),
        (lambda z: z * torch.sigmoid(1.702 * z), set()),
        (lambda z: torch.zeros_like(z).copy_(torch.tanh(z)), {ODD}),
        (lambda z: z.clone().relu_(), {HOMOGENEOUS}),
        (functional.rrelu, {HOMOGENEOUS}),
    ],
)
def test_a_composition_is_what_its_numbers_say(activation, expected):
    (group,) = derived(activation).layout.groups
    assert nature(group) == expected


EVENS = [
    (torch.abs, {EVEN, HOMOGENEOUS}),
    (torch.cos, {EVEN}),
    (torch.square, {EVEN}),
    (lambda z: z * z, {EVEN}),
    (lambda z: torch.exp(-z * z), {EVEN}),
    (lambda z: functional.gelu(z.abs()), {EVEN}),
    (lambda z: functional.gelu(z) + functional.gelu(-z), {EVEN}),
    (lambda z: torch.log(torch.cosh(z)), {EVEN}),
    (lambda z: torch.maximum(z, -z), {EVEN, HOMOGENEOUS}),
]


@pytest.mark.parametrize(("activation", "expected"), EVENS)
def test_neurons_of_an_even_activation_that_differ_by_the_sign_of_what_enters_count_once(
    activation, expected
):
    found = derived(activation)
    (group,) = found.layout.groups
    assert nature(group) == expected
    (flips,) = (each for each in found.symmetries if each.kind == "sign_flip")
    assert flips.parts[0].blocks == ("into.weight", "into.bias")
    assert flips.parts[0].partners == ()
    view = copied(found, group, into=-1.0, out=1.0)
    measured = {name: value for name, value in measure_layer(view).items() if value.ndim == 1}
    assert measured["distinct_neurons"].item() == 5
    assert measured["distinct_exact"].item() == 5
    # As a pair adjacent in norm they are symmetric too.
    assert measured["breaking_sorted"].item() == 4
    if HOMOGENEOUS in expected:
        assert measured["distinct_directions"].item() == 5
    (permutation, *_) = symmetries_of(found.layout)
    assert permutation.breaking(view.theta_KP).item() == 4
    # Opposite on both sides they cancel in an even layer, and are two neurons.
    view = copied(found, group, into=-1.0, out=-1.0)
    assert measure_layer(view)["distinct_neurons"].item() == 6


def copied(found, group, *, into, out):
    """Return the view of a layer whose second neuron is the first, each side times a number."""
    theta = found.function.generic(torch.Generator().manual_seed(1))
    for block in found.layout.blocks:
        values = theta[block.offset : block.stop].view(block.shape)
        for axis, label in enumerate(block.axes):
            if label == group.name:
                factor = out if axis else into
                values.select(axis, 1).copy_(factor * values.select(axis, 0))
    return LayerView(found.layout, group, theta[None], None)


class TestOneSidedFlips(SymmetrySuite):
    """The sign of what enters a neuron of an even activation."""

    @pytest.fixture(params=[torch.abs, torch.cos], ids=["abs", "cos"])
    def case(self, request):
        found = derived(request.param)
        (declared,) = (each for each in found.layout.symmetries if each.kind == "sign_flip")

        def function(theta_KP, x_KBI):
            rows = zip(theta_KP, x_KBI, strict=True)
            return torch.stack([found.function.outputs(theta, x)[0] for theta, x in rows])

        return SymmetryCase(
            symmetry=build_symmetry(found.layout, declared), function=function, input_dim=4
        )


class Recurrence(nn.Module):
    """A recurrent layer by hand."""

    def __init__(self, activation):
        super().__init__()
        self.read, self.again = nn.Linear(2, 4), nn.Linear(4, 4, bias=False)
        self.out, self.activation = nn.Linear(4, 2), activation

    def forward(self, x):
        state = torch.zeros(len(x), 4, dtype=x.dtype)
        for step in range(3):
            state = self.activation(self.read(x[:, step]) + self.again(state))
        return self.out(state)


def test_recurrent_neurons_of_an_even_activation_may_change_the_sign_of_their_rows():
    found = derived(torch.cos, Recurrence, (3, 3, 2))
    (group,) = found.layout.groups
    assert nature(group) == {EVEN}
    (flips,) = (each.parts[0] for each in found.symmetries if each.kind == "sign_flip")
    assert set(flips.blocks) == {"read.weight", "read.bias", "again.weight"}
    assert flips.partners == ()


@pytest.mark.parametrize("signs", [(1, 1), (-1, -1), (-1, 1)])
def test_exchangeable_recurrent_neurons_are_near_up_to_the_signs_that_they_have(signs):
    """Hold the distance of two neurons against the projection on states that a group element keeps.

    The element exchanges neurons 0 and 1 and gives both sides of them their signs; its square is
    the identity, so that the nearest state it keeps is the mean of a state and its image.
    """
    size = 3
    into, out = signs
    shapes = {"u": (size, 2), "w": (size, size), "v": (2, size)}
    axes = {"u": ("h", "input"), "w": ("h", "h"), "v": ("output", "h")}
    blocks: list[Block] = []
    for name, shape in shapes.items():
        at = blocks[-1].stop if blocks else 0
        blocks.append(
            Block(name=name, shape=shape, offset=at, axes=axes[name], role="weight", fan_in=size)
        )
    declared = DeclaredSymmetry(
        kind="permutation", blocks=("u", "w"), axis="h", partners=("w", "v")
    )
    flips = replace(declared, kind="sign_flip", partners=declared.partners if out < 0 else ())
    symmetries = (declared,) if signs == (1, 1) else (declared, flips)
    layout = Layout(blocks=tuple(blocks), symmetries=symmetries)
    theta = torch.randn(layout.size, generator=torch.Generator().manual_seed(2)).double()
    u, w, v = (theta[b.offset : b.stop].view(b.shape) for b in blocks)

    def image(sign_in, sign_out):
        order = torch.tensor([1, 0, 2])
        rows = torch.tensor([sign_in, sign_in, 1.0]).double()[:, None]
        columns = torch.tensor([sign_out, sign_out, 1.0]).double()
        return torch.cat(
            [
                (rows * u[order]).flatten(),
                (rows * w[order][:, order] * columns).flatten(),
                (v[:, order] * columns).flatten(),
            ]
        )

    wanted = min(float((theta - image(*each)).norm() / 2.0) for each in ((1, 1), (into, out)))
    found = Permutation(layout, declared).distances(theta[None])[0, 0, 1]
    assert float(found) == pytest.approx(wanted, rel=1e-12)


def test_a_chain_of_many_operations_is_followed_without_going_through_it_again_and_again():
    def long(z):
        for _ in range(100):
            z = torch.sin(z)
        return z

    (group,) = derived(long).layout.groups
    assert nature(group) == {ODD}


@pytest.mark.parametrize("pair", list(itertools.combinations(range(3), 2)))
def test_functions_of_several_tensors_are_not_taken_for_functions_of_one(pair):
    class Gate(nn.Module):
        def __init__(self):
            super().__init__()
            self.sides = nn.ModuleList(nn.Linear(4, 6) for _ in range(3))
            self.out = nn.Linear(6, 3)

        def forward(self, x):
            a, b = (self.sides[each](x) for each in pair)
            return self.out(torch.relu(a) - torch.relu(-b))

    (group,) = derive(Gate(), torch.randn(6, 4)).layout.groups
    assert nature(group) == {HOMOGENEOUS}
