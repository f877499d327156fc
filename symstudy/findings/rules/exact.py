"""A rule on values that theory gives exactly."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, final

import pandas as pd

from symstudy.findings.power import SeedTest
from symstudy.findings.rules.base import (
    AbstractSeedRule,
    Group,
    Headline,
    Need,
    Tested,
    label,
    shown,
)

__all__ = ["Exact", "Match"]


class Match(NamedTuple):
    """A column that must equal another.

    Attributes:
        value: Column that was measured.
        exact: Column with what theory gives.
        relative: Largest |value / exact - 1|; 0 for equality.
    """

    value: str
    exact: str
    relative: float = 0.0

    def holds(self, rows: pd.DataFrame) -> pd.Series:
        """Return for each run whether it agrees."""
        difference = (rows[self.value] - rows[self.exact]).abs()
        return difference <= self.relative * rows[self.exact].abs()

    @property
    def words(self) -> str:
        """The condition in words."""
        if not self.relative:
            return f"{label(self.value)} = {label(self.exact)}"
        return f"{label(self.value)} within {self.relative:g} of {label(self.exact)}"


@final
@dataclass(frozen=True)
class Exact(AbstractSeedRule):
    """Runs have exactly what theory gives: the number of a seed is the share of its runs that do.

    The share is that at the worst value of `along`.

    Attributes:
        runs: Runs that count.
        value: Column that is drawn; the first of what must match.
        matches: All that must match for a run to agree.
        along: Column at whose worst value a seed's share is taken.
        at_least: Share of the runs that must agree.
        over: Column that must have `min_places` values; none if empty.
        min_places: Fewest values of `over`.
        by: Columns whose values are judged apart.
        name: What the part is called; made from the columns if empty.
        decides: Whether the claim's verdict rests on it.
    """

    matches: tuple[Match, ...] = field(kw_only=True)
    along: str = field(kw_only=True)
    at_least: float = field(default=0.95, kw_only=True)
    over: str = field(default="", kw_only=True)
    min_places: int = field(default=1, kw_only=True)
    by: tuple[str, ...] = field(default=(), kw_only=True)
    name: str = field(default="", kw_only=True)
    decides: bool = field(default=True, kw_only=True)

    @property
    def needs(self) -> tuple[Need, ...]:
        """What is compared, and the columns of groups and places."""
        compared = [column for match in self.matches for column in (match.value, match.exact)]
        over = [self.over] if self.over else []
        return (Need(self.runs, (self.value, self.along, *self.by, *over, *compared)),)

    @property
    def unit(self) -> str:
        """Of a share."""
        return f"share of a seed's runs, at the worst {label(self.along)}"

    @property
    def rule(self) -> str:
        """What must hold."""
        return f"at least {self.at_least:.0%} of runs exact at every {label(self.along)}"

    @property
    def prose(self) -> str:
        """The rule in words."""
        told = " and ".join(match.words for match in self.matches)
        over = (
            f", over at least {self.min_places} values of {label(self.over)}" if self.over else ""
        )
        called = self.name or label(self.value)
        return (
            f"{called}: a run is exact if {told} ({self.runs.words}){over}; "
            f"in the median seed {self.rule}, by a sign test at 5 %"
        )

    @property
    def tests(self) -> tuple[SeedTest, ...]:
        """Runs that break it, by themselves."""
        return (SeedTest(rule=self.rule, by_run=True),)

    def bound(self, group: Group) -> tuple[float, float]:
        """Return the least share."""
        del group
        return self.at_least, math.inf

    def title(self, group: Group, where: str) -> str:
        """Return the name, or the value with its setting."""
        told = [
            *([where] if where else []),
            *(f"{label(k)} = {shown(v)}" for k, v in group.items()),
        ]
        at = f" at {', '.join(told)}" if told else ""
        return self.name or f"{label(self.value)} as theory gives it{at}"

    def table(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Return the share of each seed's runs that agree, a column a place."""
        if rows.empty or (self.over and rows[self.over].nunique() < self.min_places):
            return pd.DataFrame()
        agrees = pd.concat([match.holds(rows) for match in self.matches], axis=1).all(axis=1)
        shares = rows.assign(agrees=agrees.astype(float))
        return shares.pivot_table(index="seed", columns=self.along, values="agrees").dropna()

    def lacking(self, table: pd.DataFrame) -> str:
        """Return nothing: any share can be judged."""
        del table
        return ""

    def numbers(self, table: pd.DataFrame) -> pd.Series:
        """Return the least share of each seed."""
        return table.min(axis=1)

    def headline(self, tested: Sequence[Tested]) -> Headline:
        """Return the least share of the groups."""
        known = [one for one in tested if one.part.effect is not None]
        worst = min(known or tested, key=lambda one: one.part.effect or 0.0).part
        return Headline(worst.effect, worst.interval, self.unit, f">= {self.at_least:g}")
