"""What a number of seeds can show, held against published numbers and simulated seeds."""

import math

import numpy as np
import pytest
from scipy import stats

from symstudy.statistics.intervals import Interval, bootstrap, student_interval
from symstudy.statistics.power import (
    detectable_effect,
    detectable_share,
    reachable_margin,
    seeds_needed,
    sign_effect,
    sign_margin,
    sign_seeds_needed,
    spread_between_seeds,
)
from symstudy.statistics.tests import decide_median

DRAWS = 20_000


def intervals(mean, seeds, level):
    """Return the t intervals of many draws of so many seeds of spread 1: low and high ends."""
    x = np.random.default_rng(seeds).normal(mean, 1.0, (DRAWS, seeds))
    half = stats.t.ppf(0.5 + level / 2, seeds - 1) * x.std(1, ddof=1) / np.sqrt(seeds)
    return x.mean(1) - half, x.mean(1) + half


def test_the_effect_is_that_of_the_tables():
    # Cohen 1988: 0.5 sd in a two-sided t test at 5 % takes 34 units for a power of 0.8.
    assert detectable_effect(34) < 0.5 < detectable_effect(33)


@pytest.mark.parametrize("seeds", [3, 5, 10])
@pytest.mark.parametrize("level", [0.9, 0.95])
def test_an_effect_is_found_as_often_as_said(seeds, level):
    low, _ = intervals(detectable_effect(seeds, level=level), seeds, level)
    assert np.mean(low >= 0) == pytest.approx(0.8, abs=0.012)


@pytest.mark.parametrize("seeds", [2, 3, 5, 10])
@pytest.mark.parametrize("level", [0.9, 0.95])
def test_a_margin_is_shown_as_often_as_said(seeds, level):
    margin = reachable_margin(seeds, level=level)
    low, high = intervals(0.0, seeds, level)
    assert np.mean((low >= -margin) & (high <= margin)) == pytest.approx(0.8, abs=0.012)


def test_more_seeds_and_less_power_find_less():
    effects = [detectable_effect(n) for n in (2, 5, 20, 1000)]
    margins = [reachable_margin(n) for n in (2, 5, 20, 1000)]
    assert effects == sorted(effects, reverse=True)
    assert margins == sorted(margins, reverse=True)
    assert detectable_effect(5, power=0.5) < detectable_effect(5)
    # Of many seeds the t distribution is normal: 1.96 + 0.8416 standard errors.
    assert effects[-1] * math.sqrt(1000) == pytest.approx(1.960 + 0.842, rel=2e-3)


def test_the_seeds_that_a_margin_needs_are_the_first_that_reach_it():
    needed = seeds_needed(0.3)
    assert needed is not None
    assert reachable_margin(needed) <= 0.3 < reachable_margin(needed - 1)
    assert seeds_needed(100.0) == 2
    assert seeds_needed(0.001) is None


def test_a_rare_violation_is_missed_with_the_chance_said():
    assert detectable_share(1) == pytest.approx(0.8)
    assert (1 - detectable_share(7)) ** 7 == pytest.approx(0.2)


@pytest.mark.parametrize("level", [0.9, 0.95])
def test_the_spread_is_recovered_from_an_interval(level):
    values = [0.3, 0.1, 0.4, 0.1, 0.5]
    interval = student_interval(values, level)
    assert interval.units == 5
    assert spread_between_seeds(interval, 0) == pytest.approx(np.std(values, ddof=1))
    unknown = Interval(interval.low, interval.high, level)
    assert spread_between_seeds(unknown, 5) == pytest.approx(np.std(values, ddof=1))


def test_an_interval_of_nothing_has_no_spread():
    assert spread_between_seeds(student_interval([1.0]), 5) is None
    assert bootstrap(lambda seeds: float(sum(seeds)), [1, 2, 3]).units == 0


@pytest.mark.parametrize("seeds", [5, 8, 12])
def test_sign_tests_find_as_often_as_said(seeds):
    rng = np.random.default_rng(seeds)
    effect, margin = sign_effect(seeds), sign_margin(seeds)
    assert effect is not None
    assert margin is not None
    x = rng.normal(size=(4000, seeds))
    beyond = [decide_median(row + effect, low=0.0).p_value is not None for row in x]
    assert np.mean(beyond) == pytest.approx(0.8, abs=0.03)
    inside = [decide_median(row, -margin, margin).verdict.label == "supported" for row in x]
    assert np.mean(inside) == pytest.approx(0.8, abs=0.03)


def test_fewer_than_five_seeds_find_nothing_by_signs():
    assert sign_effect(4) is None
    assert sign_margin(4) is None
    assert sign_seeds_needed(2.1) == 5
    needed = sign_seeds_needed(0.8)
    assert needed is not None
    reached = sign_margin(needed)
    assert reached is not None
    assert reached <= 0.8
