import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from symstudy.errors import UnknownNameError
from symstudy.theory.bounds import (
    BOUNDS,
    bound_exponent,
    estimate_smoothness,
    neuron_bound,
    separation,
)


def test_the_separation_is_linear_in_gamma_at_kappa_1():
    assert separation(0.1, 0.5, 1.0) == pytest.approx(0.1)
    assert separation(0.2, 0.5, 1.0) == pytest.approx(0.2)
    assert separation(0.2, 0.1, 2.0) == pytest.approx(1.0)


@pytest.mark.parametrize("kind", BOUNDS)
@pytest.mark.parametrize(("kappa", "d", "alpha"), [(1.0, 3, 1.0), (2.0, 5, 0.5), (1.0, 12, 2.0)])
def test_bounds_grow_with_their_exponents(kind, kappa, d, alpha):
    low, high = (
        math.log(neuron_bound(kind, gamma, 1.0, kappa, 1.0, d, alpha)) for gamma in (1e-9, 1e-10)
    )
    exponent = bound_exponent(kind, kappa, d, alpha)
    assert (high - low) / math.log(10) == pytest.approx(exponent, rel=0.02)


def test_the_exponents_of_the_table():
    assert bound_exponent("naive", 1.0, d=4) == 6
    assert bound_exponent("naive", 2.0, d=4) == 4
    assert bound_exponent("alpha", 1.0, d=10**9, alpha=2.0) == pytest.approx(3 / 2)
    assert bound_exponent("alpha_unscaled", 2.0, d=10**9) == pytest.approx(1)
    assert bound_exponent("dimension_free", 1.0) == 3
    assert bound_exponent("dimension_free", 2.0) == 2
    for kappa, d in itertools.product((1.0, 2.0), (1, 7)):
        same = bound_exponent("alpha", kappa, d)
        assert bound_exponent("finite_dimension", kappa, d) == pytest.approx(same)


def test_the_dimension_free_bound_at_kappa_1():
    gamma, smooth, energy = 0.03, 0.7, 2.0
    exact = 1 + 8 * smooth**2 * energy / gamma**3
    assert neuron_bound("dimension_free", gamma, smooth, 1.0, energy) == pytest.approx(exact)


@pytest.mark.parametrize("d", [1, 2, 3])
@pytest.mark.parametrize("radius", [2.0, 5.0, 9.0])
def test_no_bound_is_below_the_points_of_a_lattice(d, radius):
    axis = np.arange(-10, 11)
    points = np.stack(np.meshgrid(*[axis] * d), axis=-1).reshape(-1, d)
    points = points[np.linalg.norm(points, axis=1) <= radius]
    # Neighbours are 1 apart and the squares sum to E0 / gamma: gamma = 1, K = 1/2, kappa = 1.
    energy = float(np.square(points).sum())
    for kind in ("naive", "dimension_free", "finite_dimension"):
        assert neuron_bound(kind, 1.0, 0.5, 1.0, energy, d) >= len(points), kind
    # On the lattice |w|^2 <= radius^2: with alpha = 0 that is the assumption with C = radius^2.
    for kind in ("alpha", "alpha_unscaled"):
        assert neuron_bound(kind, 1.0, 0.5, 1.0, energy, d, 0.0, radius**2) >= len(points), kind


def test_noise_moves_the_neurons_apart():
    quiet = neuron_bound("dimension_free", 0.1, 1.0, 1.0, 1.0)
    noisy = neuron_bound("dimension_free", 0.1, 1.0, 1.0, 1.0, gamma_eff=0.2)
    assert noisy - 1 == pytest.approx((quiet - 1) / 4)


def test_a_bound_beyond_floats_is_infinite():
    assert neuron_bound("naive", 1e-8, 1.0, 1.0, 1.0, 1000) == math.inf


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        ({"gamma": 0.0}, "`gamma` must be a finite number above 0, but got 0.0"),
        ({"K": -1.0}, "`K` must be a finite number above 0"),
        ({"kappa": math.nan}, "`kappa` must be a finite number above 0, but got nan"),
        ({"E0": -1.0}, "`E0` must be at least 0"),
        ({"d": 0}, "`d` must be at least 1"),
        ({"alpha": -0.1}, "`alpha` must be at least 0"),
        ({"C": 0.0}, "`C` must be a finite number above 0"),
        ({"gamma_eff": 0.0}, "`gamma_eff` must be a finite number above 0"),
    ],
)
def test_arguments_out_of_range_are_named(arguments, what):
    good = {"kind": "naive", "gamma": 0.1, "K": 1.0, "kappa": 1.0, "E0": 1.0}
    with pytest.raises(ValueError, match=what):
        neuron_bound(**{**good, **arguments})


def test_an_unknown_bound_is_refused():
    with pytest.raises(UnknownNameError, match="Did you mean 'naive'"):
        neuron_bound("naiv", 0.1, 1.0, 1.0, 1.0)
    with pytest.raises(UnknownNameError, match="Known: naive, alpha"):
        bound_exponent("volume", 1.0)


@given(kappa=st.floats(0.3, 3.0), smooth=st.floats(1e-3, 1e3), sign=st.sampled_from([-1.0, 1.0]))
def test_a_power_law_is_found_exactly(kappa, smooth, sign):
    distances = np.geomspace(0.1, 2.0, 20)
    found = estimate_smoothness(distances, sign * smooth * distances ** (2 + kappa))
    assert found.kappa == pytest.approx(kappa, abs=1e-9)
    assert pytest.approx(smooth, rel=1e-8) == found.K
    assert found.kappa_error < 1e-9
    # Only a loss that rises on merging needs a K.
    assert pytest.approx(smooth if sign < 0 else 0.0, rel=1e-8) == found.K_bound


def test_single_pairs_do_not_tilt_the_fit():
    rng = np.random.default_rng(3)
    distances = rng.uniform(0.2, 2.0, 400)
    changes = -0.5 * distances**3 * np.exp(0.1 * rng.standard_normal(400))
    changes[:12] *= 1e-6
    found = estimate_smoothness(distances, changes)
    assert abs(found.kappa - 1) < 0.1
    assert 0 < found.kappa_error < 0.1
    assert (-changes <= found.K_bound * distances ** (2 + found.kappa) * (1 + 1e-12)).all()


def test_pairs_below_rounding_are_left_out():
    distances = np.array([0.0, 1e-9, 0.5, 1.0, 2.0])
    changes = np.array([0.0, 1e-30, 0.25, 2.0, 16.0])
    found = estimate_smoothness(distances, changes)
    assert found.pairs == 3
    assert found.kappa == pytest.approx(1.0)


def test_too_few_pairs_are_refused():
    with pytest.raises(ValueError, match="at least three different distances.*but got 1"):
        estimate_smoothness(np.array([1.0, 1.0, 0.0]), np.array([1.0, 2.0, 1.0]))
