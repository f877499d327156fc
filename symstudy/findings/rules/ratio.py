"""A rule on any two places of a sweep: their ratio is near 1."""

import itertools
import math
from dataclasses import dataclass, field
from typing import final

import numpy as np
import pandas as pd

from symstudy.findings.rules.base import Group, Tested, seed_note
from symstudy.findings.rules.sweep import AbstractSweepRule
from symstudy.statistics.intervals import Interval, finite
from symstudy.statistics.part import Part
from symstudy.statistics.tests import Decided, decide_median
from symstudy.statistics.verdict import Verdict

__all__ = ["Ratio"]


@final
@dataclass(frozen=True)
class Ratio(AbstractSweepRule):
    """The ratio of the values at any two places is near 1: equivalence of all pairs.

    Attributes:
        within: Largest |ratio - 1| that is called alike, of the larger over the smaller.
        is_upper_half: Whether the larger half of the places is tested, or all of them.
    """

    within: float = field(kw_only=True)
    is_upper_half: bool = field(default=True, kw_only=True)

    @property
    def unit(self) -> str:
        """Of the effect."""
        return "largest ratio of two places - 1"

    @property
    def rule(self) -> str:
        """What must hold."""
        return f"ratio of any two places within 1 +- {self.within:g}"

    @property
    def prose(self) -> str:
        """The rule in words."""
        return (
            f"{self.called} is alike at any two places ({self.runs.words}): over {self.region} the "
            f"median over seeds of the ratio of each pair lies within 1 +- {self.within:g}, by two "
            "one-sided sign tests at 5 %; refuted where one pair does not, corrected for the pairs"
        )

    def bound(self, group: Group) -> tuple[float, float]:
        """Return the range of the logarithm of a ratio."""
        del group
        return -math.log1p(self.within), math.log1p(self.within)

    def numbers(self, table: pd.DataFrame) -> pd.Series:
        """Return the logarithm of the ratio of each seed for the pair that differs most."""
        pairs = log_ratios(table)
        medians = {pair: abs(float(np.median(values))) for pair, values in pairs.items()}
        worst = pairs[max(medians, key=medians.__getitem__)]
        return worst if float(worst.median()) >= 0 else -worst

    def judge_table(self, group: Group, table: pd.DataFrame, where: str) -> Tested:
        """Return the part on all pairs: all must be alike, one unlike pair refutes."""
        tested = AbstractSweepRule.judge_table(self, group, table, where)
        if tested.part.effect is None:
            return tested
        pairs = log_ratios(tested.table)
        low, high = tested.bound
        decided = [decide_median(x, low, high, comparisons=len(pairs)) for x in pairs.values()]
        worst = decide_median(tested.numbers, low, high)
        verdict, p_value = all_alike(decided)
        seeds = len(finite(tested.numbers))
        part = Part(
            name=tested.part.name,
            verdict=verdict,
            rule=tested.part.rule,
            effect=math.expm1(worst.effect),
            interval=as_ratio(worst.interval),
            unit=self.unit,
            decides=self.decides,
            p_value=p_value,
            seeds=seeds,
            spread=tested.part.spread,
            test=self.rule,
            note=seed_note(seeds, len(tested.numbers), verdict),
        )
        return tested._replace(part=part)


def log_ratios(table: pd.DataFrame) -> dict[tuple[float, float], pd.Series]:
    """Return ln of the ratio of each seed, by pair of places; NaN where one is not positive."""
    logs = np.log(table.where(table > 0))
    return {(a, b): logs[a] - logs[b] for a, b in itertools.combinations(table.columns, 2)}


def all_alike(decided: list[Decided]) -> tuple[Verdict, float | None]:
    """Return verdict and p-value of pairs of which all must be supported."""
    if all(one.verdict is Verdict.SUPPORTED for one in decided):
        return Verdict.SUPPORTED, max(one.p_value or 0.0 for one in decided)
    against = [one.p_value or 0.0 for one in decided if one.verdict is Verdict.REFUTED]
    if against:
        return Verdict.REFUTED, min(against)
    return Verdict.INCONCLUSIVE, None


def as_ratio(interval: Interval) -> Interval | None:
    """Return the interval of a ratio less 1, from that of its logarithm; None if infinite."""
    if not math.isfinite(interval.high):
        return None
    return interval._replace(low=math.expm1(interval.low), high=math.expm1(interval.high))
