"""A rule that one run refutes, and runs that are only shown."""

import numpy as np
import pandas as pd
import pytest

from symstudy.findings import All, Bound, Every, Evidence, Shown, Verdict
from symstudy.findings.conclude import Measured, conclude
from symstudy.findings.evidence import Counted
from symstudy.findings.figures import draw_rule
from symstudy.findings.rules.base import Data

RUNS = Evidence()


def measured(rule, gains, seeds=4, **columns):
    frame = pd.DataFrame({"seed": np.arange(len(gains)) % seeds, "gained": gains, **columns})
    return Measured(rule, Data({RUNS: Counted(frame, ())}))


def test_one_run_of_many_refutes():
    rule = Every(RUNS, "gained", at_most=0)
    found = conclude(measured(rule, [0.0] * 40))
    assert (found.verdict, found.effect, found.p_value) == (Verdict.SUPPORTED, 0.0, None)
    found = conclude(measured(rule, [0.0] * 39 + [1.0]))
    assert (found.verdict, found.effect) == (Verdict.REFUTED, 1.0)


@pytest.mark.parametrize("worst", [0.4, 1.7, np.inf])
def test_the_run_farthest_outside_of_a_range_is_the_effect(worst):
    rule = Every(RUNS, "gained", at_least=0.5, at_most=1.5)
    part = conclude(measured(rule, [1.0, 0.6, 1.4, worst])).part("gained")
    assert (part.verdict, part.effect) == (Verdict.REFUTED, worst)


def test_two_seeds_test_nothing():
    part = conclude(measured(Every(RUNS, "gained", at_most=0), [0.0, 9.0], seeds=2)).part("gained")
    assert part.verdict is Verdict.UNTESTED
    assert part.note == "2 seeds, and 3 are needed"


def test_groups_are_judged_apart():
    rule = Every(RUNS, "gained", at_most=0, by=("depth",))
    found = conclude(measured(rule, [0, 0, 0, 0, 0, 1], seeds=3, depth=[2, 2, 2, 3, 3, 3]))
    assert found.part("gained at depth = 2").verdict is Verdict.SUPPORTED
    assert found.part("gained at depth = 3").verdict is Verdict.REFUTED


def test_a_rule_without_any_group_is_not_forgotten():
    other = RUNS.at("gained", 5.0)
    rule = All(Bound(RUNS, "gained", at_least=0), Bound(other, "gained", at_least=0, by=("seed",)))
    found = conclude(measured(rule, [1.0] * 8, seeds=8))
    assert [part.verdict.label for part in found.parts] == ["supported", "untested"]
    assert found.verdict is Verdict.INCONCLUSIVE


def test_shown_runs_are_read_and_judge_nothing():
    rule = All(Every(RUNS, "gained", at_most=0), Shown(RUNS, ("gamma",)))
    assert [need.columns for need in rule.needs] == [("gained",), ("gamma",)]
    assert len(conclude(measured(rule, [0.0] * 9)).parts) == 1
    assert "(2)" not in rule.prose


def test_the_figure_shows_an_infinite_value_as_missing():
    from symstudy.plots.figures import theme

    with theme():
        figure = draw_rule(measured(Every(RUNS, "gained", at_most=0), [0.0, 1.0, 2.0, np.inf]))
    assert len(figure.drawn) == 1
