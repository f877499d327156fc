"""The closed forms against the equations that they solve, by other means."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from symstudy.theory import closed_forms as exact


@pytest.mark.parametrize("depth", [3, 4, 6])
def test_the_spinodal_is_the_last_gamma_with_a_critical_point(depth):
    s = np.geomspace(1e-6, 2.0, 400_001)
    gamma = exact.spinodal(depth, 2.0)
    for factor, is_left in ((0.999, True), (1.001, False)):
        curve = s + factor * gamma * s ** ((2 - depth) / depth)
        assert (curve.min() <= 2.0) == is_left


@pytest.mark.parametrize("depth", [3, 5])
def test_the_floor_is_where_the_curve_is_least(depth):
    s = np.geomspace(1e-4, 1.0, 200_001)
    curve = s + 0.05 * s ** ((2 - depth) / depth)
    assert exact.smallest_learned_value(depth, 0.05) == pytest.approx(s[curve.argmin()], rel=1e-3)
    assert exact.smallest_learned_value(2, np.array([0.1, 0.2])).tolist() == [0.0, 0.0]


@pytest.mark.parametrize(("depth", "gamma"), [(2, 0.3), (3, 0.2), (4, 0.1), (3, 0.0), (2, 0.0)])
def test_the_learned_value_solves_the_equation_above_the_floor(depth, gamma):
    s = exact.learned_value(depth, gamma, 1.5)
    assert s + gamma * s ** ((2 - depth) / depth) == pytest.approx(1.5)
    assert s >= exact.smallest_learned_value(depth, gamma)
    assert exact.learned_value(depth, 1.01 * exact.spinodal(depth, 1.5), 1.5) == 0.0


@pytest.mark.parametrize("depth", [3, 4, 8])
def test_the_slope_of_the_rank_is_that_of_counted_singular_values(depth):
    exponent, gammas = 1.5, np.geomspace(1e-9, 1e-7, 9)
    sigmas = np.arange(1, 400_001) ** -exponent
    limits = np.array([exact.spinodal(depth, float(sigma)) for sigma in sigmas[::40]])
    ranks = [40 * int((limits > gamma).sum()) for gamma in gammas]
    slope = np.polyfit(np.log(gammas), np.log(ranks), 1)[0]
    assert slope == pytest.approx(exact.rank_slope(depth, exponent), abs=0.02)


@pytest.mark.parametrize(("depth", "accuracy"), [(2, 0.01), (3, 0.05)])
def test_the_time_of_escape_is_that_of_integrated_gradient_flow(depth, accuracy):
    start, sigma, dt = 0.01, 1.2, 2e-4
    w, time = start, 0.0
    while w**depth < 0.5 * sigma:
        w += dt * 2.0 * (sigma - w**depth) * w ** (depth - 1)
        time += dt
    assert exact.escape_time(depth, start, sigma) == pytest.approx(time, rel=accuracy)


def test_the_half_time_of_a_mode_is_that_of_the_logistic_equation():
    s, time, dt, end = 1e-3, 0.0, 1e-4, 0.9 - 0.2
    while s < end / 2:
        s += dt * 4.0 * s * (end - s)
        time += dt
    assert exact.mode_half_time(1e-3, 0.9, 0.2) == pytest.approx(time, rel=1e-2)
    assert exact.mode_half_time(1e-4, 0.9) == pytest.approx(exact.escape_time(2, 1e-2, 0.9))


def test_the_critical_gamma_of_a_mode_is_where_products_of_draws_neither_grow_nor_shrink():
    gamma = exact.critical_gamma_of_mode(0.5, 4, 2, 0.05)
    counts = np.random.default_rng(0).binomial(2, 0.25, 400_000)
    steps = 1 - 2 * 0.1 * gamma + 2 * 0.1 * (0.5 * 4 * counts / 2)
    assert np.log(np.abs(steps)).mean() == pytest.approx(0.0, abs=5e-4)
    cold = exact.critical_gamma_of_mode(0.5, 4, 2, 1e-5)
    assert (0.5 - cold) / 1e-5 == pytest.approx(3 * 0.25, rel=1e-3)


def test_the_critical_gamma_of_a_mode_is_the_first_order_at_small_temperature():
    for temperature in (1e-4, 1e-3):
        first_order = 0.5 - temperature * 2 * 0.5**2
        gamma = exact.critical_gamma_of_mode(0.5, 3, 8, temperature)
        assert gamma == pytest.approx(first_order, abs=temperature**2)
    # Without noise, where there is one axis, gamma is the strength itself.
    assert exact.critical_gamma_of_mode(0.5, 1, 8, 0.01) == pytest.approx(0.5)


def test_the_critical_gamma_of_squares_of_normal_numbers_is_theirs():
    gamma = exact.critical_gamma_of_chi_square(3, 0.03, 0.7)
    draws = 0.7 * np.random.default_rng(1).chisquare(3, 400_000) / 3
    steps = 1 - 2 * 0.09 * gamma + 2 * 0.09 * draws
    assert np.log(np.abs(steps)).mean() == pytest.approx(0.0, abs=1e-3)
    cold = exact.critical_gamma_of_chi_square(3, 1e-3, 0.7)
    assert (0.7 - cold) / 1e-3 == pytest.approx(2 * 0.49, rel=0.03)


def test_no_torch_is_loaded():
    code = "import sys, symstudy.theory.closed_forms; print('torch' in sys.modules)"
    root = str(Path(__file__).parents[2])
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root
    )
    assert ran.stdout.strip() == "False"
