from typing import Any

import pytest
import torch
from torch import nn

from symstudy.models.activations import ACTIVATIONS, activation_of
from symstudy.models.fcn.network import Fcn


def reference(model, row):
    """Return torch's own network with the parameters of one run."""
    layers: list[nn.Module] = []
    at = 0
    for layer, (fan_in, fan_out) in enumerate(zip(model.sizes, model.sizes[1:], strict=False)):
        linear = nn.Linear(fan_in, fan_out, bias=model.bias, dtype=row.dtype)
        linear.weight.data = row[at : at + fan_in * fan_out].view(fan_out, fan_in)
        at += fan_in * fan_out
        if model.bias:
            linear.bias.data = row[at : at + fan_out]
            at += fan_out
        layers.append(linear)
        if layer < len(model.sizes) - 2:
            layers.append(nn.Tanh())
    return nn.Sequential(*layers)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("sizes", [[5, 3], [5, 7, 3], [4, 6, 6, 2]])
def test_each_run_computes_what_torch_would(sizes, bias):
    model = Fcn(sizes, "tanh", bias=bias)
    theta = torch.randn(4, model.layout.size, dtype=torch.float64)
    x = torch.randn(4, 9, sizes[0], dtype=torch.float64)
    output = model.forward(theta, x).output_KBO
    for run in range(4):
        torch.testing.assert_close(output[run], reference(model, theta[run])(x[run]))


def test_hidden_activations_come_by_group():
    model = Fcn([3, 5, 6, 2], "silu")
    forward = model.forward(torch.randn(2, model.layout.size), torch.randn(2, 4, 3))
    assert {name: tuple(h.shape) for name, h in forward.hidden.items()} == {
        "hidden1": (2, 4, 5),
        "hidden2": (2, 4, 6),
    }


def test_initial_weights_scale_with_fan_in_and_biases_are_zero():
    model = Fcn([400, 300, 10], "tanh")
    theta = model.initialise([0, 1], torch.tensor([1.0, 0.1], dtype=torch.float64))
    first, bias, second, _ = (theta[:, b.offset : b.stop] for b in model.layout.blocks)
    assert (bias == 0).all()
    torch.testing.assert_close(
        first.std(dim=1) * 400**0.5, torch.tensor([1.0, 0.1]).double(), rtol=0.02, atol=0
    )
    torch.testing.assert_close(
        second.std(dim=1) * 300**0.5, torch.tensor([1.0, 0.1]).double(), rtol=0.05, atol=0
    )


def test_initialisation_depends_on_the_seed_alone():
    model = Fcn([4, 6, 2], "tanh")
    many = model.initialise([3, 1, 2], torch.ones(3))
    one = model.initialise([1], torch.ones(1))
    torch.testing.assert_close(many[1], one[0], rtol=0, atol=0)


@pytest.mark.parametrize("name", [*ACTIVATIONS, "polynomial"])
def test_activations_are_torchs_own_up_to_rounding(name):
    z = torch.linspace(-4, 4, 101, dtype=torch.float64)
    own: dict[str, Any] = {"silu": nn.functional.silu, "gelu": nn.functional.gelu}
    own |= {"relu": torch.relu, "tanh": torch.tanh, "sin": torch.sin, "linear": lambda z: z}
    own["polynomial"] = lambda z: z + 0.25 * z * z
    torch.testing.assert_close(activation_of(name, 0.25).apply(z), own[name](z))


@pytest.mark.parametrize("name", list(ACTIVATIONS))
def test_declared_symmetries_of_activations_hold(name):
    activation = ACTIVATIONS[name]
    z = torch.linspace(-3, 3, 41, dtype=torch.float64)
    is_odd = torch.allclose(activation.apply(-z), -activation.apply(z))
    is_homogeneous = torch.allclose(activation.apply(2.5 * z), 2.5 * activation.apply(z))
    assert (activation.odd, activation.homogeneous) == (is_odd, is_homogeneous)


def test_layout_tiles_the_vector_and_names_the_neurons():
    layout = Fcn([3, 5, 2], "tanh").layout
    assert layout.size == 3 * 5 + 5 + 5 * 2 + 2
    (group,) = layout.groups
    assert [b.name for b in layout.incoming(group)] == ["layers.0.weight", "layers.0.bias"]
    assert [b.name for b in layout.outgoing(group)] == ["layers.1.weight"]
    assert group.odd
    assert not group.homogeneous
