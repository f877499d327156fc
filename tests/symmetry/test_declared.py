"""What a layout declares, and what becomes of it."""

import importlib.metadata

import pytest
import torch
from torch import nn

from symstudy.components import DataShape
from symstudy.errors import ModelError, ProjectError, UnknownNameError
from symstudy.layout import Block, DeclaredSymmetry, Layout, NeuronGroup
from symstudy.models import OwnModelConfig
from symstudy.models.fcn.network import Fcn
from symstudy.models.own.building import build_own
from symstudy.symmetry import SYMMETRIES, build_symmetry, registry, symmetries_of
from symstudy.symmetry.registry import known_symmetries
from symstudy.testing.symmetries import SymmetrySuite, cases_of

W = Block(name="w", shape=(3, 4), offset=0, axes=("h", "input"), role="weight", fan_in=4)
V = Block(name="v", shape=(2, 3), offset=12, axes=("output", "h"), role="weight", fan_in=3)
R = Block(name="r", shape=(3, 3), offset=18, axes=("h", "h"), role="weight", fan_in=3)
GROUP = NeuronGroup(name="h", layer=1, size=3, odd=True, homogeneous=False)


class Normalised(nn.Module):
    """A user's module whose first layer is normalised, and which says so."""

    honest = True

    def __init__(self, input_dim, output_dim):
        super().__init__()
        self.first = nn.Linear(input_dim, 5, bias=False)
        self.last = nn.Linear(5, output_dim, bias=False)

    def symstudy_layout(self):
        o, i = self.last.out_features, self.first.in_features
        w = Block(name="w", shape=(5, i), offset=0, axes=("h", "input"), role="weight", fan_in=i)
        v = Block(
            name="v", shape=(o, 5), offset=5 * i, axes=("output", "h"), role="weight", fan_in=5
        )
        group = NeuronGroup(name="h", layer=1, size=5, odd=False, homogeneous=False)
        axis = "h" if self.honest else "missing"
        rows = DeclaredSymmetry(kind="scaling", blocks=("w",), axis=axis, layer=1)
        swap = DeclaredSymmetry(
            kind="permutation", blocks=("w",), axis="h", partners=("v",), layer=1
        )
        return Layout(blocks=(w, v), groups=(group,), symmetries=(rows, swap))

    def forward(self, x):
        w = self.first.weight
        h = nn.functional.softplus(x @ (w / w.norm(dim=1, keepdim=True)).T)
        return self.last(h), {"h": h}


class Dishonest(Normalised):
    """One that declares an axis it has not."""

    honest = False


def kinds_of(activation, depth=2):
    sizes = [4, *[5] * (depth - 1), 3]
    return [(s.kind, s.layer) for s in Fcn(sizes, activation).layout.symmetries]


def test_a_dense_network_declares_what_its_activation_has():
    assert kinds_of("silu") == [("permutation", 1), ("translation", 1)]
    assert kinds_of("tanh") == [("permutation", 1), ("sign_flip", 1), ("translation", 1)]
    assert kinds_of("relu") == [("permutation", 1), ("rescaling", 1), ("translation", 1)]
    linear = ["permutation", "sign_flip", "rescaling", "double_rotation"]
    assert kinds_of("linear") == [*((kind, 1) for kind in linear), ("translation", 1)]
    assert kinds_of("silu", depth=3)[-1] == ("translation", 2)
    assert kinds_of("silu", depth=1) == [("translation", None)]


def test_the_translation_of_a_dense_network_moves_the_last_layer_alone():
    model = Fcn([4, 5, 3], "tanh")
    shift = symmetries_of(model.layout)[-1]
    first = model.layout.block("layers.1.weight").offset
    assert shift.coordinates().min().item() == first
    assert shift.declared.preserves == "probabilities"
    assert shift.members == 5 + 1


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"blocks": ()}, "at least one block"),
        ({"blocks": ("u",)}, "blocks of the layout"),
        ({"blocks": ("w",), "partners": ("w",)}, "each block once"),
        ({"blocks": ("w",), "axis": "output"}, "finds output once in each"),
        ({"blocks": ("r",)}, "finds h once in each"),
        ({"blocks": ("r", "r"), "partners": ("r",)}, "each block once"),
        ({"blocks": ("w",), "axis": "", "partners": ("v",)}, "partners along an axis"),
        ({"blocks": ("w",), "direction": (1.0, 2.0)}, "direction along h"),
        ({"blocks": ("w",), "layer": 2}, "names a hidden layer"),
    ],
)
def test_a_declaration_that_does_not_fit_is_refused(wrong, message):
    declared = DeclaredSymmetry(**{"kind": "permutation", "axis": "h", **wrong})
    with pytest.raises(AssertionError, match=message):
        Layout(blocks=(W, V, R), groups=(GROUP,), symmetries=(declared,))


@pytest.mark.parametrize(
    ("declared", "error", "message"),
    [
        ({"kind": "permutatoin", "axis": "h"}, UnknownNameError, "Did you mean 'permutation'"),
        ({"kind": "permutation"}, ModelError, "must name the axis"),
        ({"kind": "rescaling", "axis": "h"}, ModelError, "must have partners"),
        ({"kind": "scaling", "axis": "h", "partners": ("v",)}, ModelError, "have no partners"),
        ({"kind": "no.such:Class", "axis": "h"}, ModelError, "importable package.module:Class"),
    ],
)
def test_a_declaration_that_its_kind_cannot_use_is_refused(declared, error, message):
    symmetry = DeclaredSymmetry(blocks=("w",), **declared)
    layout = Layout(blocks=(W, V), groups=(GROUP,), symmetries=(symmetry,))
    with pytest.raises(error, match=message):
        build_symmetry(layout, symmetry)


def test_every_kind_of_the_registry_is_its_class():
    layout = Layout(blocks=(W, V), groups=(GROUP,))
    for kind in SYMMETRIES:
        partners = () if kind in ("translation", "scaling") else ("v",)
        declared = DeclaredSymmetry(kind=kind, blocks=("w",), axis="h", partners=partners)
        assert build_symmetry(layout, declared).kind == kind


@pytest.fixture
def own_models(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "own_models", sys.modules[__name__])
    return lambda name: build_own(
        OwnModelConfig(kind=f"own_models:{name}"), DataShape(4, 2, 8, 4, is_classification=False)
    )


def test_what_a_users_module_declares_passes_the_suite(own_models):
    cases = cases_of(own_models("Normalised"), 4)
    assert [str(case) for case in cases] == ["scaling-h", "permutation-h"]
    for case in cases:
        SymmetrySuite().test_the_function_is_invariant(case)
        SymmetrySuite().test_the_projection_is_one(case)


def test_a_users_module_that_declares_nonsense_is_refused_by_name(own_models):
    with pytest.raises(ModelError, match=r"symstudy_layout\(\) of Dishonest must be consistent"):
        own_models("Dishonest")


def test_a_kind_may_be_a_class_of_ones_own():
    declared = DeclaredSymmetry(
        kind="symstudy.symmetry.sign_flip:SignFlip", blocks=("w",), axis="h", partners=("v",)
    )
    layout = Layout(blocks=(W, V), groups=(GROUP,), symmetries=(declared,))
    (symmetry,) = symmetries_of(layout)
    theta = torch.arange(18.0, dtype=torch.float64)[None]
    flipped = symmetry.act(torch.tensor([[1.0, -1.0, 1.0]]), theta)
    assert (flipped != theta).sum().item() == 4 + 2


def test_an_installed_symmetry_is_built_by_its_name(monkeypatch):
    point = importlib.metadata.EntryPoint(
        "turn", "symstudy.symmetry.rotation:Rotation", "symstudy.symmetries"
    )
    monkeypatch.setattr(registry, "installed_points", lambda group: [point])
    known_symmetries.cache_clear()
    try:
        declared = DeclaredSymmetry(kind="turn", blocks=("w",), axis="h")
        built = build_symmetry(Layout(blocks=(W, V), groups=(GROUP,)), declared)
        assert type(built).__name__ == "Rotation"
        assert SYMMETRIES["turn"].symmetric_state == "n^T W = 0: low rank"
    finally:
        known_symmetries.cache_clear()


def test_two_symmetries_of_one_name_are_refused(monkeypatch):
    point = importlib.metadata.EntryPoint("rotation", "mine:Rotation", "symstudy.symmetries")
    monkeypatch.setattr(registry, "installed_points", lambda group: [point])
    known_symmetries.cache_clear()
    try:
        with pytest.raises(ProjectError, match="both called 'rotation'"):
            list(SYMMETRIES)
    finally:
        known_symmetries.cache_clear()


def test_every_row_of_table_1_is_whole():
    for kind, entry in SYMMETRIES.items():
        assert all(entry), kind
        assert entry.kind == kind
