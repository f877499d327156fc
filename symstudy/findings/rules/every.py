"""A rule on each run by itself: what a single counterexample refutes."""

from dataclasses import dataclass, field
from typing import final

import pandas as pd

from symstudy.findings.power import SeedTest
from symstudy.findings.rules.base import Group, Need, Tested, label
from symstudy.findings.rules.level import AbstractLevelRule
from symstudy.statistics.part import Part
from symstudy.statistics.verdict import Verdict

__all__ = ["Every"]


@final
@dataclass(frozen=True)
class Every(AbstractLevelRule):
    """A value of every run lies in a range; one run outside refutes, whatever the others say.

    For statements that theory makes without chance. There is no p-value and no interval: the number
    of a seed is that of its run farthest outside, and the effect that of all runs. A run without
    the value does not count; one that never gets there has an infinite value.

    Attributes:
        min_seeds: Fewest seeds; with fewer the part is untested.
    """

    min_seeds: int = field(default=3, kw_only=True)

    @property
    def needs(self) -> tuple[Need, ...]:
        """The value and the groups' columns."""
        return (Need(self.runs, (self.value, *self.by)),)

    @property
    def subject(self) -> str:
        """The value."""
        return self.called

    @property
    def rule(self) -> str:
        """What must hold."""
        return f"{self.subject} {self.region} in every run"

    @property
    def prose(self) -> str:
        """The rule in words."""
        apart = f", for each {' and '.join(map(label, self.by))}" if self.by else ""
        return (
            f"{self.rule} ({self.runs.words}){apart}, over at least {self.min_seeds} seeds; one "
            "run outside refutes"
        )

    @property
    def tests(self) -> tuple[SeedTest, ...]:
        """Runs that break it, by themselves."""
        return (SeedTest(rule=self.rule, by_run=True),)

    def table(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Return for each seed the value that is farthest outside, or nearest to an end."""
        known = rows.dropna(subset=[self.value])
        if known.empty:
            return pd.DataFrame(columns=[self.value])
        beyond = self.distance(known[self.value])
        chosen = known.loc[beyond.groupby(known["seed"]).idxmax()]
        return chosen.set_index("seed")[[self.value]]

    def distance(self, values: pd.Series) -> pd.Series:
        """Return how far values lie outside the range; negative inside."""
        return pd.concat([values - self.at_most, self.at_least - values], axis=1).max(axis=1)

    def lacking(self, table: pd.DataFrame) -> str:
        """Return that seeds are missing, or nothing."""
        seeds = len(table)
        few = f"{seeds} seeds, and {self.min_seeds} are needed" if seeds else "too few runs"
        return few if seeds < self.min_seeds else ""

    def numbers(self, table: pd.DataFrame) -> pd.Series:
        """Return the value of each seed."""
        return table[self.value].astype(float)

    def judge_table(self, group: Group, table: pd.DataFrame, where: str) -> Tested:
        """Return the part on one group: the worst run decides."""
        lacking = self.lacking(table)
        worst, verdict = None, Verdict.UNTESTED
        if not lacking:
            farthest = self.distance(self.numbers(table))
            worst = float(self.numbers(table)[farthest.idxmax()])
            verdict = Verdict.SUPPORTED if farthest.max() <= 0 else Verdict.REFUTED
        part = Part(
            name=self.title(group, where),
            verdict=verdict,
            rule=self.rule,
            effect=worst,
            unit=f"{self.unit}, the worst run",
            decides=self.decides,
            seeds=len(table),
            test=self.rule,
            note=lacking,
        )
        return Tested(part, self, table, self.numbers(table), group, self.bound(group))
