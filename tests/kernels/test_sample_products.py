"""Products of one small matrix a sample, and attention made of them, against NumPy."""

import math

import numba
import numpy as np
import pytest

from symstudy.kernels.functions import GELU, activate
from symstudy.kernels.sample_products import sample_products


@numba.njit
def called(c, a, b, shape, samples, scale):
    """Call the kernel, which has no entry from Python, for operands that lie row after row."""
    rows, cols, depth = shape
    zero = np.int64(0)
    sample_products(
        c, zero, cols * samples, samples, a, zero, depth * samples, samples, b, zero,
        cols * samples, samples, rows, cols, depth, samples, scale,
    )  # fmt: skip


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("samples", [8, 16, 24, 56])
@pytest.mark.parametrize("shape", [(1, 1, 1), (5, 9, 3), (4, 8, 16), (7, 2, 6)])
def test_the_products_of_all_samples_are_those_of_numpy(kind, samples, shape):
    rows, cols, depth = shape
    rng = np.random.default_rng(0)
    a = rng.normal(size=(rows, depth, samples)).astype(kind)
    b = rng.normal(size=(depth, cols, samples)).astype(kind)
    c = np.full((rows, cols, samples), np.nan, kind)
    called(c.reshape(-1), a.reshape(-1), b.reshape(-1), shape, samples, kind(0.25))
    expected = 0.25 * np.einsum("mks,kns->mns", a.astype(float), b.astype(float))
    np.testing.assert_allclose(c, expected, rtol=0, atol=1e-6 if kind == np.float32 else 1e-14)


@pytest.mark.parametrize(("kind", "limit"), [(np.float32, 4e-7), (np.float64, 2e-15)])
def test_gelu_is_that_of_the_error_function(kind, limit):
    z = np.concatenate([np.linspace(-12, 12, 4001), [-1e6, 1e6, 0.0]]).astype(kind)
    exact = np.array([0.5 * x * (1 + math.erf(x / math.sqrt(2))) for x in z.astype(float)])
    slopes = np.array(
        [
            0.5 * (1 + math.erf(x / math.sqrt(2)))
            + x * math.exp(-x * x / 2) / math.sqrt(2 * math.pi)
            for x in z.astype(float)
        ]
    )
    found, slope = z.copy(), np.empty_like(z)
    activate(found, slope, GELU, kind(0.0))
    # Relative to z: the share that passes is known to so many units.
    assert (np.abs(found - exact) <= limit * np.maximum(np.abs(z), 1)).all()
    assert (np.abs(slope - slopes) <= limit * np.maximum(np.abs(z), 1)).all()
