import math
from collections.abc import Callable
from typing import Any

import pytest
import torch

from symstudy.layout import Block, DeclaredSymmetry, Layout
from symstudy.models.fcn.network import Fcn
from symstudy.streams import Stream
from symstudy.symmetry.double_rotation import DoubleRotation
from symstudy.theory.orbits import (
    Orbit,
    double_rotation_orbit,
    gradient,
    rescaling_orbit,
    symmetry_path,
    teleport,
)


def setting(activation, sizes, runs=2, seed=0):
    """Return a network, parameters and its squared error on a random task."""
    model = Fcn(sizes, activation)
    theta = torch.from_numpy(Stream(seed, "theta").normal(runs, model.layout.size))
    x = torch.from_numpy(Stream(seed, "x").normal(40, sizes[0]))
    y = torch.from_numpy(Stream(seed, "y").normal(40, sizes[-1]))

    def loss(theta_KP):
        output = model.forward(theta_KP, x.expand(len(theta_KP), -1, -1)).output_KBO
        return (output - y).square().sum(dim=2).mean(dim=1)

    return model, theta, loss


def double_rotation(layout, number=0):
    """Return the orbit of the double rotation that `layout` declares as number `number`."""
    declared = [symmetry for symmetry in layout.symmetries if symmetry.kind == "double_rotation"]
    return double_rotation_orbit(DoubleRotation(layout, declared[number]))


ORBITS: dict[str, tuple[str, Callable[[Layout], Orbit]]] = {
    "rescaling": ("relu", rescaling_orbit),
    "rescaling of linear neurons": ("linear", rescaling_orbit),
    "double rotation": ("linear", double_rotation),
    "of the second layer": ("linear", lambda net: double_rotation(net, 1)),
}


@pytest.fixture(params=ORBITS)
def case(request):
    activation, make = ORBITS[request.param]
    model, theta, loss = setting(activation, [3, 4, 5, 2])
    orbit = make(model.layout)
    xi = 0.3 * torch.from_numpy(Stream(1, "xi").normal(2, orbit.coordinates))
    return theta, loss, orbit, xi


def test_the_loss_is_constant_on_a_symmetry_path(case):
    theta, loss, orbit, xi = case
    path = symmetry_path(orbit, theta, xi, torch.linspace(-2, 2, 9))
    start = loss(theta)
    assert (path[0] - theta).abs().max() > 0.1
    for point in path:
        assert ((loss(point) - start).abs() / start).max() < 1e-9


def test_gradients_move_contragrediently(case):
    theta, loss, orbit, xi = case
    expected = orbit.act(gradient(loss, theta), orbit.contragredient(xi))
    torch.testing.assert_close(gradient(loss, orbit.act(theta, xi)), expected)


def test_no_coordinates_are_the_identity(case):
    theta, _, orbit, xi = case
    torch.testing.assert_close(orbit.act(theta, 0 * xi), theta)


def test_teleporting_keeps_the_loss_and_lengthens_the_gradient(case):
    theta, loss, orbit, _ = case
    result = teleport(loss, orbit, theta, radius=0.5, lr=1e-7)
    assert (result.loss_change_K.abs() / loss(theta)).max() < 1e-12
    assert (result.norm_ratio_K > 1.0).all()
    assert (result.xi_KG.norm(dim=1) <= 0.5 + 1e-12).all()
    # To first order in the learning rate a step gains lr |grad|^2.
    torch.testing.assert_close(
        result.step_after_K / result.step_before_K, result.norm_ratio_K, rtol=2e-3, atol=0
    )


def test_teleporting_finds_no_less_than_random_elements(case):
    theta, loss, orbit, _ = case
    best = teleport(loss, orbit, theta, radius=0.5, lr=1e-3).norm_ratio_K
    before = gradient(loss, theta).square().sum(dim=1)
    for seed in range(50):
        xi = torch.from_numpy(Stream(seed, "other").normal(2, orbit.coordinates))
        moved = orbit.act(theta, 0.5 * xi / xi.norm(dim=1, keepdim=True))
        ratio = gradient(loss, moved).square().sum(dim=1) / before
        assert (ratio <= best + 1e-9).all()


def test_layers_that_cannot_be_rescaled_are_refused():
    with pytest.raises(ValueError, match="must have homogeneous neurons"):
        rescaling_orbit(Fcn([2, 3, 1], "tanh").layout)


def test_query_and_key_are_teleported_by_their_double_rotation():
    width, inner = 4, 2
    blocks = tuple(
        Block(
            name=name, shape=(inner, width), offset=8 * i, axes=("inner", "model"), role="weight",
            fan_in=width,
        )
        for i, name in enumerate(["query", "key"])
    )  # fmt: skip
    declared = DeclaredSymmetry(
        kind="double_rotation", blocks=("query",), axis="inner", partners=("key",)
    )
    layout = Layout(blocks=blocks, symmetries=(declared,))
    theta = torch.from_numpy(Stream(3, "theta").normal(2, 16))
    x = torch.from_numpy(Stream(3, "x").normal(20, 5, width))

    def loss(theta_KP):
        query, key = theta_KP.view(-1, 1, 2, inner, width).unbind(2)
        attention = torch.softmax(x @ query.mT @ (x @ key.mT).mT, dim=3)
        return (attention @ x - x).square().mean(dim=(1, 2, 3))

    result = teleport(loss, double_rotation(layout), theta, radius=1.0, lr=1e-6)
    assert (result.loss_change_K.abs() < 1e-12).all()
    assert (result.norm_ratio_K > 1.5).all()


@pytest.mark.parametrize("name", ["radius", "lr"])
def test_teleporting_by_nothing_is_refused(name):
    model, theta, loss = setting("relu", [2, 3, 1])
    values: dict[str, Any] = {"radius": 1.0, "lr": 1.0, name: 0.0}
    with pytest.raises(ValueError, match=f"`{name}` must be positive, but got 0.0"):
        teleport(loss, rescaling_orbit(model.layout), theta, **values)


def test_one_double_rotation_and_its_inverse_cancel():
    model, theta, _ = setting("linear", [3, 4, 2])
    orbit = double_rotation(model.layout)
    xi = torch.from_numpy(Stream(2, "xi").normal(2, 16))
    torch.testing.assert_close(orbit.act(orbit.act(theta, xi), -xi), theta)


def test_a_quarter_turn_swaps_two_linear_neurons_up_to_a_sign():
    model, theta, _ = setting("linear", [3, 2, 2], runs=1)
    orbit = double_rotation(model.layout)
    turned = orbit.act(theta, torch.tensor([[0.0, -math.pi / 2, math.pi / 2, 0.0]]).double())
    w, moved = theta[0, :6].view(2, 3), turned[0, :6].view(2, 3)
    torch.testing.assert_close(moved, torch.stack([-w[1], w[0]]))
