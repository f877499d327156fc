import math

import pytest
import torch

from symstudy.theory.equilibrium import (
    balancing_scale,
    decay_kernel,
    layer_kernels,
    minimal_noise,
    noise_terms,
    norm_ratio,
    universal_kernel,
)


def task(seed=0, outputs=3, inputs=5):
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    def positive(size):
        a = draw(size, size)
        return a @ a.T / size + 0.2 * torch.eye(size, dtype=torch.float64)

    return draw(outputs, inputs), positive(inputs), positive(outputs), draw(inputs, inputs)


def test_the_kernel_of_white_inputs_and_noise_is_the_root_of_the_map():
    v, *_ = task()
    eye_i, eye_o = (torch.eye(n, dtype=torch.float64) for n in (5, 3))
    kernel = universal_kernel(v, eye_i, eye_o)
    torch.testing.assert_close(kernel @ kernel, v.T @ v)
    torch.testing.assert_close(kernel, decay_kernel(v, 1, 2))


def test_the_kernel_follows_a_transformation_of_the_inputs():
    v, covariance, noise, z = task()
    kernel = universal_kernel(v, covariance, noise)
    inverse = torch.linalg.inv(z)
    moved = universal_kernel(v @ inverse, z @ covariance @ z.T, noise)
    torch.testing.assert_close(z.T @ moved @ z, kernel, rtol=1e-9, atol=1e-10)


def test_a_single_weight_has_no_choice():
    v, covariance, noise, _ = task()
    (term,) = noise_terms([v], covariance, noise)
    assert term.item() == pytest.approx(minimal_noise(v, covariance, noise, 1))
    assert layer_kernels([v]) == []


def test_no_factorisation_has_less_noise_than_the_least():
    v, covariance, noise, z = task()
    least = minimal_noise(v, covariance, noise, 2)
    for strength in (0.0, 0.1, 1.0):
        g = torch.matrix_exp(strength * z)
        terms = noise_terms([g, v @ torch.linalg.inv(g)], covariance, noise)
        assert terms.sum() >= least


def test_the_ratio_of_isotropic_inputs_is_one_over_their_number():
    w = torch.tensor([3.0, -1.0, 2.0, 0.5], dtype=torch.float64)
    assert norm_ratio(w, 2.0 * torch.eye(4, dtype=torch.float64)) == pytest.approx(0.25)


def test_the_balancing_scale_is_a_minimum():
    scale = balancing_scale(3.0, 0.2)

    def noise(x):
        return 3.0 * math.exp(-2 * x) + 0.2 * math.exp(2 * x)

    assert noise(scale) < min(noise(scale - 1e-3), noise(scale + 1e-3))
    with pytest.raises(ValueError, match=r"must be above 0, but got 0\.0 and 1\.0"):
        balancing_scale(0.0, 1.0)
