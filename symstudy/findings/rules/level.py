"""Rules on the level of a value, and on the difference of two settings of the same seed."""

import math
from abc import abstractmethod
from dataclasses import dataclass, field
from typing import Any, final

import numpy as np
import pandas as pd

from symstudy.findings.rules.base import AbstractSeedRule, Group, Need, label, shown

__all__ = ["AbstractLevelRule", "Bound", "Paired"]


@dataclass(frozen=True)
class AbstractLevelRule(AbstractSeedRule):
    """A rule on a number of each seed that has to lie in a range.

    Attributes:
        at_least: Lower end of the range.
        at_most: Upper end of the range.
        by: Columns whose values are judged apart.
        name: What the value is called; the column's name if empty.
        decides: Whether the claim's verdict rests on it.
    """

    at_least: float = field(default=-math.inf, kw_only=True)
    at_most: float = field(default=math.inf, kw_only=True)
    by: tuple[str, ...] = field(default=(), kw_only=True)
    name: str = field(default="", kw_only=True)
    decides: bool = field(default=True, kw_only=True)

    @property
    @abstractmethod
    def subject(self) -> str:
        """What is held against the range, in words."""

    @property
    def called(self) -> str:
        """What the value is called."""
        return self.name or label(self.value)

    @property
    def unit(self) -> str:
        """The value's own."""
        return self.called

    @property
    def rule(self) -> str:
        """What must hold."""
        return f"{self.subject} {self.region}"

    @property
    def region(self) -> str:
        """The range in words."""
        if math.isinf(self.at_most):
            return f"at least {self.at_least:g}"
        if math.isinf(self.at_least):
            return f"at most {self.at_most:g}"
        return f"from {self.at_least:g} to {self.at_most:g}"

    @property
    def prose(self) -> str:
        """The rule in words."""
        apart = f", for each {' and '.join(map(label, self.by))}" if self.by else ""
        return f"in the median seed {self.rule} ({self.runs.words}){apart}, by sign tests at 5 %"

    def bound(self, group: Group) -> tuple[float, float]:
        """Return the range."""
        del group
        return self.at_least, self.at_most

    def title(self, group: Group, where: str) -> str:
        """Return the subject with its setting."""
        told = [
            *([where] if where else []),
            *(f"{label(k)} = {shown(v)}" for k, v in group.items()),
        ]
        return self.subject + (f" at {', '.join(told)}" if told else "")


@final
@dataclass(frozen=True)
class Bound(AbstractLevelRule):
    """A value is at least or at most so much; of several rows of a seed it is their mean."""

    @property
    def needs(self) -> tuple[Need, ...]:
        """The value and the groups' columns."""
        return (Need(self.runs, (self.value, *self.by)),)

    @property
    def subject(self) -> str:
        """The value."""
        return self.called

    def table(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Return the mean of each seed, in one column."""
        return rows.groupby("seed")[[self.value]].mean().dropna()

    def lacking(self, table: pd.DataFrame) -> str:
        """Return nothing: any level can be judged."""
        del table
        return ""

    def numbers(self, table: pd.DataFrame) -> pd.Series:
        """Return the level of each seed."""
        return table[self.value]


@final
@dataclass(frozen=True)
class Paired(AbstractLevelRule):
    """The difference of a value between two settings of the same seed lies in a range.

    Attributes:
        between: Column that tells the settings apart.
        first: Its value in the first setting.
        second: Its value in the second; the difference is second less first.
        is_log: Whether the difference is that of logarithms, so that it is one of ratios.
    """

    between: str = field(kw_only=True)
    first: Any = field(kw_only=True)
    second: Any = field(kw_only=True)
    is_log: bool = field(default=False, kw_only=True)

    @property
    def needs(self) -> tuple[Need, ...]:
        """The value, and what tells the settings apart."""
        return (Need(self.runs, (self.value, self.between, *self.by)),)

    @property
    def subject(self) -> str:
        """The difference in words."""
        what = f"ln {self.called}" if self.is_log else self.called
        first, second = shown(self.first), shown(self.second)
        return f"{what} at {label(self.between)} {second} less that at {first}"

    def table(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Return the means of each seed in both settings; seeds that lack one are left out."""
        chosen = rows[rows[self.between].isin([self.first, self.second])]
        if chosen.empty:
            return pd.DataFrame()
        return chosen.pivot_table(index="seed", columns=self.between, values=self.value).dropna()

    def lacking(self, table: pd.DataFrame) -> str:
        """Return that one of the settings is missing, or nothing."""
        missing = [x for x in (self.first, self.second) if x not in table.columns]
        return f"no runs at {label(self.between)} {shown(missing[0])}" if missing else ""

    def numbers(self, table: pd.DataFrame) -> pd.Series:
        """Return the difference of each seed; NaN where a logarithm is not defined."""
        pair = table[[self.first, self.second]].astype(float)
        if self.is_log:
            pair = np.log(pair.where(pair > 0))
        return pair[self.second] - pair[self.first]
