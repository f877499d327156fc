"""Alignment of representations: what it is blind to, and its values where they are known."""

import numpy as np
import pytest
import torch

from symstudy.theory.alignment import (
    centred_kernel_alignment,
    gram,
    gram_correlation,
    gram_cosine,
)

ALL = (gram_cosine, centred_kernel_alignment, gram_correlation)


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("alignment", ALL)
def test_it_is_1_for_rotated_and_scaled_activations_of_another_width(alignment):
    hidden = normal(2, 30, 5)
    rotation, _ = torch.linalg.qr(normal(8, 8, seed=1))
    other = 3.0 * hidden @ rotation[:5]
    np.testing.assert_allclose(alignment(gram(hidden), gram(other)), 1.0, atol=1e-12)


@pytest.mark.parametrize("alignment", ALL)
def test_it_falls_when_the_samples_are_permuted(alignment):
    hidden = normal(1, 200, 3)
    order = torch.randperm(200, generator=torch.Generator().manual_seed(1))
    value = float(alignment(gram(hidden), gram(hidden[:, order]))[0])
    assert value < (0.5 if alignment is gram_cosine else 0.05)


def test_values_of_two_samples_are_those_by_hand():
    first, second = torch.eye(2)[None], torch.ones(1, 2, 1)
    assert float(gram_cosine(gram(first), gram(second))[0]) == pytest.approx(2 / (2**0.5 * 2))
    shifted = normal(1, 20, 4) + 100.0
    plain = shifted - shifted.mean(dim=1, keepdim=True)
    other = normal(1, 20, 3, seed=4)
    assert float(centred_kernel_alignment(gram(shifted), gram(other))[0]) == pytest.approx(
        float(centred_kernel_alignment(gram(plain), gram(other))[0]), rel=1e-6
    )


def test_linear_cka_is_that_of_the_features():
    x, y = normal(1, 25, 4), normal(1, 25, 6, seed=3)
    a, b = (each[0] - each[0].mean(dim=0) for each in (x, y))
    expected = (b.T @ a).square().sum() / ((a.T @ a).norm() * (b.T @ b).norm())
    found = centred_kernel_alignment(gram(x), gram(y))[0]
    assert float(found) == pytest.approx(float(expected))


def test_the_correlation_is_numpys_of_the_cosines():
    x, y = normal(1, 12, 3), normal(1, 12, 5, seed=2)
    rows = np.triu_indices(12, 1)
    cosines = []
    for each in (x[0].numpy(), y[0].numpy()):
        unit = each / np.linalg.norm(each, axis=1, keepdims=True)
        cosines.append((unit @ unit.T)[rows])
    expected = np.corrcoef(*cosines)[0, 1]
    assert float(gram_correlation(gram(x), gram(y))[0]) == pytest.approx(expected)
