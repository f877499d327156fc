import sys

import pytest
import torch
from torch import nn

from symstudy.errors import ModelError
from symstudy.layout import Block, Layout, NeuronGroup
from symstudy.models import OwnModelConfig
from symstudy.models.own.network import build_own


class Residual(nn.Module):
    """A module that symstudy knows nothing about."""

    def __init__(self, input_dim, output_dim, width=6):
        super().__init__()
        self.first = nn.Linear(input_dim, width)
        self.norm = nn.LayerNorm(width)
        self.last = nn.Linear(width, output_dim)

    def forward(self, x):
        h = self.norm(self.first(x))
        return self.last(h + torch.tanh(h))


class Declared(nn.Module):
    """A module that declares its neurons."""

    def __init__(self, input_dim, output_dim):
        super().__init__()
        self.first = nn.Linear(input_dim, 5, bias=False)
        self.last = nn.Linear(5, output_dim, bias=False)
        self.dims = (input_dim, output_dim)

    def symstudy_layout(self):
        i, o = self.dims
        first = Block(
            name="first", shape=(5, i), offset=0, axes=("h", "input"), role="weight", fan_in=i
        )
        last = Block(
            name="last", shape=(o, 5), offset=5 * i, axes=("output", "h"), role="weight", fan_in=5
        )
        group = NeuronGroup(name="h", layer=1, size=5, odd=True, homogeneous=False)
        return Layout(blocks=(first, last), groups=(group,))

    def forward(self, x):
        h = torch.tanh(self.first(x))
        return self.last(h), {"h": h}


class Stateful(nn.Module):
    """A module with running statistics."""

    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm1d(4)
        self.last = nn.Linear(4, 2)

    def forward(self, x):
        return self.last(self.norm(x))


@pytest.fixture(autouse=True)
def own_models(monkeypatch):
    monkeypatch.setitem(sys.modules, "own_models", sys.modules[__name__])


def build(name, **arguments):
    return build_own(OwnModelConfig(kind=f"own_models:{name}", arguments=arguments), 4, 2)


def test_each_run_computes_what_the_module_would():
    model = build("Residual", width=7)
    theta = model.initialise([0, 1, 2], torch.ones(3))
    x = torch.randn(3, 5, 4)
    output = model.forward(theta, x).output_KBO
    for run in range(3):
        module = Residual(4, 2, 7)
        nn.utils.vector_to_parameters(theta[run], module.parameters())
        torch.testing.assert_close(output[run], module(x[run]))


def test_initialisation_depends_on_the_seed_alone_and_leaves_torchs_generator():
    before = torch.random.get_rng_state()
    model = build("Residual")
    many = model.initialise([5, 3], torch.ones(2))
    torch.testing.assert_close(many[1], model.initialise([3], torch.ones(1))[0], rtol=0, atol=0)
    assert not torch.equal(many[0], many[1])
    assert torch.equal(before, torch.random.get_rng_state())


def test_declared_neurons_are_measured():
    model = build("Declared")
    theta = model.initialise([0], torch.ones(1))
    assert set(model.forward(theta, torch.randn(1, 3, 4)).hidden) == {"h"}
    assert model.layout.groups[0].size == 5


def test_undeclared_neurons_are_none():
    assert build("Residual").layout.groups == ()


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("own_models:Stateful", "no state outside its parameters"),
        ("own_models:Missing", "must name something that its module has"),
        ("own_models:build", "must name a torch.nn.Module"),
        ("no_such_module:Net", "must name an importable module"),
    ],
)
def test_a_module_that_cannot_be_packed_is_refused(kind, message):
    with pytest.raises(ModelError, match=message):
        build_own(OwnModelConfig(kind=kind), 4, 2)


def test_wrong_arguments_are_named():
    with pytest.raises(ModelError, match=r"Residual\(depth=3.*must be buildable"):
        build("Residual", depth=3)
