"""What the tests of a claim can find, in standard deviations and in the units of results."""

import numpy as np
import pytest

from symstudy.findings import Finding, Part, SeedTest, Verdict
from symstudy.findings.power import power_of
from symstudy.statistics.intervals import student_interval
from symstudy.statistics.power import (
    detectable_effect,
    detectable_share,
    reachable_margin,
    seeds_needed,
    sign_margin,
)

FLAT = SeedTest(rule="slope within +-0.1", level=0.9, margin=0.1, unit="slope")


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


def test_a_part_is_found_by_the_name_of_its_test_and_tells_its_spread():
    test = SeedTest(rule="exponent", margin=0.07, method="sign")
    part = Part(
        name="a = 1", verdict=Verdict.SUPPORTED, rule="within 0.07 of -1", test="exponent",
        spread=0.05, seeds=8,
    )  # fmt: skip
    whole = Finding(verdict=Verdict.SUPPORTED, reason="", seeds=8, parts=(part,))
    (row,) = power_of("law", (test,), 8, finding=whole)
    assert (row.sd, row.in_sd) == (0.05, sign_margin(8))
