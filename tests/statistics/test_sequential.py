import math

import numpy as np
import pytest
from scipy import stats
from scipy.special import ndtri, stdtrit

from symstudy.statistics.sequential import judge_looks, p_of_looks, plan_looks

COUNTS = (5, 10, 20, 40, 80)


def share_missed(levels, counts, draws):
    """Return how often the interval of at least one look leaves out the true mean, 0."""
    missed = np.zeros(len(draws), bool)
    for count, level in zip(counts, levels, strict=True):
        seen = draws[:, :count]
        margin = stdtrit(count - 1, 1 - level / 2) * seen.std(axis=1, ddof=1) / math.sqrt(count)
        missed |= np.abs(seen.mean(axis=1)) > margin
    return missed.mean()


def test_boundaries_are_the_published_ones():
    # Lan and DeMets 1983 with Pocock's spending, five equal looks at 5 %.
    plan = plan_looks((20, 40, 60, 80, 100), 0.05)
    boundaries = -ndtri(np.array(plan.levels) / 2)
    assert boundaries == pytest.approx([2.438, 2.427, 2.410, 2.397, 2.386], abs=2e-3)


def test_a_single_look_is_an_ordinary_interval():
    assert plan_looks((30,), 0.05).levels == pytest.approx((0.05,), abs=1e-10)


@pytest.mark.parametrize("counts", [COUNTS, (5, 10, 20, 40), (6, 9, 12, 15, 18, 21)])
@pytest.mark.parametrize("alpha", [0.05, 0.05 / 12])
def test_all_looks_together_miss_the_mean_as_seldom_as_they_should(counts, alpha):
    draws = np.random.default_rng(1).standard_normal((20_000, counts[-1]))
    error = share_missed(plan_looks(counts, alpha).levels, counts, draws)
    assert error <= alpha + 3 * math.sqrt(alpha * (1 - alpha) / len(draws))
    # Nothing is given away either.
    assert error >= 0.8 * alpha - 3 * math.sqrt(alpha / len(draws))


def test_looking_again_and_again_at_an_ordinary_interval_misses_far_too_often():
    draws = np.random.default_rng(2).standard_normal((20_000, COUNTS[-1]))
    assert share_missed([0.05] * 5, COUNTS, draws) > 0.15
    assert share_missed([0.05], COUNTS[-1:], draws) == pytest.approx(0.05, abs=0.006)


def test_a_mean_at_the_margin_is_seldom_decided_wrongly():
    plan = plan_looks(COUNTS, 0.05)
    rng = np.random.default_rng(3)
    verdicts = []
    for _ in range(400):
        values = dict(enumerate(rng.normal(1.0, 0.3, COUNTS[-1])))
        verdicts.append(judge_looks(values, plan, high=1.0, seeds=COUNTS[-1]).verdict)
    # Each side has half of the error.
    assert verdicts.count("inside") <= 0.025 * 400 + 3 * math.sqrt(0.025 * 400)
    assert verdicts.count("outside") <= 0.025 * 400 + 3 * math.sqrt(0.025 * 400)


def test_counts_of_two_or_four_are_seldom_decided_at_the_margin():
    # The mean is 3. By the interval alone, which is a point where all counts seen are equal, far
    # more of such series are called inside and outside.
    plan = plan_looks((5, 10, 20, 40, 80, 160), 0.05)
    rng = np.random.default_rng(9)
    verdicts = []
    for _ in range(2000):
        counts = rng.choice([2.0, 4.0], 160)
        verdicts.append(judge_looks(dict(enumerate(counts)), plan, high=3.0, seeds=160).verdict)
    for verdict in ("inside", "outside"):
        assert verdicts.count(verdict) <= 0.025 * 2000 + 3 * math.sqrt(0.025 * 2000)


def test_equal_counts_decide_where_there_are_enough_of_them():
    plan = plan_looks((5, 10), 0.05)
    values = dict.fromkeys(range(10), 2.0)
    decision = judge_looks(values, plan, high=3.0, seeds=10)
    assert (decision.verdict, decision.units) == ("inside", 10)


def test_what_is_clear_is_decided_early_and_what_is_not_goes_on():
    plan = plan_looks(COUNTS, 0.05)
    noise = np.random.default_rng(4).normal(0, 0.1, COUNTS[-1])
    clear = judge_looks(dict(enumerate(noise)), plan, low=-1, high=1, seeds=80)
    assert (clear.verdict, clear.units) == ("inside", 5)
    outside = judge_looks(dict(enumerate(2 + noise)), plan, low=-1, high=1, seeds=80)
    assert (outside.verdict, outside.units) == ("outside", 5)
    close = judge_looks(dict(enumerate(1 + noise)), plan, low=-1, high=1, seeds=80)
    assert (close.verdict, close.units) == ("", 80)


def test_a_look_that_has_not_happened_decides_nothing():
    plan = plan_looks(COUNTS, 0.05)
    decision = judge_looks({0: 0.0, 1: 0.1}, plan, high=1.0, seeds=4)
    assert (decision.verdict, decision.units) == ("", 0)
    assert decision.low == -math.inf


def test_units_without_a_value_count_as_not_there():
    plan = plan_looks((5, 10), 0.05)
    decision = judge_looks({0: 1.0}, plan, high=2.0, seeds=10)
    assert (decision.verdict, decision.values, decision.high) == ("", 1, math.inf)
    assert math.isnan(judge_looks({}, plan, high=2.0, seeds=10).mean)


@pytest.mark.parametrize("counts", [(), (5, 5), (10, 5), (0, 5)])
def test_looks_have_to_grow(counts):
    with pytest.raises(ValueError, match="`counts` must be growing"):
        plan_looks(counts, 0.05)


def test_the_error_has_to_be_a_share():
    with pytest.raises(ValueError, match="`alpha` must be above 0 and below 1"):
        plan_looks((5, 10), 1.0)


def test_a_p_value_of_looks_is_seldom_small_at_the_margin():
    plan = plan_looks((5, 10, 20, 40), 0.2)
    rng = np.random.default_rng(5)
    found = []
    for _ in range(600):
        values = dict(enumerate(rng.normal(1.0, 0.3, 40)))
        # Units are added until a look at the plan's own error decides, and no longer.
        taken = judge_looks(values, plan, high=1.0, seeds=40).units
        found.append(p_of_looks({k: values[k] for k in range(taken)}, plan, high=1.0, seeds=taken))
    known = np.array([1.0 if p is None else p for p in found])
    for level in (0.02, 0.05, 0.1, 0.2):
        expected = level * len(known)
        assert (known <= level).sum() <= expected + 3 * math.sqrt(expected)
    assert np.mean(known <= 0.2) > 0.1


def test_a_p_value_of_looks_is_there_where_they_decide_and_falls_with_the_distance():
    plan = plan_looks(COUNTS, 0.05)
    noise = np.random.default_rng(6).normal(0, 0.1, COUNTS[-1])
    assert p_of_looks(dict(enumerate(1 + noise)), plan, low=-1, high=1, seeds=80) is None
    near, far, inside = (
        p_of_looks(dict(enumerate(at + noise)), plan, low=-1, high=1, seeds=80) or math.nan
        for at in (1.05, 2.0, 0.0)
    )
    assert far < near <= 0.05
    assert inside < 1e-3
    # Of one look it is the p-value of its t test, to a quarter.
    few = dict(enumerate(1.1 + noise[:20]))
    values = np.array(list(few.values()))
    exact = stats.ttest_1samp(values, 1.0).pvalue
    found = p_of_looks(few, plan_looks((20,), 0.05), high=1.0, seeds=20) or math.nan
    assert exact <= found <= 1.25 * exact
