"""Every symmetry passes the shipped suite, on networks that have it; a wrong one does not."""

import math
from typing import get_args

import pytest
import torch

from symstudy.layout import Block, DeclaredSymmetry, Layout, NeuronGroup, neuron_symmetries
from symstudy.models.fcn.network import Fcn
from symstudy.models.reparametrised import Factorisation, Reparametrised
from symstudy.symmetry import SYMMETRIES, build_symmetry
from symstudy.symmetry.rescaling import Rescaling
from symstudy.symmetry.sides import write_side
from symstudy.symmetry.sign_flip import SignFlip
from symstudy.testing.symmetries import SymmetryCase, SymmetrySuite, cases_of


def layout_of(shapes, symmetries, groups=()):
    """Return blocks `{name: (shape, axes)}` one after the other, with these symmetries."""
    blocks = []
    at = 0
    for name, (shape, axes) in shapes.items():
        block = Block(name=name, shape=shape, offset=at, axes=axes, role="weight", fan_in=shape[-1])
        blocks.append(block)
        at = block.stop
    return Layout(blocks=tuple(blocks), groups=groups, symmetries=symmetries)


def blocks_of(layout, theta_KP):
    return [theta_KP[:, b.offset : b.stop].view(-1, *b.shape) for b in layout.blocks]


def case_of(layout, compute, input_dim=4):
    """Return the case of the layout's last symmetry; `compute` gets the blocks and the inputs."""
    return SymmetryCase(
        symmetry=build_symmetry(layout, layout.symmetries[-1]),
        function=lambda theta, x: compute(*blocks_of(layout, theta), x),
        input_dim=input_dim,
    )


DENSE = [
    case
    for activation, bias in [("tanh", True), ("relu", True), ("linear", True), ("silu", False)]
    for case in cases_of(Fcn([4, 7, 5, 3], activation, bias=bias), 4)
]


class TestDense(SymmetrySuite):
    """What fully connected networks declare: five of the seven kinds."""

    @pytest.fixture(params=DENSE, ids=str)
    def case(self, request):
        return request.param


FACTORS = [
    case
    for form in get_args(Factorisation)
    for case in cases_of(Reparametrised(Fcn([4, 6, 3], "tanh"), form), 4)
]


class TestFactors(SymmetrySuite):
    """What networks declare whose weights are products."""

    @pytest.fixture(params=FACTORS, ids=str)
    def case(self, request):
        return request.param


class TestScaledRows(SymmetrySuite):
    """Rows divided by their norms: one scale for each neuron."""

    @pytest.fixture
    def case(self):
        rows = DeclaredSymmetry(kind="scaling", blocks=("w",), axis="h")
        layout = layout_of({"w": ((6, 4), ("h", "input")), "v": ((3, 6), ("output", "h"))}, (rows,))

        def compute(w, v, x):
            return torch.tanh(x @ (w / w.norm(dim=2, keepdim=True)).mT) @ v.mT

        return case_of(layout, compute)


class TestScaledLayer(SymmetrySuite):
    """A layer before a normalisation over its units: one scale for weight and bias."""

    @pytest.fixture
    def case(self):
        whole = DeclaredSymmetry(kind="scaling", blocks=("w", "b"))
        shapes = {"w": ((6, 4), ("h", "input")), "b": ((6,), ("h",)), "v": ((3, 6), ("o", "h"))}

        def compute(w, b, v, x):
            z = x @ w.mT + b[:, None]
            return torch.tanh((z - z.mean(2, keepdim=True)) / z.std(2, keepdim=True)) @ v.mT

        return case_of(layout_of(shapes, (whole,)), compute)


class TestProjector(SymmetrySuite):
    """The output of a projector, of which a loss sees inner products alone."""

    @pytest.fixture
    def case(self):
        turn = DeclaredSymmetry(kind="rotation", blocks=("w", "b"), axis="output", preserves="gram")
        shapes = {"w": ((5, 4), ("output", "input")), "b": ((5,), ("output",))}

        def compute(w, b, x):
            z = x @ w.mT + b[:, None]
            return z @ z.mT

        return case_of(layout_of(shapes, (turn,)), compute)


class TestRadialActivation(SymmetrySuite):
    """A hidden layer z -> z rho(|z|): incoming rows and outgoing columns rotate together."""

    @pytest.fixture
    def case(self):
        turn = DeclaredSymmetry(kind="rotation", blocks=("w",), axis="h", partners=("v",))
        layout = layout_of({"w": ((6, 4), ("h", "input")), "v": ((3, 6), ("output", "h"))}, (turn,))

        def compute(w, v, x):
            z = x @ w.mT
            return z * torch.tanh(z.norm(dim=2, keepdim=True)) @ v.mT

        return case_of(layout, compute)


def attention_layout(kinds, partners):
    """Return one head: query and key with biases along `key`, value and output along `value`."""
    shapes = {
        "q": ((3, 4), ("key", "model")),
        "qb": ((3,), ("key",)),
        "k": ((3, 4), ("key", "model")),
        "kb": ((3,), ("key",)),
        "v": ((2, 4), ("value", "model")),
        "o": ((4, 2), ("model", "value")),
    }
    blocks, axis = (("q", "qb"), "key") if partners == ("k", "kb") else (("v",), "value")
    declared = tuple(
        DeclaredSymmetry(kind=kind, blocks=blocks, axis=axis, partners=partners) for kind in kinds
    )
    return layout_of(shapes, declared)


def attend(q, qb, k, kb, v, o, x):
    queries, keys = x @ q.mT + qb[:, None], x @ k.mT + kb[:, None]
    weights = (queries @ keys.mT / math.sqrt(3)).softmax(dim=2)
    return weights @ (x @ v.mT) @ o.mT


class TestAttention(SymmetrySuite):
    """Both pairs of an attention head: GL, and the subgroups that it contains (Eqs. 1 and 2)."""

    KINDS = ("permutation", "sign_flip", "rescaling", "double_rotation")

    @pytest.fixture(params=[(k, p) for k in KINDS for p in (("k", "kb"), ("o",))], ids=str)
    def case(self, request):
        kind, partners = request.param
        return case_of(attention_layout((kind,), partners), attend)


class TestInputsInASubspace(SymmetrySuite):
    """Inputs orthogonal to z: first-layer weights may move along z."""

    @pytest.fixture
    def case(self):
        z = (1.0, -2.0, 0.5, 0.0)
        shift = DeclaredSymmetry(
            kind="translation", blocks=("w",), axis="input", direction=z, preserves="data"
        )
        layout = layout_of({"w": ((6, 4), ("h", "input"))}, (shift,))
        z_I = torch.tensor(z, dtype=torch.float64)

        def compute(w, x):
            x = x - (x @ z_I)[..., None] * z_I / z_I.square().sum()
            return torch.tanh(x @ w.mT)

        return case_of(layout, compute)


def test_every_kind_is_tested():
    tested = {case.symmetry.kind for case in DENSE} | {"scaling", "rotation"}
    assert tested == set(SYMMETRIES)


class HalfRescaling(SignFlip):
    """Wrong: signs change on one side only."""

    def act(self, element, theta_KP):
        first, _ = self.read(theta_KP)
        return write_side(theta_KP, self.first_ND, element.to(theta_KP)[:, :, None] * first)


class BoastfulRescaling(Rescaling):
    """Wrong: says that its raw distance is invariant."""

    gauge_dependent = frozenset()


class Additive(Rescaling):
    """Wrong: composes factors by adding them."""

    def compose(self, left, right):
        return left + right


class Careless(Rescaling):
    """Wrong: conserves the sum and not the difference."""

    def conserved(self, theta_KP):
        first, second = self.read(theta_KP)
        return first.square().sum(dim=2) + second.square().sum(dim=2)


class Shy(Rescaling):
    """Wrong: projects halfway."""

    def project(self, theta_KP, members=None):
        return 0.5 * (theta_KP + super().project(theta_KP, members))


@pytest.mark.parametrize(
    ("cls", "activation", "test"),
    [
        (HalfRescaling, "tanh", "test_the_function_is_invariant"),
        (SignFlip, "relu", "test_the_function_is_invariant"),
        (Rescaling, "tanh", "test_the_function_is_invariant"),
        (Additive, "relu", "test_elements_form_a_group"),
        (Shy, "relu", "test_the_projection_is_one"),
        (Shy, "relu", "test_the_distance_vanishes_on_the_symmetric_states_alone"),
        (BoastfulRescaling, "relu", "test_measures_are_invariant_unless_they_say_otherwise"),
        (Careless, "relu", "test_gradient_flow_conserves_what_it_should"),
    ],
)
def test_a_wrong_symmetry_fails_the_suite(cls, activation, test):
    model = Fcn([4, 7, 3], activation)
    (declared,) = [s for s in model.layout.symmetries if s.kind == "permutation"]
    case = SymmetryCase(
        symmetry=cls(model.layout, declared),
        function=lambda theta, x: model.forward(theta, x).output_KBO,
        input_dim=4,
    )
    with pytest.raises(AssertionError):
        getattr(SymmetrySuite(), test)(case)


def test_neurons_declare_what_their_activation_has():
    def kinds(odd, homogeneous, even=False):
        group = NeuronGroup(name="h", layer=1, size=3, odd=odd, homogeneous=homogeneous, even=even)
        layout = layout_of({"w": ((3, 4), ("h", "input")), "v": ((2, 3), ("output", "h"))}, ())
        return [s.kind for s in neuron_symmetries(layout.blocks, [group])]

    assert kinds(odd=False, homogeneous=False) == ["permutation"]
    assert kinds(odd=True, homogeneous=False) == ["permutation", "sign_flip"]
    assert kinds(odd=False, homogeneous=True) == ["permutation", "rescaling"]
    assert kinds(odd=False, homogeneous=False, even=True) == ["permutation", "sign_flip"]
    assert kinds(odd=True, homogeneous=True)[-1] == "double_rotation"
