import numpy as np
import pytest

from symstudy.kernels import functions
from symstudy.kernels.functions import activate, exp32, exp64, tanh32, tanh64


def ulps(value, exact, kind):
    return abs(float(value) - exact) / np.spacing(kind(abs(exact)))


@pytest.mark.parametrize(
    ("function", "kind", "limit"), [(tanh32, np.float32, 2), (tanh64, np.float64, 4)]
)
def test_tanh_is_exact_to_a_few_units_in_the_last_place(function, kind, limit):
    points = np.concatenate([np.linspace(-12, 12, 4001), np.geomspace(1e-20, 1, 500)]).astype(kind)
    exact = np.tanh(points.astype(np.longdouble)).astype(np.float64)
    worst = max(ulps(function(x), e, kind) for x, e in zip(points, exact, strict=True) if e != 0)
    assert worst <= limit


@pytest.mark.parametrize(
    ("function", "kind", "limit"), [(exp32, np.float32, 2), (exp64, np.float64, 4)]
)
def test_exp_is_exact_to_a_few_units_in_the_last_place(function, kind, limit):
    points = np.linspace(-80, 80, 4001).astype(kind)
    exact = np.exp(points.astype(np.longdouble)).astype(np.float64)
    assert max(ulps(function(x), e, kind) for x, e in zip(points, exact, strict=True)) <= limit


@pytest.mark.parametrize("code", range(7))
def test_the_slope_is_the_derivative(code):
    z = np.linspace(-3.1, 3.3, 64)
    ahead, behind, slope = z + 1e-6, z - 1e-6, np.zeros_like(z)
    activate(ahead, np.zeros_like(z), code, 0.25)
    activate(behind, np.zeros_like(z), code, 0.25)
    activate(z, slope, code, 0.25)
    if code != functions.LINEAR:
        np.testing.assert_allclose(slope, (ahead - behind) / 2e-6, atol=1e-6)


@pytest.mark.parametrize("code", range(7))
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_not_a_number_stays_one(code, kind):
    z = np.full(16, np.nan, kind)
    activate(z, np.zeros_like(z), code, kind(0.25))
    assert np.isnan(z).all()
