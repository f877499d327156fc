import sys

import pytest
import torch
from torch import nn

from symstudy.components import DataShape
from symstudy.errors import ModelError
from symstudy.layout import Block, Layout, NeuronGroup
from symstudy.models import OwnModelConfig
from symstudy.models.own.building import build_own


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


def half_width(input_dim, output_dim, *, width=8):
    """A function that returns a module."""
    return Residual(input_dim, output_dim, width // 2)


def residual_of(num_features, num_classes):
    """A function whose parameters have names of its own."""
    return Residual(num_features, num_classes)


class Deep(nn.Module):
    """A module that needs what symstudy does not pass."""

    def __init__(self, input_dim, num_classes, *, depth, width=6):
        super().__init__()
        self.layers = nn.Sequential(*(nn.Linear(input_dim, input_dim) for _ in range(depth)))
        self.last = nn.Linear(input_dim, num_classes)

    def forward(self, x):
        return self.last(self.layers(x))


def nothing():
    """A function that returns no module."""
    return


class Lazy(nn.Module):
    """A module whose sizes are not known when it is built."""

    def __init__(self, output_dim):
        super().__init__()
        self.first = nn.LazyLinear(output_dim)

    def forward(self, x):
        return self.first(x)


A_NUMBER = 3


@pytest.fixture(autouse=True)
def own_models(monkeypatch):
    monkeypatch.setitem(sys.modules, "own_models", sys.modules[__name__])


def build(name, **arguments):
    return build_own(
        OwnModelConfig(kind=f"own_models:{name}", arguments=arguments),
        DataShape(4, 2, 8, 4, is_classification=False),
    )


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


def test_undeclared_neurons_are_found_where_one_function_acts_on_each():
    model = build("Residual")
    (group,) = model.layout.groups
    assert (group.name, group.size) == ("first", 6)
    # A layer norm takes means over neurons: the sign or scale of one row does not pass it.
    assert [group.odd, group.even, group.homogeneous] == [False] * 3
    declared = [each for each in model.layout.symmetries if each.axis == group.name]
    assert "permutation" in {each.kind for each in declared}
    theta = model.initialise([0], torch.ones(1))
    order = torch.tensor([2, 0, 1, 5, 3, 4])
    moved = theta.clone()
    for block in model.layout.blocks:
        if group.name in block.axes:
            values = theta[0, block.offset : block.stop].view(block.shape)
            axis = block.axes.index(group.name)
            moved[0, block.offset : block.stop] = values.index_select(axis, order).flatten()
    assert not torch.equal(moved, theta)
    x = torch.randn(1, 5, 4)
    assert torch.allclose(
        model.forward(theta, x).output_KBO, model.forward(moved, x).output_KBO, atol=1e-5
    )


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("own_models:Missing", "must name something that its module has"),
        ("own_models:A_NUMBER", "must name a torch.nn.Module.*which is a int"),
        ("own_models:nothing", "returns a torch.nn.Module, but nothing.* returned a NoneType"),
        ("own_models:Lazy", "sizes of its layers.*first.weight, first.bias are of lazy layers"),
        (
            "no_such_module:Net",
            "must name an importable module.*Put the module beside.*install the package",
        ),
    ],
)
def test_a_module_that_cannot_be_packed_is_refused(kind, message):
    with pytest.raises(ModelError, match=message):
        build_own(OwnModelConfig(kind=kind), DataShape(4, 2, 8, 4, is_classification=False))


def test_wrong_arguments_are_named():
    with pytest.raises(ModelError, match=r"Residual\(depth=3.*must be buildable"):
        build("Residual", depth=3)


def test_missing_arguments_are_told_apart_from_those_that_symstudy_passes():
    with pytest.raises(ModelError) as caught:
        build("Deep")
    message = str(caught.value)
    assert "missing 1 required positional argument" in message
    assert "passes input_dim, output_dim, input_shape to parameters of these names" in message
    assert "here input_dim=4; the study must give num_classes, depth, each as a key" in message
    assert "Type model.num_classes=VALUE" in message
    assert '"{outputs}"' in message
    assert build("Deep", num_classes="{outputs}", depth=2).layout.size == 50


def test_an_error_inside_a_constructor_is_shown_without_advice_on_arguments():
    with pytest.raises(ModelError, match=r"raised TypeError: .*str.*$") as caught:
        build("Deep", num_classes=2, depth="3")
    assert "passes" not in str(caught.value)


def test_a_misspelt_argument_is_told_what_the_class_knows():
    with pytest.raises(ModelError, match=r"widht: Did you mean 'width'"):
        build("Residual", widht=3)


def test_a_function_that_returns_a_module_is_a_model():
    model = build("half_width", width=10)
    assert model.layout.blocks[0].shape == (5, 4)


def test_an_argument_in_braces_is_a_size_of_the_data():
    model = build("residual_of", num_features="{inputs}", num_classes="{outputs}")
    assert model.layout.blocks[-1].shape == (2,)
    with pytest.raises(ModelError, match=r"name of a size, but got '\{classes\}'.*outputs"):
        build("residual_of", num_features="{inputs}", num_classes="{classes}")
