"""Rules on how a value changes along one swept hyperparameter: flat, growing, monotone."""

import math
from abc import abstractmethod
from dataclasses import dataclass, field
from typing import final

import numpy as np
import pandas as pd

from symstudy.findings.rules.base import AbstractSeedRule, Group, Need, label, shown
from symstudy.statistics.correlations import rank_correlations
from symstudy.statistics.fits import seed_slopes

__all__ = ["AbstractSweepRule", "Flat", "Grows", "Monotone", "seed_table", "upper_half"]

MIN_PLACES = 3


def seed_table(rows: pd.DataFrame, along: str, value: str) -> pd.DataFrame:
    """Return `value`, a row a seed and a column a place; seeds that lack a place are left out."""
    return rows.pivot_table(index="seed", columns=along, values=value).dropna()


def upper_half(rows: pd.DataFrame, along: str) -> pd.DataFrame:
    """Return the rows at the larger half of the places, at three of them at least."""
    places = sorted(rows[along].unique().tolist())
    return rows[rows[along].isin(places[-max(MIN_PLACES, (len(places) + 1) // 2) :])]


@dataclass(frozen=True)
class AbstractSweepRule(AbstractSeedRule):
    """A rule on one value along one swept column.

    Attributes:
        along: Swept column.
        by: Columns whose values are judged apart.
        name: What the value is called; the column's name if empty.
        decides: Whether the claim's verdict rests on it.
        min_places: Fewest places that can be judged.
    """

    along: str = field(kw_only=True)
    by: tuple[str, ...] = field(default=(), kw_only=True)
    name: str = field(default="", kw_only=True)
    decides: bool = field(default=True, kw_only=True)
    min_places: int = field(default=MIN_PLACES, kw_only=True)

    @property
    @abstractmethod
    def is_upper_half(self) -> bool:
        """Whether the larger half of the places is tested, or all of them."""

    @property
    def needs(self) -> tuple[Need, ...]:
        """The value, the swept column and the groups' columns."""
        return (Need(self.runs, (self.value, self.along, *self.by)),)

    @property
    def called(self) -> str:
        """What the value is called."""
        return self.name or label(self.value)

    @property
    def region(self) -> str:
        """Which places are tested, in words."""
        half = f"the upper half of {label(self.along)} (at least {self.min_places})"
        every = f"all values of {label(self.along)} (at least {self.min_places})"
        apart = f", for each {' and '.join(map(label, self.by))}" if self.by else ""
        return (half if self.is_upper_half else every) + apart

    def title(self, group: Group, where: str) -> str:
        """Return value, swept column and setting."""
        told = [
            *([where] if where else []),
            *(f"{label(k)} = {shown(v)}" for k, v in group.items()),
        ]
        setting = f" at {', '.join(told)}" if told else ""
        return f"{self.called} against {label(self.along)}{setting}"

    def table(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Return the value at the places that are tested."""
        if rows.empty:
            return pd.DataFrame()
        chosen = upper_half(rows, self.along) if self.is_upper_half else rows
        return seed_table(chosen, self.along, self.value)

    def lacking(self, table: pd.DataFrame) -> str:
        """Return that places are missing, or nothing."""
        places = table.shape[1]
        if places >= self.min_places:
            return ""
        return f"{places} values of {label(self.along)}, and {self.min_places} are needed"


@final
@dataclass(frozen=True)
class Flat(AbstractSweepRule):
    """The slope of ln value against ln of the swept column is near 0: equivalence.

    Attributes:
        within: Largest |slope| that is called flat.
        is_upper_half: Whether the larger half of the places is tested, or all of them.
    """

    within: float = field(kw_only=True)
    is_upper_half: bool = field(default=True, kw_only=True)

    @property
    def unit(self) -> str:
        """The slope's."""
        return f"d ln / d ln {label(self.along)}"

    @property
    def rule(self) -> str:
        """What must hold."""
        return f"slope within +-{self.within:g}"

    @property
    def prose(self) -> str:
        """The rule in words."""
        return (
            f"{self.called} is flat in {label(self.along)} ({self.runs.words}): over {self.region} "
            f"the median over seeds of the slope of its logarithm lies within +-{self.within:g}, "
            "by two one-sided sign tests at 5 %"
        )

    def bound(self, group: Group) -> tuple[float, float]:
        """Return both ends of the margin."""
        del group
        return -self.within, self.within

    def numbers(self, table: pd.DataFrame) -> pd.Series:
        """Return the slope of each seed."""
        return slopes(table)


@final
@dataclass(frozen=True)
class Grows(AbstractSweepRule):
    """The slope of ln value against ln of the swept column is large.

    Attributes:
        at_least: Smallest slope that is claimed.
        is_upper_half: Whether the larger half of the places is tested, or all of them.
    """

    at_least: float = field(kw_only=True)
    is_upper_half: bool = field(default=True, kw_only=True)

    @property
    def unit(self) -> str:
        """The slope's."""
        return f"d ln / d ln {label(self.along)}"

    @property
    def rule(self) -> str:
        """What must hold."""
        return f"slope at least {self.at_least:g}"

    @property
    def prose(self) -> str:
        """The rule in words."""
        return (
            f"{self.called} grows with {label(self.along)} ({self.runs.words}): over {self.region} "
            f"the median over seeds of the slope of its logarithm is at least {self.at_least:g}, "
            "by a sign test at 5 %"
        )

    def bound(self, group: Group) -> tuple[float, float]:
        """Return the least slope."""
        del group
        return self.at_least, math.inf

    def numbers(self, table: pd.DataFrame) -> pd.Series:
        """Return the slope of each seed."""
        return slopes(table)


@final
@dataclass(frozen=True)
class Monotone(AbstractSweepRule):
    """A seed's values go one way along the sweep: Spearman's correlation reaches a bound.

    The correlation is that of one seed, so that seeds are the units; values that do not change
    along the sweep have a correlation of 0.

    Attributes:
        sign: 1 where values are claimed to grow with the place, -1 where to fall.
        at_least: Correlation in the claimed direction that the median seed must reach.
        is_upper_half: Whether the larger half of the places is tested, or all of them.
    """

    sign: int = field(default=1, kw_only=True)
    at_least: float = field(default=0.9, kw_only=True)
    is_upper_half: bool = field(default=False, kw_only=True)

    @property
    def unit(self) -> str:
        """Of a correlation."""
        return "Spearman's correlation"

    @property
    def rule(self) -> str:
        """What must hold."""
        side = "at least" if self.sign > 0 else "at most"
        return f"Spearman's correlation {side} {self.sign * self.at_least:g}"

    @property
    def prose(self) -> str:
        """The rule in words."""
        way = "grows" if self.sign > 0 else "falls"
        return (
            f"{self.called} {way} with {label(self.along)} ({self.runs.words}): over {self.region} "
            f"the median over seeds of each seed's {self.rule}, by a sign test at 5 %"
        )

    def bound(self, group: Group) -> tuple[float, float]:
        """Return the correlations that are claimed; round-off does not count."""
        del group
        least = self.at_least - 1e-9
        return (least, math.inf) if self.sign > 0 else (-math.inf, -least)

    def numbers(self, table: pd.DataFrame) -> pd.Series:
        """Return the correlation of each seed."""
        places = table.columns.to_numpy(float)
        return pd.Series(rank_correlations(places, table.to_numpy(float)), table.index)


def slopes(table: pd.DataFrame) -> pd.Series:
    """Return the slope of each seed in logarithms; NaN where a value is not positive."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return pd.Series(seed_slopes(table), table.index)
