import math

import pytest
import torch

from symstudy.theory.collapse import (
    critical_regularisation,
    lyapunov_exponents,
    noise_critical_gamma,
)


def test_critical_regularisation_is_the_lowest_curvature():
    # l = -2 b_1^2 + b_2^2 along the last two of three parameters.
    def loss(theta_KP, x_KBI, y_KBO):
        return theta_KP[:, 0] - 2 * theta_KP[:, 1] ** 2 + theta_KP[:, 2] ** 2

    nothing = torch.zeros(2, 1, 1, dtype=torch.float64)
    theta = torch.tensor([[0.3, 0, 0], [7.0, 0, 0]], dtype=torch.float64)
    basis = torch.eye(3, dtype=torch.float64)
    critical = critical_regularisation(loss, theta, basis[:, 1:], nothing, nothing)
    torch.testing.assert_close(critical, torch.full((2,), 2.0, dtype=torch.float64))
    stable = critical_regularisation(loss, theta, basis[:, 2:], nothing, nothing)
    torch.testing.assert_close(stable, torch.full((2,), -1.0, dtype=torch.float64))


def test_exponents_without_noise_are_those_of_gradient_descent():
    products = torch.full((1, 4), 0.5, dtype=torch.float64)
    lr, gamma = torch.tensor([0.1], dtype=torch.float64), torch.tensor([0.2], dtype=torch.float64)
    exponents = lyapunov_exponents(products, lr, gamma)
    assert exponents.plus_K.item() == pytest.approx(math.log(1 - 0.04 + 0.1))
    assert exponents.minus_K.item() == pytest.approx(math.log(1 - 0.04 - 0.1))
    assert noise_critical_gamma(products, lr).item() == pytest.approx(0.5, rel=1e-10)


def test_noise_lowers_the_critical_gamma():
    b = torch.tensor([[0.5, 0.5], [0.2, 0.8], [-0.5, 1.5]], dtype=torch.float64)
    critical = noise_critical_gamma(b, torch.full((3,), 0.1, dtype=torch.float64))
    assert critical[0] > critical[1] > critical[2]
    for lr, gamma, row in zip([0.1] * 3, critical.tolist(), b, strict=True):
        args = (
            row[None],
            torch.tensor([lr], dtype=torch.float64),
            torch.tensor([gamma], dtype=torch.float64),
        )
        assert abs(lyapunov_exponents(*args).plus_K.item()) < 1e-12


def test_a_critical_gamma_needs_a_positive_mean():
    b = torch.tensor([[-0.5, 0.1]], dtype=torch.float64)
    with pytest.raises(ValueError, match=r"positive means, but got -0\.2"):
        noise_critical_gamma(b, torch.tensor([0.1], dtype=torch.float64))
