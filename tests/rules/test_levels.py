"""Rules and claims err seldom at the edge of what they claim. All kinds: `make test-rules`."""

import numpy as np
import pytest
from claim_levels import EDGE_OF_REFUTATION, EDGE_OF_SUPPORT, FALSE, Rates, claim_rates, verdicts
from claim_planters import PLANTERS, planted_truth
from conjecture_levels import Setting, law_verdicts
from edges import EDGES, RUNS
from kept_rates import Kept, excess_limit, is_within, table, worst_of_kinds
from measure_kinds import KINDS
from pools import Pool, Tables, pool_of
from rule_levels import rule_rates, share_at_edge

from symstudy.findings import All, Bound, Every, Given, Verdict
from symstudy.findings.conclude import Measured
from symstudy.findings.discovery import load_claims
from symstudy.findings.evidence import Counted
from symstudy.findings.rules.base import AbstractRule, Data
from symstudy.project import find_project

REPEATS = 100
NOT_MEASURED = {
    "falsify_quantization",
    "learning_jumps",
    "learning_jumps_activations",
    "replicate_where_undecided",
}
"""Claims by functions of their own, which docs/design/statistics.md has a paragraph each on."""


@pytest.mark.parametrize("name", EDGES)
def test_a_rule_errs_in_a_twentieth_at_the_edge_and_has_power_beyond(name: str) -> None:
    rates = rule_rates(name, "uneven", 8, REPEATS)
    assert is_within(rates, REPEATS)
    assert min(rates.power, rates.power_against) > 0.0
    # Runs planted one study at a time, another way, say the same.
    for verdict in (Verdict.SUPPORTED, Verdict.REFUTED):
        assert share_at_edge(name, "uneven", 8, REPEATS, verdict) <= excess_limit(REPEATS)


def pooled(rule: AbstractRule, names: list[str], seeds: int = 3) -> Pool:
    """Return the pool of a rule on runs with these columns, a run a seed."""
    frame = EDGES["Bound"].true(np.zeros(seeds)).assign(**dict.fromkeys(names, -1.0))
    needed = {need.evidence.base for need in rule.needs}
    return pool_of(Measured(rule, Data({base: Counted(frame, ()) for base in needed})))


def bound(name: str) -> Bound:
    """Return the rule that a column is at most 0."""
    return Bound(RUNS, name, at_most=0.0)


@pytest.fixture
def four_bounds() -> Pool:
    """Return the parts of a claim of four bounds."""
    names = [f"x{i}" for i in range(4)]
    return pooled(All(*map(bound, names)), names)


@pytest.mark.parametrize("kind", ["normal", "discrete"])
def test_a_claim_of_several_parts_errs_in_a_twentieth(four_bounds: Pool, kind: str) -> None:
    rates = claim_rates("four bounds", four_bounds, kind, KINDS[kind], seeds=10, repeats=400)
    assert is_within(rates, 400)
    assert rates.supported > 0.0
    assert rates.power == rates.power_against == 1.0


def test_one_part_that_fails_refutes_the_whole(four_bounds: Pool) -> None:
    rng = np.random.default_rng(0)
    found = verdicts(four_bounds, FALSE, KINDS["normal"], rng, 10, 40)
    assert found == {Verdict.REFUTED: 40}


def test_refuting_by_any_part_without_correction_would_err_too_often(four_bounds: Pool) -> None:
    # The numbers that are drawn have the power to show it: what is planted is at the edge.
    rng = np.random.default_rng(1)
    tables = four_bounds.planted([rng.normal(size=4000) for _ in range(4)])
    smallest = [
        min(part.p_value or 1.0 for part in parts if part.verdict is Verdict.REFUTED)
        for parts in tables.studies(8)
        if any(part.verdict is Verdict.REFUTED for part in parts)
    ]
    assert len(smallest) / 500 > excess_limit(500)
    assert sum(p_value <= 0.05 / 4 for p_value in smallest) / 500 <= excess_limit(500)


def test_a_condition_at_its_edge_counts_as_a_part() -> None:
    rule = All(Given(bound("x"), bound("y")))
    rng = np.random.default_rng(2)
    found = verdicts(pooled(rule, ["x", "y"]), EDGE_OF_SUPPORT, KINDS["normal"], rng, 8, 400)
    assert 0 < found[Verdict.SUPPORTED] / 400 <= excess_limit(400)
    assert found[Verdict.REFUTED] < 400 / 4


def test_one_run_just_outside_is_never_supported_nor_one_inside_refuted() -> None:
    pool = pooled(All(Every(RUNS, "x", at_most=0.0)), ["x"])
    rng = np.random.default_rng(3)
    outside = verdicts(pool, EDGE_OF_SUPPORT, KINDS["normal"], rng, 5, 50)
    inside = verdicts(pool, EDGE_OF_REFUTATION, KINDS["normal"], rng, 5, 50)
    assert (outside[Verdict.REFUTED], inside[Verdict.SUPPORTED]) == (50, 50)


def test_every_claim_by_rules_is_measured(request: pytest.FixtureRequest) -> None:
    claims = {path.stem for path in request.config.rootpath.glob("analysis/claims/[!_]*.py")}
    assert claims == set(PLANTERS) | NOT_MEASURED


@pytest.mark.parametrize("name", ["restoration_by_decay", "vision_transformers"])
def test_studies_in_memory_are_judged_as_those_of_parquet(name: str, request) -> None:  # type: ignore[no-untyped-def]
    claim = load_claims(find_project(request.config.rootpath))[name]
    store, seeds = planted_truth(claim)
    measured = claim.measure(store)
    pool = pool_of(measured)
    data = Data({base: Counted(measured.data.loaded[base].frame, ()) for base in pool.frames})
    tables = Tables(pool.rule, pool.slots, data, seeds)
    (parts,) = tables.studies(seeds)
    written = [part for part in claim.judge(measured).parts if part.decides]
    for part, other in zip(parts, written, strict=True):
        assert (part.verdict, part.effect, part.p_value, part.seeds) == (
            other.verdict, other.effect, other.p_value, other.seeds,
        )  # fmt: skip


def test_measured_rates_are_kept_and_measured_again_where_the_rule_has_changed(tmp_path) -> None:  # type: ignore[no-untyped-def]
    calls = []

    def measure() -> Rates:
        calls.append(1)
        return Rates("Bound", "normal", 5, 0.03, 0.04, 1.0, 0.9)

    path = tmp_path / "rates" / "Bound.json"
    first = Kept(path, "one").rates("normal", 5, measure)
    assert Kept(path, "one").rates("normal", 5, measure) == first
    assert len(calls) == 1
    Kept(path, "two").rates("normal", 5, measure)
    assert len(calls) == 2


def test_a_rate_far_above_the_level_is_told() -> None:
    rates = Rates("Bound", "normal", 8, 0.05, 0.2, 1.0, 1.0)
    assert not is_within(rates, REPEATS)
    assert "20.0 % | 100.0 % | 100.0 % **above** |" in table([rates], REPEATS)
    assert excess_limit(2000) == pytest.approx(0.0646, abs=1e-4)


def test_the_table_has_the_largest_error_and_the_least_power_of_all_kinds() -> None:
    one = Rates("Bound", "normal", 5, 0.01, 0.04, 1.0, 0.7)
    other = Rates("Bound", "discrete", 5, 0.03, 0.02, 0.9, 1.0)
    (worst,) = worst_of_kinds([one, other])
    assert worst == Rates("Bound", "worst of 2", 5, 0.03, 0.04, 0.9, 0.7)


@pytest.mark.parametrize(
    ("law", "wrong", "right"),
    [
        ("1 (c gamma)", Verdict.REFUTED, Verdict.SUPPORTED),
        ("a step down to another distance", Verdict.REFUTED, Verdict.INCONCLUSIVE),
        ("2", Verdict.SUPPORTED, Verdict.REFUTED),
        ("root that ends within the sweep", Verdict.SUPPORTED, Verdict.INCONCLUSIVE),
    ],
)
def test_laws_of_the_distance_are_told_apart(law: str, wrong: Verdict, right: Verdict) -> None:
    found = law_verdicts(law, Setting("normal", 1e-9, 10), 30)
    assert found[wrong] <= 5
    assert found[right] >= 25
