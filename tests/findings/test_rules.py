"""Rules on evidence made by hand: verdicts, names, levels at the edge of each hypothesis."""

import itertools

import numpy as np
import pandas as pd
import pytest

from symstudy.findings import (
    All,
    Bound,
    Evidence,
    Exact,
    Explained,
    Flat,
    Given,
    Grows,
    Match,
    Monotone,
    Needed,
    Paired,
    PowerLaw,
    Ratio,
    Reported,
    Settled,
    Verdict,
)
from symstudy.findings.conclude import Measured, conclude
from symstudy.findings.evidence import Counted
from symstudy.findings.rules.base import Data
from symstudy.testing.nulls import NOISES

RUNS = Evidence()
PLACES = np.array([8.0, 16.0, 32.0])
NULLS = 200


def finding(rule, frame):
    return conclude(Measured(rule, Data({RUNS: Counted(frame, ())})))


def sweep(values):
    """Return runs with the values of a table: a row a seed, a column a place."""
    table = pd.DataFrame(values, columns=PLACES)
    return table.melt(ignore_index=False, var_name="width", value_name="rank").reset_index(
        names="seed"
    )


def powers(slopes):
    return sweep(5.0 * PLACES ** np.asarray(slopes)[:, None])


def rising(is_rising):
    return sweep([[1, 2, 3] if yes else [2, 1, 3] for yes in is_rising])


def levels(values):
    return pd.DataFrame({"seed": range(len(values)), "loss": values})


def pairs(differences):
    first = pd.DataFrame({"seed": range(len(differences)), "loss": 1.0, "optimizer": "sgd"})
    second = first.assign(loss=1.0 + np.asarray(differences), optimizer="adam")
    return pd.concat([first, second])


def matching(agrees):
    rows = itertools.product(range(len(agrees)), [0.1, 0.2])
    frame = pd.DataFrame(rows, columns=["seed", "gamma"])
    return frame.assign(count=[3 if agrees[s] else 4 for s in frame["seed"]], exact=3)


def tables(shares):
    """Return 2 x 2 tables in which the width explains a share of the variance of ln loss."""
    rows = itertools.product(range(len(shares)), [-1, 1], [-1, 1])
    frame = pd.DataFrame(rows, columns=["seed", "width", "depth"])
    share = np.clip(shares, 0.0, 1.0)[frame["seed"]]
    logs = np.sqrt(share) * frame["width"] + np.sqrt(1.0 - share) * frame["depth"]
    return frame.assign(loss=np.exp(logs))


FLAT = Flat(RUNS, "rank", along="width", within=0.1)
GROWS = Grows(RUNS, "rank", along="width", at_least=0.5)
RATIO = Ratio(RUNS, "rank", along="width", within=0.1)
LAW = PowerLaw(RUNS, "rank", along="width", exponent=-1.0, within=0.07, min_places=3)
MONOTONE = Monotone(RUNS, "rank", along="width")
EXACT = Exact(RUNS, "count", matches=(Match("count", "exact"),), along="gamma")
BOUND = Bound(RUNS, "loss", at_most=1.0)
PAIRED = Paired(RUNS, "loss", between="optimizer", first="sgd", second="adam", at_least=0.2)
EXPLAINED = Explained(RUNS, "loss", along="width", beside="depth", at_least=0.8)

TRUE_AND_FALSE = [
    (FLAT, powers(np.zeros(6)), powers(np.full(6, 0.5))),
    (GROWS, powers(np.full(6, 0.9)), powers(np.full(6, 0.2))),
    (RATIO, powers(np.full(8, 0.01)), powers(np.full(8, 0.5))),
    (LAW, powers(np.full(6, -1.02)), powers(np.full(6, -0.8))),
    (MONOTONE, rising([True] * 6), rising([False] * 6)),
    (EXACT, matching([True] * 6), matching([False] * 6)),
    (BOUND, levels([0.5] * 6), levels([1.5] * 6)),
    (PAIRED, pairs([0.5] * 6), pairs([0.1] * 6)),
    (EXPLAINED, tables([0.95] * 6), tables([0.4] * 6)),
]
IDS = [type(rule).__name__ for rule, _, _ in TRUE_AND_FALSE]


@pytest.mark.parametrize(("rule", "true", "false"), TRUE_AND_FALSE, ids=IDS)
def test_a_rule_supports_its_truth_and_refutes_another_without_variance(rule, true, false):
    supported, refuted = finding(rule, true), finding(rule, false)
    assert supported.verdict is Verdict.SUPPORTED
    assert refuted.verdict is Verdict.REFUTED
    for found in (supported, refuted):
        assert found.p_value is not None
        assert 0.001 < found.p_value <= 0.05


@pytest.mark.parametrize(("rule", "true", "false"), TRUE_AND_FALSE, ids=IDS)
def test_four_seeds_decide_nothing_and_say_so(rule, true, false):
    for frame in (true, false):
        few = finding(rule, frame[frame["seed"] < 4])
        assert few.verdict is Verdict.INCONCLUSIVE
        assert "no fewer than 5 can decide" in few.reason


@pytest.mark.parametrize(("rule", "true", "false"), TRUE_AND_FALSE, ids=IDS)
def test_no_runs_leave_a_rule_untested(rule, true, false):
    assert finding(rule, true.iloc[:0]).verdict is Verdict.UNTESTED


def test_a_claim_that_values_fall_is_refuted_where_they_rise_or_hardly_fall():
    falls = Monotone(RUNS, "rank", along="width", sign=-1)
    assert finding(falls, sweep([[3, 2, 1]] * 6)).verdict is Verdict.SUPPORTED
    for values in ([1, 2, 3], [2, 1, 3], [2, 3, 1]):
        assert finding(falls, sweep([values] * 6)).verdict is Verdict.REFUTED, values


AT_THE_EDGE = {
    "Flat": (FLAT, lambda noise: powers(0.1 + 0.05 * noise)),
    "Grows": (GROWS, lambda noise: powers(0.5 + 0.05 * noise)),
    "PowerLaw": (LAW, lambda noise: powers(-0.93 + 0.05 * noise)),
    "Ratio": (RATIO, lambda noise: powers((np.log(1.1) + 0.05 * noise) / np.log(4))),
    "Monotone": (MONOTONE, lambda noise: rising(noise > 0)),
    "Exact": (EXACT, lambda noise: matching(noise > 0)),
    "Bound": (BOUND, lambda noise: levels(1.0 + noise)),
    "Paired": (PAIRED, lambda noise: pairs(0.2 + noise)),
    "Explained": (EXPLAINED, lambda noise: tables(0.8 + 0.05 * noise)),
}


@pytest.mark.parametrize("noise", ["normal", "skewed up", "discrete"])
@pytest.mark.parametrize("name", AT_THE_EDGE)
def test_at_the_edge_of_its_hypothesis_a_rule_errs_in_at_most_a_twentieth(name, noise):
    rule, plant = AT_THE_EDGE[name]
    drawn = NOISES[noise](np.random.default_rng(7), (NULLS, 8))
    verdicts = [finding(rule, plant(row)).verdict for row in drawn]
    # 19 of 200 lie three standard errors above 5 %.
    assert verdicts.count(Verdict.SUPPORTED) <= 19
    assert verdicts.count(Verdict.REFUTED) <= 19


def test_any_of_eight_parts_refutes_a_true_claim_in_at_most_a_twentieth():
    rules = [Bound(RUNS, f"x{i}", at_most=0.0) for i in range(8)]
    drawn = np.random.default_rng(11).normal(size=(NULLS, 12, 8))
    frames = (pd.DataFrame(row, columns=[f"x{i}" for i in range(8)]) for row in drawn)
    verdicts = [finding(All(*rules), frame.rename_axis("seed").reset_index()).verdict
                for frame in frames]  # fmt: skip
    assert verdicts.count(Verdict.REFUTED) <= 19


def test_parts_are_found_by_name_and_reported_ones_decide_nothing():
    found = finding(All(FLAT, Reported(GROWS)), powers(np.zeros(6)))
    assert found.verdict is Verdict.SUPPORTED
    assert found.parts[1].verdict is Verdict.REFUTED
    assert found.part("rank against width") is found.parts[1]
    with pytest.raises(KeyError, match="must be one of"):
        found.part("loss")


def test_what_is_needed_and_fails_leaves_the_claim_open():
    needed = Needed(Bound(RUNS, "loss", at_least=2.0, name="other loss"))
    low, high = levels([0.5] * 8), levels([2.5] * 8)
    open_claim = finding(All(BOUND, needed), low)
    assert open_claim.verdict is Verdict.INCONCLUSIVE
    assert open_claim.part("other loss").p_value is None
    assert "leaves the claim open" in open_claim.reason
    # It hinders support alone: another part still refutes.
    assert finding(All(BOUND, needed), high).verdict is Verdict.REFUTED
    assert finding(All(needed), high).verdict is Verdict.SUPPORTED


def test_values_that_still_fall_are_no_evidence():
    rule = Settled(FLAT, "early")
    still = powers(np.zeros(6)).assign(early=10.0)
    assert finding(rule, still).verdict is Verdict.INCONCLUSIVE
    settled = still.assign(early=still["rank"])
    assert finding(rule, settled).verdict is Verdict.SUPPORTED


def test_a_rule_says_nothing_where_its_condition_is_not_shown():
    failing = Bound(RUNS, "loss", at_least=2.0, name="second loss")
    for frame in (levels([0.5] * 6), levels([1.5] * 6)):
        found = finding(Given(BOUND, failing), frame)
        assert found.verdict is Verdict.INCONCLUSIVE
        assert found.part("second loss").verdict is Verdict.REFUTED
        assert "not shown that second loss" in found.reason


def test_a_rule_under_a_condition_has_the_larger_p_value():
    condition = Bound(RUNS.where("seed < 5"), "loss", at_most=4.0)
    frame = levels([0.5] * 8)
    data = Data({RUNS: Counted(frame, ()), condition.runs: Counted(frame[:5], ())})
    found = conclude(Measured(Given(BOUND, condition), data))
    assert found.verdict is Verdict.SUPPORTED
    assert found.p_value == 2.0**-5
    refuted = finding(Given(BOUND, Bound(RUNS, "loss", at_most=4.0)), levels([1.5] * 6))
    assert refuted.verdict is Verdict.REFUTED


def test_each_group_has_its_part_and_its_exponent():
    law = PowerLaw(
        RUNS, "rank", along="width", by=("a",), exponent=lambda a: -1 / a, within=0.07, min_places=3
    )
    frame = pd.concat([powers(np.full(6, -1 / a)).assign(a=a) for a in (1.0, 2.0)])
    found = finding(law, frame)
    assert [part.rule for part in found.parts] == ["within 0.07 of -1.000", "within 0.07 of -0.500"]
    assert found.effect == pytest.approx(0.0, abs=1e-6)


def test_a_value_without_logarithm_is_told_of():
    frame = powers(np.zeros(6))
    frame.loc[frame["seed"] == 0, "rank"] = 0.0
    (part,) = finding(FLAT, frame).parts
    assert part.seeds == 5
    assert "1 of 6 seeds have no logarithm" in part.note


def test_too_few_places_are_no_sweep():
    frame = powers(np.zeros(6))
    found = finding(FLAT, frame[frame["width"] < 30])
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "2 values of width, and 3 are needed" in found.reason


def test_prose_and_tests_of_a_rule_need_no_data():
    rule = All(FLAT, GROWS, FLAT)
    assert "slope of its logarithm lies within +-0.1" in rule.prose
    assert [test.margin for test in rule.tests] == [0.1, None]


@pytest.mark.parametrize(("rule", "true", "false"), TRUE_AND_FALSE, ids=IDS)
def test_every_rule_has_a_figure(rule, true, false):
    import matplotlib.pyplot as plt

    from symstudy.findings.figures import draw_rule
    from symstudy.plots.figures import theme

    with theme():
        figure = draw_rule(Measured(rule, Data({RUNS: Counted(false, ())})))
        titles = [axis.get_title(loc="left") for axis in figure.canvas.axes]
        plt.close(figure.canvas)
    assert any("refuted" in title for title in titles)
    assert len(figure.drawn) > 0


def test_a_reported_value_that_no_run_has_takes_no_panel():
    import matplotlib.pyplot as plt

    from symstudy.findings.figures import draw_rule
    from symstudy.plots.figures import theme

    rule = All(
        Monotone(RUNS, "rank", along="width", sign=1),
        Reported(Monotone(RUNS, "spread", along="width", sign=1)),
        Reported(Monotone(RUNS, "unmeasured", along="width", sign=1)),
    )
    frame = rising([True] * 5).assign(spread=lambda runs: runs["rank"], unmeasured=np.nan)
    with theme():
        figure = draw_rule(Measured(rule, Data({RUNS: Counted(frame, ())})))
        titles = [axis.get_title(loc="left") for axis in figure.canvas.axes]
        plt.close(figure.canvas)
    assert any("spread" in title for title in titles)
    assert not any("unmeasured" in title for title in titles)
