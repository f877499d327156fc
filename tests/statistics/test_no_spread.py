"""What does not vary, and what is no number, decides nothing: every test and interval of seeds."""

import math

import numpy as np
import pandas as pd
import pytest

from symstudy.findings.power import spread_of
from symstudy.statistics.families import correct_family, hold_parts
from symstudy.statistics.fits import fit_power_law
from symstudy.statistics.intervals import (
    all_alike,
    bootstrap,
    bootstrap_test,
    median_interval,
    student_interval,
)
from symstudy.statistics.part import Part, combine, refutation_p
from symstudy.statistics.scaling_laws import fit_scaling
from symstudy.statistics.sequential import judge_looks, plan_looks
from symstudy.statistics.tests import (
    decide_median,
    drawn_p,
    fisher_p,
    median_part,
    permutation_p,
    seed_part,
)
from symstudy.statistics.variance import variance_shares
from symstudy.statistics.verdict import Verdict

ALIKE = [[2.0] * 3, [0.1 + 0.2, 0.3, 0.3], [0.0] * 4, [-1e300] * 3, [5e-324] * 3, [7.0] * 40]
"""Values without a spread, one of them to rounding."""
SPREAD = [1.0, 1.1, 0.9, 1.05, 0.95]


@pytest.mark.parametrize("values", ALIKE)
def test_equal_values_are_no_evidence_for_a_mean(values):
    part = seed_part("x", values, low=values[0] - 1.0, rule="")
    assert (part.verdict, part.p_value) == (Verdict.INCONCLUSIVE, None)
    assert (part.interval, part.spread, part.seeds) == (None, None, len(values))
    assert f"of all {len(values)} seeds" in part.note
    assert "median_part" in part.note
    against = seed_part("x", values, low=values[0] + 1.0 + abs(values[0]), rule="")
    assert (against.verdict, against.p_value) == (Verdict.INCONCLUSIVE, None)


@pytest.mark.parametrize("values", ALIKE)
def test_no_interval_of_a_mean_is_a_point(values):
    assert all_alike(values)
    assert student_interval(values)[:2] == (-math.inf, math.inf)
    seeds = range(len(values))
    interval, p_value = bootstrap_test(lambda s: values[s[0]], seeds, values[0] - 1.0)
    assert (interval[:2], p_value) == ((-math.inf, math.inf), 1.0)
    assert bootstrap(lambda s: values[s[0]], seeds)[:2] == (-math.inf, math.inf)


def test_counts_alone_may_decide_where_nothing_varies_and_never_with_certainty():
    assert decide_median([2.0] * 3, 1.0).p_value is None
    assert decide_median([2.0] * 8, 1.0).p_value == 2.0**-8
    assert median_interval([2.0] * 4).high == math.inf
    assert permutation_p(lambda values: float(values[0]), np.full(9, 2.0)) == 1.0


@pytest.mark.parametrize("count", [0, 1, 2])
@pytest.mark.parametrize("test", [seed_part, median_part])
def test_few_values_decide_nothing_and_have_no_spread_that_is_no_number(test, count):
    for low in (0.0, 5.0):
        part = test("x", SPREAD[:count], low=low, rule="", min_seeds=0)
        assert part.p_value is None or 0.0 < part.p_value <= 1.0
        assert part.spread is None or math.isfinite(part.spread)
        if count < 2:
            assert part.verdict is Verdict.INCONCLUSIVE
            assert part.spread is None


@pytest.mark.parametrize("test", [seed_part, median_part])
def test_values_that_are_no_numbers_are_untested(test):
    part = test("x", [math.nan] * 5, low=0.0, rule="")
    assert (part.verdict, part.p_value, part.effect) == (Verdict.UNTESTED, None, None)


def test_a_p_value_that_is_no_number_supports_and_refutes_nothing():
    parts = [
        Part(name="x", verdict=verdict, rule="", p_value=math.nan)
        for verdict in (Verdict.SUPPORTED, Verdict.REFUTED)
    ]
    assert combine((parts[0],)) is Verdict.INCONCLUSIVE
    assert combine((parts[1],)) is Verdict.INCONCLUSIVE
    assert refutation_p((parts[1],)) == 1.0
    for part in hold_parts(parts, 1.0):
        assert part.verdict is Verdict.INCONCLUSIVE
    # Beside it others are corrected as if it were 1.
    first, second = correct_family([Verdict.SUPPORTED] * 2, [math.nan, 0.01])
    assert (first.verdict, first.adjusted) == (Verdict.INCONCLUSIVE, 1.0)
    assert (second.verdict, second.adjusted) == (Verdict.SUPPORTED, 0.02)


def test_chances_of_nothing_are_no_numbers():
    assert math.isnan(fisher_p([]))
    assert math.isnan(fisher_p([0.01, math.nan]))
    assert fisher_p([0.0, 0.5]) == 0.0
    assert drawn_p(1.0, []) == 1.0
    assert bootstrap_test(lambda seeds: math.nan, [1, 2, 3], 0.0)[1] == 1.0
    # Of a statistic that only some resamples have, the observed one being none of them.
    draws = iter([math.nan, *np.linspace(1.0, 2.0, 3000)])
    values = dict(enumerate(draws))
    order = iter(values)
    assert bootstrap_test(lambda seeds: values[next(order) + 1], [1, 2, 3], 0.0)[1] < 0.01


def test_looks_hold_values_that_repeat_to_rounding_against_counts():
    plan = plan_looks((3, 12), 0.05)
    alike = {0: 0.1 + 0.2, 1: 0.3, 2: 0.1 * 3}
    assert not judge_looks(alike, plan, low=0.0, high=1.0, seeds=3).is_decided
    # What is NaN is no value; what is infinite lies beyond every bound, as one value of twelve.
    known = {seed: 0.3 + 0.001 * seed for seed in range(12)}
    missing = judge_looks({**known, 5: math.nan}, plan, low=0.0, high=1.0, seeds=12)
    assert missing[0::5] == ("inside", 11)
    assert judge_looks({5: math.nan, 0: 0.3}, plan, low=0.0, high=1.0, seeds=12)[-1] == 1
    infinite = judge_looks({**known, 1: math.inf}, plan, low=0.0, high=1.0, seeds=12)
    assert infinite.median == pytest.approx(0.3065)
    assert (infinite.verdict, infinite.high) == ("inside", 0.311)


def test_no_law_is_fitted_to_points_at_one_place_or_to_infinity():
    for x, y in (
        ([2.0, 2.0], [1.0, 3.0]),
        ([1.0, 2.0], [1.0, math.inf]),
        ([1.0, math.inf], [1, 2]),
    ):
        with pytest.raises(ValueError, match="positive points at different x"):
            fit_power_law(x, y)
    with pytest.raises(ValueError, match="3 positive points"):
        fit_power_law([1.0, 1.0, 2.0], [1.0, 2.0, 3.0], with_offset=True)


def test_seeds_that_all_say_the_same_give_no_interval_of_a_law():
    places = [1.0, 2.0, 4.0, 8.0]
    rows = [(x, seed, 1, (1.0 + 0.1 * (x > 2)) / x) for x in places for seed in range(4)]
    points = pd.DataFrame(rows, columns=["place", "unit", "count", "value"])
    fit = fit_scaling(points, "power")
    assert fit.source == "residuals"
    varied = points.assign(value=points["value"] * (1.0 + 0.01 * points["unit"] * points["place"]))
    assert fit_scaling(varied, "power").source == "seeds"


def test_values_that_differ_by_rounding_have_no_shares_of_a_variance():
    rows = [(0, a, b, 0.3 if a else 0.1 + 0.2) for a in range(2) for b in range(2)]
    table = pd.DataFrame(rows, columns=["seed", "a", "b", "value"])
    assert variance_shares(table, "value", "a", "b").empty


def test_a_spread_of_nothing_is_not_known():
    alike = median_part("x", [2.0] * 6, low=1.0, rule="")
    assert spread_of(alike, 6) == 0.0
