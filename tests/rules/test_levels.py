"""Rules err seldom at the edge of what they claim. All kinds of values: `make test-rules`."""

import numpy as np
import pytest
from claim_edges import Places, judge_at, places_of
from edges import EDGES, RUNS
from measure_levels import KINDS, claim_rates, excess_limit, rule_rates

from symstudy.findings import All, Bound, Verdict
from symstudy.findings.evidence import Counted
from symstudy.findings.rules.base import Data

REPEATS = 100


@pytest.mark.parametrize("name", [name for name in EDGES if name != "Explained"])
def test_a_rule_errs_in_a_twentieth_at_the_edge_and_has_power_beyond(name: str) -> None:
    rates = rule_rates(name, "uneven", 8, REPEATS)
    assert rates.is_within(REPEATS)
    assert min(rates.power, rates.power_against) > 0.0


@pytest.fixture
def places() -> Places:
    """Return the parts of a claim of four bounds, on ten seeds."""
    rule = All(*(Bound(RUNS, f"x{i}", at_most=0.0) for i in range(4)))
    frame = EDGES["Bound"].true(np.zeros(10))
    frame = frame.assign(**{f"x{i}": -1.0 for i in range(4)})
    return places_of(rule.judge(Data({RUNS: Counted(frame, ())})))


@pytest.mark.parametrize("kind", ["normal", "discrete"])
def test_a_claim_of_several_parts_errs_in_a_twentieth(places: Places, kind: str) -> None:
    rates = claim_rates("four bounds", places, kind, 200)
    assert rates.is_within(200)
    assert rates.power == rates.power_against == 1.0


def test_one_part_that_fails_refutes_the_whole(places: Places) -> None:
    rng = np.random.default_rng(0)
    verdict = judge_at(places, rng, KINDS["normal"], shift=-9.0, only=2)
    assert verdict is Verdict.REFUTED


def test_a_rate_far_above_the_level_is_told() -> None:
    rates = rule_rates("Bound", "normal", 8, REPEATS)
    assert not rates._replace(refuted=0.2).is_within(REPEATS)
    assert excess_limit(2000) == pytest.approx(0.0646, abs=1e-4)
