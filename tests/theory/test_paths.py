import math

import pytest
import torch

from symstudy.models.fcn.network import Fcn
from symstudy.streams import Stream
from symstudy.theory.neuron_maps import random_neuron_map
from symstudy.theory.paths import (
    BarrierStudy,
    barriers_modulo_symmetry,
    line_barrier,
    linear_path,
)


def quartic(theta_KP):
    """Return (x^2 - 1)^2 of the first parameter: minima at -1 and 1, a barrier of 1 at 0."""
    return (theta_KP[:, 0].square() - 1.0).square()


def column(*values):
    return torch.tensor(values, dtype=torch.float64)[:, None]


def test_the_barrier_is_the_height_above_the_chord():
    barrier = line_barrier(quartic, column(-1.0, 1.0), column(1.0, 1.0))
    torch.testing.assert_close(barrier.height_K, torch.tensor([1.0, 0.0]).double())
    assert barrier.at_K[0].item() == pytest.approx(0.5, abs=1e-6)


def test_the_maximum_between_grid_points_is_found():
    def bump(theta_KP):
        return torch.exp(-((theta_KP[:, 0] - 0.123).square()) / 0.02)

    barrier = line_barrier(bump, column(-1.0), column(1.0), points=9)
    times = torch.linspace(0, 1, 200_001, dtype=torch.float64)
    line = bump((2 * times - 1)[:, None])
    expected = (line - torch.lerp(line[0], line[-1], times)).max()
    assert barrier.height_K.item() == pytest.approx(expected.item(), abs=1e-9)


def test_a_convex_loss_has_no_barrier():
    start, end = (torch.from_numpy(Stream(0, name).normal(5, 7)) for name in ("start", "end"))
    barrier = line_barrier(lambda t: t.square().sum(dim=1), start, end)
    assert (barrier.height_K == 0.0).all()


def test_a_row_stays_with_its_pair():
    scales = torch.tensor([1.0, 10.0]).double()
    barrier = line_barrier(lambda t: scales * quartic(t), column(-1.0, -1.0), column(1.0, 1.0))
    torch.testing.assert_close(barrier.height_K, scales)


def test_lines_that_cannot_be_measured_are_refused():
    with pytest.raises(ValueError, match="`points` must be at least 3, but got 2"):
        line_barrier(quartic, column(-1.0), column(1.0), points=2)
    with pytest.raises(ValueError, match="must be finite at both ends"):
        line_barrier(quartic, column(float("nan")), column(1.0))


def squared_error(model, x, y):
    def loss(theta_KP):
        output = model.forward(theta_KP, x).output_KBO
        return (output - y).square().sum(dim=2).mean(dim=1)

    return loss


@pytest.mark.parametrize(
    # Signs and scales: what either map must undo, test_matching.py tests by itself.
    "activation",
    [*(pytest.param(kind, marks=pytest.mark.slow) for kind in ("tanh", "silu")), "relu"],
)
def test_matching_removes_the_barrier_between_copies(activation):
    model = Fcn([4, 10, 8, 3], activation)
    theta = torch.from_numpy(Stream(0, "theta").normal(2, model.layout.size))
    x = torch.from_numpy(Stream(0, "x").normal(2, 50, 4))
    loss = squared_error(model, x, model.forward(theta, x).output_KBO)
    other = random_neuron_map(model.layout, 3, log_scale=0.5).apply(theta)
    study = barriers_modulo_symmetry(loss, model.layout, theta, other, draws=9)
    assert (study.raw_K > 0.1).all()
    assert (study.balanced_K > 0.1).all()
    assert (study.matched_K < 1e-9).all()
    assert (study.null_DK.amin(dim=0) > 0.1).all()
    torch.testing.assert_close(study.p_values_K, torch.full((2,), 0.1), check_dtype=False)


def test_balancing_alone_removes_the_barrier_of_rescaling():
    model = Fcn([4, 10, 3], "relu")
    theta = torch.from_numpy(Stream(1, "theta").normal(1, model.layout.size))
    x = torch.from_numpy(Stream(1, "x").normal(1, 50, 4))
    loss = squared_error(model, x, model.forward(theta, x).output_KBO)
    scaled = random_neuron_map(model.layout, 2, log_scale=1.5)
    orders = {name: torch.arange(len(order)) for name, order in scaled.orders.items()}
    other = type(scaled)(
        layout=model.layout, orders=orders, signs=scaled.signs, scales=scaled.scales
    ).apply(theta)
    study = barriers_modulo_symmetry(loss, model.layout, theta, other, draws=0)
    assert study.raw_K.item() > 1.0
    assert study.balanced_K.item() < 1e-9
    assert study.null_DK.shape == (0, 1)


def rotation(*angles):
    return torch.block_diag(
        *[torch.tensor([[math.cos(a), -math.sin(a)], [math.sin(a), math.cos(a)]]) for a in angles]
    ).double()


@pytest.mark.parametrize(
    "target",
    [
        rotation(math.pi),
        rotation(math.pi, 0.4, math.pi),
        torch.diag(torch.tensor([-2.0, 3.0, -0.5])).double(),
        rotation(0.3) @ torch.tensor([[1.0, 5.0], [0.0, 2.0]]).double(),
    ],
)
def test_matrices_of_positive_determinant_are_joined_with_the_identity(target):
    path = linear_path(target, torch.linspace(0, 1, 101))
    torch.testing.assert_close(path[0], torch.eye(len(target)).double(), rtol=0, atol=1e-12)
    torch.testing.assert_close(path[-1], target, rtol=1e-12, atol=1e-12)
    # log det runs along a line: invertible all the way.
    expected = torch.linspace(0, 1, 101) * torch.linalg.det(target).log()
    torch.testing.assert_close(torch.linalg.det(path).log(), expected.double(), rtol=0, atol=1e-6)
    assert (path[1:] - path[:-1]).norm(dim=(1, 2)).max() < 0.2 * (1 + target.norm())


def test_random_matrices_of_positive_determinant_are_joined():
    for seed in range(20):
        target = torch.from_numpy(Stream(seed, "g").normal(5, 5))
        target[0] *= torch.linalg.det(target).sign()
        path = linear_path(target, torch.linspace(0, 1, 11))
        torch.testing.assert_close(path[-1], target, rtol=1e-10, atol=1e-11)
        assert (torch.linalg.det(path) > 0).all()


def test_a_matrix_of_negative_determinant_is_refused():
    with pytest.raises(ValueError, match="must have a positive determinant"):
        linear_path(torch.diag(torch.tensor([1.0, -1.0])).double(), torch.linspace(0, 1, 3))


def test_a_barrier_that_is_no_number_is_no_evidence():
    nothing = torch.full((2,), torch.nan)
    study = BarrierStudy(
        raw_K=nothing,
        balanced_K=nothing,
        matched_K=torch.tensor([torch.nan, 1.0]),
        null_DK=torch.tensor([[2.0, 2.0], [3.0, torch.nan], [4.0, 3.0]]),
        matchings=(),
    )
    assert study.p_values_K.isnan().tolist() == [True, False]
    assert study.p_values_K[1] == 2 / 4
