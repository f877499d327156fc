"""The sign test keeps its level whatever the distribution, and never claims certainty."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from symstudy.statistics.intervals import median_interval
from symstudy.statistics.tests import (
    decide_median,
    drawn_p,
    fewest_seeds,
    fisher_p,
    median_part,
    seed_part,
    sign_p,
)
from symstudy.statistics.verdict import Verdict
from symstudy.testing.nulls import NOISES

NULLS = 2000


@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize("seeds", [5, 8, 13])
@pytest.mark.parametrize("size", [0.01, 10.0])
def test_at_the_edge_of_a_margin_either_verdict_errs_in_at_most_a_twentieth(noise, seeds, size):
    rng = np.random.default_rng([seeds, len(noise)])
    values = 0.1 + size * NOISES[noise](rng, (NULLS, seeds))
    verdicts = [decide_median(row, -0.1, 0.1).verdict for row in values]
    # Three standard errors of 5 % in 2,000.
    assert np.mean([v is Verdict.SUPPORTED for v in verdicts]) <= 0.065
    assert np.mean([v is Verdict.REFUTED for v in verdicts]) <= 0.065


@pytest.mark.parametrize("noise", NOISES)
def test_the_interval_of_the_median_covers_as_often_as_it_says(noise):
    values = NOISES[noise](np.random.default_rng(3), (NULLS, 9))
    intervals = [median_interval(row, 0.9) for row in values]
    assert np.mean([i.low <= 0 <= i.high for i in intervals]) >= intervals[0].level - 0.015
    assert intervals[0].level >= 0.9


@pytest.mark.parametrize(("seeds", "verdict"), [(3, "inconclusive"), (5, "supported")])
def test_values_equal_in_all_seeds_are_no_certainty(seeds, verdict):
    decided = decide_median([2.0] * seeds, 1.0, 3.0)
    assert decided.verdict.label == verdict
    assert decided.p_value == (2.0**-seeds if seeds == 5 else None)


def test_a_value_at_the_end_of_what_is_claimed_lies_within_it():
    for end in (1.0, 3.0):
        assert decide_median([end] * 5, 1.0, 3.0).verdict is Verdict.SUPPORTED
        assert decide_median([end] * 6, 1.0, 3.0).p_value == 2.0**-6


def test_refuting_a_range_with_two_ends_takes_one_seed_more_than_a_bound():
    assert decide_median([2.0] * 5, high=1.0).verdict is Verdict.REFUTED
    assert decide_median([2.0] * 5, 0.0, 1.0).verdict is Verdict.INCONCLUSIVE
    assert decide_median([2.0] * 6, 0.0, 1.0).verdict is Verdict.REFUTED


@pytest.mark.parametrize(("comparisons", "seeds"), [(1, 5), (2, 6), (4, 7), (12, 8)])
def test_the_fewest_seeds_are_those_that_reach_the_level(comparisons, seeds):
    assert fewest_seeds(comparisons) == seeds
    assert comparisons * sign_p(seeds, seeds) <= 0.05 < comparisons * sign_p(seeds - 1, seeds - 1)


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=20), st.floats(-2, 0), st.floats(0, 2))
def test_interval_and_sign_test_agree(values, low, high):
    decided = decide_median(values, low, high)
    assert (decided.verdict is Verdict.SUPPORTED) == (
        decided.interval.within(low, high) is Verdict.SUPPORTED
    )


def test_no_values_decide_nothing():
    decided = decide_median([np.nan, np.inf])
    assert (decided.verdict, decided.p_value) == (Verdict.INCONCLUSIVE, None)


def test_a_part_of_the_median_counts_what_never_happens_as_outside():
    part = median_part("time", [1.0, 1.2, 1.1] + [np.inf] * 12, high=2.0, rule="at most 2")
    assert part.verdict is Verdict.REFUTED
    assert (part.effect, part.seeds) == (None, 15)
    assert median_part("time", [1.0, 1.2], high=2.0, rule="").verdict is Verdict.UNTESTED


def test_chances_of_draws_and_of_pooled_tests_are_those_of_their_definitions():
    assert drawn_p(3.0, [1.0, 2.0, 3.0, 4.0]) == 3 / 5
    assert drawn_p(9.0, np.zeros(99)) == 1 / 100
    # Of two tests the product q has the chance q (1 - ln q).
    assert fisher_p([0.1, 0.2]) == pytest.approx(0.02 * (1 - np.log(0.02)))


def test_a_statistic_that_differs_by_rounding_alone_is_not_smaller():
    # 1.8 in some orders, 1.7999999999999998 in the others: these are one statistic.
    values = np.array([0.5, 0.7, 0.6, 0.4, 0.3, 0.2, 0.1])
    orders = [values[list(order)] for order in itertools.permutations(range(7))]
    sums = [float(order[0] + order[1] + order[2]) for order in orders]
    assert len({each for each in sums if each > 1.75}) > 1
    exact = math.factorial(3) * math.factorial(4) / math.factorial(7)
    for observed in {each for each in sums if each > 1.75}:
        assert drawn_p(observed, sums) == pytest.approx(exact, rel=0.01)


def test_a_statistic_that_is_no_number_is_no_evidence():
    assert math.isnan(drawn_p(math.nan, [1.0, 2.0, 3.0]))
    assert drawn_p(2.0, [1.0, math.nan, math.nan]) == 3 / 4
    assert drawn_p(math.inf, [1.0, math.inf, 2.0]) == 2 / 4


def test_an_interval_shows_no_stand_in_for_infinity():
    part = median_part("time", [-np.inf] * 3 + [1.0, 2.0, 3.0, 4.0, 5.0], low=0.0, rule="")
    assert part.interval is None
    assert part.effect == 1.5


def test_the_mean_of_infinite_values_decides_nothing():
    values = [-np.inf] * 2 + [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
    part = seed_part("ln loss", values, low=0.0, rule="")
    assert part.verdict is Verdict.INCONCLUSIVE
    assert (part.effect, part.p_value, part.seeds) == (None, None, 8)
    assert "2 of 8 seeds are infinite" in part.note
    assert seed_part("x", [*values[2:], np.nan], low=0.0, rule="").verdict is Verdict.SUPPORTED
