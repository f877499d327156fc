"""G20: barriers, the components of deep linear solutions, and teleportation, in closed form."""

import itertools
import math

import pytest
import torch

from symstudy.models.fcn.network import Fcn
from symstudy.streams import Stream
from symstudy.theory.neuron_maps import balance, random_neuron_map
from symstudy.theory.orbits import rescaling_orbit, symmetry_path, teleport
from symstudy.theory.paths import line_barrier, linear_path


def product_loss(target, share=1.0):
    """Return c (u w - s)^2 of the parameters (u, w)."""

    def loss(theta_KP):
        return share * (theta_KP[:, 0] * theta_KP[:, 1] - target).square()

    return loss


def solution(a, target):
    return torch.tensor([[a, target / a]], dtype=torch.float64)


@pytest.mark.parametrize(("target", "share"), [(1.0, 1.0), (2.5, 0.5), (-1.5, 2.0)])
@pytest.mark.parametrize(("a", "b"), [(1.0, 3.0), (0.5, 0.8), (-2.0, -0.25), (1.0, -3.0)])
def test_g20_the_barrier_between_rescalings(a, b, target, share):
    barrier = line_barrier(product_loss(target, share), solution(a, target), solution(b, target))
    expected = share * target**2 * (a - b) ** 4 / (16 * a**2 * b**2)
    assert barrier.height_K.item() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(("target", "share"), [(1.0, 1.0), (2.5, 0.5)])
def test_g20_between_sign_sheets_no_path_is_lower_than_the_balanced_line(target, share):
    # c s^2 is reached by b = -a alone. Other lines between the sheets follow the formula above,
    # which is larger; and a path between sheets crosses u = 0, where the loss is c s^2.
    loss = product_loss(target, share)
    heights = [
        line_barrier(loss, solution(a, target), solution(-b, target)).height_K.item()
        for a, b in itertools.product([0.5, 1.0, 2.0], repeat=2)
    ]
    lowest = share * target**2
    assert min(heights) == pytest.approx(lowest, rel=1e-6)
    assert heights[::4] == pytest.approx([lowest] * 3, rel=1e-6)
    assert heights[1] > 1.1 * lowest


def test_g20_rescaling_makes_the_barrier_as_high_as_one_likes_and_balancing_removes_it():
    layout = Fcn([1, 1, 1], "relu", bias=False).layout
    start = solution(1.0, 1.0)
    for factor in (10.0, 100.0):
        end = solution(factor, 1.0)
        raw = line_barrier(product_loss(1.0), start, end).height_K.item()
        assert raw == pytest.approx((factor - 1) ** 4 / (16 * factor**2), rel=1e-6)
        mended = line_barrier(product_loss(1.0), balance(layout, start), balance(layout, end))
        assert mended.height_K.item() < 1e-12


def square_net(layers, width, seed):
    """Return a random solution W_l ... W_1 = M, as a list of weights, for an M of `seed` 0."""
    target = torch.from_numpy(Stream(0, "target").normal(width, width))
    weights = [torch.from_numpy(Stream(seed, f"w{i}").normal(width, width)) for i in range(layers)]
    product = torch.linalg.multi_dot([*weights[-2::-1], torch.eye(width).double()])
    weights[-1] = target @ torch.linalg.inv(product)
    return weights, target


def signs_of(weights):
    """Return the component that a solution lies in: the signs of all determinants but the last."""
    return tuple(int(torch.linalg.det(w).sign()) for w in weights[:-1])


def joined(start, end, times):
    """Return the solutions on the path g(t) . start to `end`, W_i' = g_i W_i g_{i-1}^-1."""
    steps = [torch.eye(len(start[0])).double()]
    for one, two in zip(start[:-1], end[:-1], strict=True):
        steps.append(two @ steps[-1] @ torch.linalg.inv(one))
    paths = [linear_path(g, times) for g in steps] + [
        torch.eye(len(start[0])).double().expand(len(times), -1, -1)
    ]
    return [paths[i + 1] @ w @ torch.linalg.inv(paths[i]) for i, w in enumerate(start)]


@pytest.mark.parametrize(("layers", "width"), [(2, 1), (3, 1), (4, 1), (3, 2), (4, 3)])
def test_g20_solutions_have_two_to_the_layers_less_one_components(layers, width):
    times = torch.linspace(0, 1, 11).double()
    kept: dict[tuple[int, ...], list[torch.Tensor]] = {}
    for seed in range(60):
        weights, target = square_net(layers, width, seed)
        first = kept.setdefault(signs_of(weights), weights)
        # Within a component there is a path of solutions from the first one found in it.
        path = joined(first, weights, times)
        products = path[0]
        for w in path[1:]:
            products = w @ products
        assert (products - target).norm(dim=(1, 2)).max() < 1e-6 * target.norm()
        for w, one in zip(path, weights, strict=True):
            # Inverses along the path amplify rounding, to 2e-8 in the worst of these networks.
            assert (w[-1] - one).norm() < 1e-6 * one.norm()
    assert len(kept) == 2 ** (layers - 1)
    # Between components there is none: a determinant would have to pass 0, and the product of all
    # determinants is that of the target.
    one, two = list(kept.values())[:2]
    with pytest.raises(ValueError, match="must have a positive determinant"):
        joined(one, two, times)


def test_g20_permutations_join_all_components_from_width_two_on():
    layers, width = 4, 3
    model = Fcn([width] * (layers + 1), "linear", bias=False)
    weights, _ = square_net(layers, width, 0)
    theta = torch.cat([w.flatten() for w in weights])[None]
    reached = set()
    for seed in range(200):
        drawn = random_neuron_map(model.layout, seed)
        ones = {name: torch.ones(width).double() for name in drawn.orders}
        moved = type(drawn)(layout=model.layout, orders=drawn.orders, signs=ones, scales=ones)
        reached.add(signs_of(list(moved.apply(theta).view(layers, width, width))))
    assert len(reached) == 2 ** (layers - 1)


def test_g20_the_loss_is_constant_on_a_path_of_rescalings():
    model = Fcn([3, 6, 5, 2], "relu")
    theta = torch.from_numpy(Stream(0, "theta").normal(1, model.layout.size))
    x = torch.from_numpy(Stream(0, "x").normal(1, 30, 3))
    orbit = rescaling_orbit(model.layout)
    xi = torch.from_numpy(Stream(0, "xi").normal(1, orbit.coordinates))
    losses = [
        model.forward(point, x).output_KBO.square().mean().item()
        for point in symmetry_path(orbit, theta, xi, torch.linspace(0, 1, 21))
    ]
    assert max(losses) - min(losses) <= 1e-9 * max(losses)


@pytest.mark.parametrize("radius", [0.1, 0.5, 1.5])
@pytest.mark.parametrize("target", [0.2, 3.0])
def test_g20_teleporting_from_a_balanced_point_gains_cosh_of_twice_the_rapidity(radius, target):
    layout = Fcn([1, 1, 1], "relu", bias=False).layout
    start = torch.tensor([[1.3, 1.3], [0.4, -0.4]], dtype=torch.float64)
    result = teleport(product_loss(target), rescaling_orbit(layout), start, radius=radius, lr=1e-9)
    expected = math.cosh(2 * radius)
    torch.testing.assert_close(
        result.norm_ratio_K, torch.full((2,), expected).double(), rtol=1e-6, atol=0
    )
    assert (result.loss_change_K.abs() < 1e-12).all()
    assert (result.step_after_K / result.step_before_K >= 1.0).all()
    # The decreases are differences of losses of order 1: 1e-9 of them carries six digits.
    torch.testing.assert_close(
        result.step_after_K / result.step_before_K, result.norm_ratio_K, rtol=1e-4, atol=0
    )


def test_g20_the_gain_of_a_step_is_that_of_the_gradient_to_first_order():
    layout = Fcn([1, 1, 1], "relu", bias=False).layout
    start = torch.tensor([[1.0, 1.0]], dtype=torch.float64)
    errors = []
    for lr in (1e-3, 1e-4):
        result = teleport(product_loss(2.0), rescaling_orbit(layout), start, radius=0.5, lr=lr)
        gain = result.step_after_K / result.step_before_K
        errors.append(abs(gain.item() / result.norm_ratio_K.item() - 1.0))
    assert math.log10(errors[0] / errors[1]) == pytest.approx(1.0, abs=0.05)
