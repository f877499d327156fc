import math

import numpy as np
import pytest
from scipy import stats

from symstudy.statistics.sequential import judge_looks, needed_hits, p_of_looks, plan_looks

COUNTS = (5, 10, 20, 40, 80)
LOOKS = (5, 10, 20, 40, 80, 160)

AT_THE_MARGIN = {
    "normal": lambda rng, count: rng.standard_normal(count),
    "skewed to the right": lambda rng, count: rng.lognormal(0.0, 1.0, count) - 1.0,
    "skewed to the left": lambda rng, count: 1.0 - rng.lognormal(0.0, 1.0, count),
    "heavy tails": lambda rng, count: rng.standard_cauchy(count),
    "counts": lambda rng, count: rng.choice([-2.0, -1.0, 1.0, 3.0], count),
    "two values": lambda rng, count: rng.choice([-1.0, 1.0], count),
}
"""Values whose median is 0, by what they are like."""


def chance_to_cross(plan, numbers):
    """Return the exact chance that values whose median is a bound decide at one side of it."""
    return crossing(numbers, needed_hits(numbers, plan.spent[: len(numbers)]))


def crossing(numbers, needed):
    """Return the chance that of so many fair coins at each look as many as needed are heads."""
    alive, before, crossed = {0: 1.0}, 0, 0.0
    for number, hits in zip(numbers, needed, strict=True):
        chances: dict[int, float] = {}
        for at, chance in alive.items():
            for more in range(number - before + 1):
                part = chance * math.comb(number - before, more) * 0.5 ** (number - before)
                chances[at + more] = chances.get(at + more, 0.0) + part
        crossed += sum(chance for at, chance in chances.items() if at >= hits)
        alive = {at: chance for at, chance in chances.items() if at < hits}
        before = number
    return crossed


@pytest.mark.parametrize("counts", [COUNTS, (3, 5, 10), (6, 9, 12, 15, 18, 21)])
@pytest.mark.parametrize("alpha", [0.5, 0.05, 0.05 / 12])
def test_all_looks_together_err_as_seldom_as_they_should(counts, alpha):
    plan = plan_looks(counts, alpha)
    assert chance_to_cross(plan, counts) <= alpha / 2 * (1 + 1e-9)
    # So they do where some units have no value.
    assert chance_to_cross(plan, tuple(count // 2 for count in counts)) <= alpha / 2 * (1 + 1e-9)


def test_little_is_given_away_where_looks_have_seeds_to_decide():
    assert chance_to_cross(plan_looks((20, 40, 80), 0.05), (20, 40, 80)) > 0.6 * 0.025


@pytest.mark.parametrize("alpha", [0.5, 0.05, 0.05 / 12])
def test_no_look_asks_for_a_value_more_than_its_share_of_the_error_takes(alpha):
    plan = plan_looks(LOOKS, alpha)
    needed = needed_hits(LOOKS, plan.spent)
    for look, count in enumerate(LOOKS):
        if needed[look] > count:
            continue
        first = chance_to_cross(plan, LOOKS[:look]) if look else 0.0
        fewer = (*needed[:look], needed[look] - 1)
        share = (plan.spent[look] - (plan.spent[look - 1] if look else 0.0)) / 2
        assert crossing(LOOKS[: look + 1], fewer) - first > share


def test_a_mirrored_claim_on_mirrored_values_is_judged_alike():
    plan = plan_looks(LOOKS, 0.05)
    rng = np.random.default_rng(9)
    verdicts = set()
    for _ in range(200):
        seen = rng.integers(1, 9, LOOKS[-1]) / 4.0 * rng.uniform(0.2, 1.8)
        found = judge_looks(dict(enumerate(seen)), plan, low=0.7, high=1.3, seeds=160)
        other = judge_looks(dict(enumerate(-seen)), plan, low=-1.3, high=-0.7, seeds=160)
        assert (found.verdict, found.units) == (other.verdict, other.units)
        assert (found.low, found.high) == (-other.high, -other.low)
        verdicts.add(found.verdict)
    assert verdicts == {"inside", "outside", ""}


def test_a_single_look_is_an_ordinary_sign_test():
    for count, alpha in ((30, 0.05), (12, 0.01), (5, 0.2)):
        (hits,) = needed_hits((count,), plan_looks((count,), alpha).spent)
        assert stats.binom.sf(hits - 1, count, 0.5) <= alpha / 2
        assert stats.binom.sf(hits - 2, count, 0.5) > alpha / 2


def test_a_smaller_error_asks_for_as_many_or_more_at_every_look():
    before = needed_hits(LOOKS, plan_looks(LOOKS, 0.5).spent)
    for alpha in np.geomspace(0.4, 1e-9, 60):
        now = needed_hits(LOOKS, plan_looks(LOOKS, float(alpha)).spent)
        assert all(one <= other for one, other in zip(before, now, strict=True))
        before = now


def test_looking_again_and_again_at_an_ordinary_test_errs_far_too_often():
    ordinary = [int(stats.binom.isf(0.025, count, 0.5)) + 1 for count in COUNTS]
    coins = np.random.default_rng(2).integers(0, 2, (20_000, COUNTS[-1]))
    hits = [coins[:, :count].sum(1) for count in COUNTS]
    above = [found >= least for found, least in zip(hits, ordinary, strict=True)]
    assert np.any(above, axis=0).mean() > 2 * 0.025


@pytest.mark.parametrize("kind", AT_THE_MARGIN)
def test_a_median_at_the_margin_is_seldom_decided_wrongly(kind):
    plan = plan_looks(LOOKS, 0.2)
    rng = np.random.default_rng(3)
    verdicts = []
    for _ in range(400):
        values = dict(enumerate(AT_THE_MARGIN[kind](rng, LOOKS[-1])))
        verdicts.append(judge_looks(values, plan, high=0.0, seeds=LOOKS[-1]).verdict)
    # Each side has half of the error.
    for verdict in ("inside", "outside"):
        assert verdicts.count(verdict) <= 0.1 * 400 + 3 * math.sqrt(0.1 * 400)


def test_equal_values_decide_where_there_are_enough_of_them():
    plan = plan_looks((5, 10), 0.05)
    values = dict.fromkeys(range(10), 2.0)
    decision = judge_looks(values, plan, high=3.0, seeds=10)
    assert (decision.verdict, decision.units) == ("inside", 10)
    assert judge_looks(values, plan, high=3.0, seeds=5).verdict == ""


def test_a_value_at_the_end_of_the_range_is_in_it():
    plan = plan_looks((10,), 0.05)
    at_the_end = dict.fromkeys(range(10), 3.0)
    assert judge_looks(at_the_end, plan, high=3.0, seeds=10).verdict == "inside"
    assert judge_looks(at_the_end, plan, low=3.0, high=4.0, seeds=10).verdict == "inside"


def test_what_is_clear_is_decided_early_and_what_is_not_goes_on():
    plan = plan_looks(COUNTS, 0.05)
    noise = np.random.default_rng(4).normal(0, 0.1, COUNTS[-1])
    clear = judge_looks(dict(enumerate(noise)), plan, low=-1, high=1, seeds=80)
    assert (clear.verdict, clear.units) == ("inside", 10)
    outside = judge_looks(dict(enumerate(2 + noise)), plan, low=-1, high=1, seeds=80)
    assert (outside.verdict, outside.units) == ("outside", 10)
    below = judge_looks(dict(enumerate(noise - 2)), plan, low=-1, high=1, seeds=80)
    assert (below.verdict, below.units) == ("outside", 10)
    close = judge_looks(dict(enumerate(1 + noise)), plan, low=-1, high=1, seeds=80)
    assert (close.verdict, close.units) == ("", 80)
    assert close.low < 1 < close.high


def test_a_verdict_and_its_interval_agree():
    plan = plan_looks(LOOKS, 0.05 / 12)
    rng = np.random.default_rng(8)
    for _ in range(200):
        center, counts = rng.uniform(0.4, 1.6), rng.integers(1, 9, LOOKS[-1]) / 4.5
        values = dict(enumerate(center * counts))
        found = judge_looks(values, plan, low=0.75, high=1.25, seeds=160)
        inside = found.low >= 0.75 and found.high <= 1.25
        outside = found.low > 1.25 or found.high < 0.75
        assert found.verdict == ("inside" if inside else "outside" if outside else "")
        assert found.low <= found.median <= found.high


def test_a_look_that_has_not_happened_decides_nothing():
    plan = plan_looks(COUNTS, 0.05)
    decision = judge_looks({0: 0.0, 1: 0.1}, plan, high=1.0, seeds=4)
    assert (decision.verdict, decision.units) == ("", 0)
    assert decision.low == -math.inf


def test_units_without_a_value_count_as_not_there():
    plan = plan_looks((5, 10), 0.05)
    decision = judge_looks({0: 1.0, 1: math.nan}, plan, high=2.0, seeds=10)
    assert (decision.verdict, decision.values, decision.high) == ("", 1, math.inf)
    assert math.isnan(judge_looks({}, plan, high=2.0, seeds=10).median)


@pytest.mark.parametrize("counts", [(), (5, 5), (10, 5), (0, 5)])
def test_looks_have_to_grow(counts):
    with pytest.raises(ValueError, match="`counts` must be growing"):
        plan_looks(counts, 0.05)


def test_the_error_has_to_be_a_share():
    with pytest.raises(ValueError, match="`alpha` must be above 0 and below 1"):
        plan_looks((5, 10), 1.0)


def test_infinite_values_lie_beyond_every_bound():
    plan = plan_looks((10, 20), 0.05)
    values = dict.fromkeys(range(20), math.inf)
    assert judge_looks(values, plan, high=3.0, seeds=20).verdict == "outside"
    assert judge_looks(values, plan, low=3.0, seeds=20).verdict == "inside"


@pytest.mark.parametrize("kind", ["normal", "skewed to the left", "two values"])
def test_a_p_value_of_looks_is_seldom_small_at_the_margin(kind):
    plan = plan_looks((5, 10, 20, 40), 0.2)
    rng = np.random.default_rng(5)
    found = []
    for _ in range(400):
        values = dict(enumerate(AT_THE_MARGIN[kind](rng, 40)))
        # Units are added until a look at the plan's own error decides, and no longer.
        taken = judge_looks(values, plan, high=0.0, seeds=40).units
        found.append(p_of_looks({k: values[k] for k in range(taken)}, plan, high=0.0, seeds=taken))
    known = np.array([1.0 if p is None else p for p in found])
    for level in (0.02, 0.05, 0.1, 0.2):
        expected = level * len(known)
        assert (known <= level).sum() <= expected + 3 * math.sqrt(expected)
    assert np.mean(known <= 0.2) > 0.05


def test_a_p_value_of_looks_is_there_where_they_decide_and_falls_with_the_distance():
    plan = plan_looks(COUNTS, 0.05)
    noise = np.random.default_rng(6).normal(0, 0.1, COUNTS[-1])
    assert p_of_looks(dict(enumerate(1 + noise)), plan, low=-1, high=1, seeds=80) is None
    near, far = (
        p_of_looks(dict(enumerate(at + noise)), plan, low=-1, high=1, seeds=80) or math.nan
        for at in (1.06, 2.0)
    )
    assert far < near <= 0.05
    # Of one look it is the p-value of its sign test, to a quarter.
    for count in range(6, 25):
        alike = dict.fromkeys(range(count), 2.0)
        plan = plan_looks((count,), 0.05)
        found = p_of_looks(alike, plan, high=1.0, seeds=count) or math.nan
        assert 2 * 2.0**-count <= found * (1 + 1e-9) <= 1.25 * 2 * 2.0**-count * (1 + 1e-9)
