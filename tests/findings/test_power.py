"""What a number of seeds can show, held against published numbers and simulated seeds."""

import math

import numpy as np
import pytest
from scipy import stats

from symstudy.findings.finding import Finding, Interval, Part, Verdict
from symstudy.findings.power import (
    SeedTest,
    detectable_effect,
    detectable_share,
    power_of,
    reachable_margin,
    seeds_needed,
    spread_between_seeds,
)
from symstudy.findings.statistics import bootstrap, student_interval

DRAWS = 20_000
FLAT = SeedTest(rule="slope within +-0.1", level=0.9, margin=0.1, unit="slope")


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


def finding(*spreads):
    """Return a finding with a part a spread: the interval of five seeds."""
    parts = tuple(
        Part(
            name=f"part {i}",
            verdict=Verdict.SUPPORTED,
            rule="slope within +-0.1",
            effect=0.0,
            interval=student_interval(spread * np.array([-1.0, -1.0, 0.0, 1.0, 1.0]), 0.9),
        )
        for i, spread in enumerate(spreads)
    )
    return Finding(verdict=Verdict.SUPPORTED, reason="", seeds=5, parts=parts)


def test_without_results_effects_are_in_spreads_alone():
    (row,) = power_of("flat", (FLAT,), 5)
    assert (row.kind, row.in_sd) == ("margin", reachable_margin(5))
    assert (row.sd, row.effect, row.needed, row.is_enough) == (None, None, None, None)


def test_with_results_the_part_that_spreads_most_tells_the_seeds():
    (row,) = power_of("flat", (FLAT,), 5, finding=finding(0.02, 0.09))
    assert row.sd == pytest.approx(0.09)
    assert row.effect == pytest.approx(0.09 * reachable_margin(5))
    assert row.is_enough is False
    assert row.needed is not None
    assert row.needed == seeds_needed(0.1 / 0.09)
    (fine,) = power_of("flat", (FLAT,), row.needed, finding=finding(0.02, 0.09))
    assert fine.is_enough is True


def test_rules_with_numbers_from_the_data_are_patterns():
    part = SeedTest(rule="slope within *", margin=1.0)
    other = SeedTest(rule="share at least *")
    rows = power_of("x", (part, other), 5, finding=finding(0.1))
    assert [row.sd is not None for row in rows] == [True, False]


def test_runs_that_decide_by_themselves_have_a_share():
    (row,) = power_of("trap", (SeedTest(rule="no run", by_run=True),), 5)
    assert (row.kind, row.in_sd, row.effect) == ("run", None, detectable_share(5))


def test_a_claim_that_declares_nothing_is_taken_to_hold_a_mean_against_a_bound():
    (row,) = power_of("mine", (), 5)
    assert row.is_assumed
    assert (row.kind, row.level, row.in_sd) == ("bound", 0.95, detectable_effect(5))


def test_a_finding_without_parts_tells_its_own_spread():
    whole = Finding(
        verdict=Verdict.SUPPORTED, reason="", seeds=5, interval=student_interval([1, 2, 3, 4, 5])
    )
    (row,) = power_of("mine", (), 20, finding=whole)
    assert row.sd == pytest.approx(np.std([1, 2, 3, 4, 5], ddof=1))


def test_one_seed_finds_nothing():
    (row,) = power_of("flat", (FLAT,), 1, finding=finding(0.02))
    assert (row.in_sd, row.effect, row.is_enough) == (None, None, None)
