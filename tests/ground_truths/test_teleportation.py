"""Teleportation as an optimiser: cosh 2 radius, one loss, no gradient call of its own."""

import math

import pytest
import torch

from symstudy.errors import ModelError
from symstudy.models.fcn.network import Fcn
from symstudy.optimizers import StepNumbers
from symstudy.optimizers.teleport import Teleport
from symstudy.study import PackConfig
from symstudy.symmetry.ascent import gradient
from symstudy.training.loop import make_engine, make_pack


def stepped(layout, theta_KP, slope_KP, radius=0.5, rate=0.0, gamma=0.0):
    """Return parameters after a teleportation and one step."""
    ones = torch.ones(len(theta_KP), 1, dtype=torch.float64)
    lane = Teleport(teleport_every=1, teleport_radius=radius)
    keys = {"teleport_radius": radius * ones}
    numbers = StepNumbers(rate * ones, 2 * gamma * ones, 1, keys, lane, layout)
    return Teleport.step(theta_KP, slope_KP, theta_KP, (), numbers)


@pytest.mark.parametrize("radius", [0.1, 0.5, 1.5])
def test_g20_from_a_balanced_point_the_squared_gradient_grows_by_cosh(radius):
    layout = Fcn([1, 1, 1], "linear", bias=False).layout
    theta_KP = torch.tensor([[0.7, 0.7], [0.3, -0.3]], dtype=torch.float64)

    def loss(point_KP):
        return (point_KP[:, 0] * point_KP[:, 1] - 2.0).square()

    before_KP = gradient(loss, theta_KP)
    there_KP = stepped(layout, theta_KP, before_KP, radius)
    ratio_K = gradient(loss, there_KP).square().sum(dim=1) / before_KP.square().sum(dim=1)
    torch.testing.assert_close(
        ratio_K, torch.full((2,), math.cosh(2 * radius)).double(), rtol=1e-6, atol=0.0
    )


def relu_case(seed=0):
    model = Fcn([4, 6, 5, 2], "relu")
    generator = torch.Generator().manual_seed(seed)
    theta_KP, x, y = (
        torch.randn(*shape, generator=generator, dtype=torch.float64)
        for shape in ((3, model.layout.size), (3, 40, 4), (3, 40, 2))
    )

    def loss(point_KP):
        return (model.forward(point_KP, x).output_KBO - y).square().mean(dim=(1, 2))

    return model.layout, theta_KP, loss


def test_a_teleportation_leaves_the_loss_and_lengthens_the_gradient_that_is_stepped_along():
    layout, theta_KP, loss = relu_case()
    slope_KP = gradient(loss, theta_KP)
    there_KP = stepped(layout, theta_KP, slope_KP)
    torch.testing.assert_close(loss(there_KP), loss(theta_KP), rtol=1e-12, atol=0.0)
    slope_there_KP = gradient(loss, there_KP)
    assert (slope_there_KP.norm(dim=1) > 1.2 * slope_KP.norm(dim=1)).all()
    # The step goes along the gradient at the new point, though it was taken at the old one.
    rate, gamma = 1e-3, 0.1
    moved_KP = stepped(layout, theta_KP, slope_KP, rate=rate, gamma=gamma)
    expected_KP = there_KP - rate * (slope_there_KP + 2 * gamma * there_KP)
    torch.testing.assert_close(moved_KP, expected_KP, rtol=1e-9, atol=1e-11)
    # To first order the loss falls by as much more as the squared gradient is longer.
    fall_K = loss(theta_KP) - loss(stepped(layout, theta_KP, slope_KP, rate=1e-7))
    plain_K = loss(theta_KP) - loss(theta_KP - 1e-7 * slope_KP)
    longer_K = slope_there_KP.square().sum(dim=1) / slope_KP.square().sum(dim=1)
    torch.testing.assert_close(fall_K / plain_K, longer_K, rtol=1e-3, atol=0.0)


def test_packed_runs_are_those_trained_alone_and_plain_ones_are_gradient_descent(study_of):
    train = {"optimizer": "teleport", "teleport_every": 3, "dtype": "float64", "lr": 0.05}
    study = study_of(
        model={"activation": "relu", "depth": 3},
        train=train,
        sweep={"train.teleport_radius": [0.1, 0.5], "seed": 2},
    )

    def trained(runs):
        engine = make_engine(make_pack(runs, PackConfig(device="cpu")))
        engine.advance(0, 20)
        return engine.theta_KP

    runs = study.runs()
    packed_KP = trained(runs)
    alone_KP = torch.cat([trained([run]) for run in runs])
    torch.testing.assert_close(packed_KP, alone_KP, rtol=1e-10, atol=1e-12)
    plain_keys = {"dtype": "float64", "lr": 0.05}
    pairs = [
        study_of(model={"activation": "relu"}, train={**plain_keys, **each}).runs()
        for each in ({"optimizer": "teleport", "teleport_every": 0}, {"optimizer": "sgd"})
    ]
    plain, descent = (trained(each) for each in pairs)
    torch.testing.assert_close(plain, descent, rtol=1e-10, atol=1e-12)


def test_networks_without_homogeneous_neurons_are_refused(study_of):
    runs = study_of(model={"activation": "tanh"}, train={"optimizer": "teleport"}).runs()
    engine = make_engine(make_pack(runs, PackConfig(device="cpu")))
    with pytest.raises(ModelError, match=r"Type model\.activation=relu"):
        engine.advance(0, 1)
