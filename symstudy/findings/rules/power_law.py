"""A rule on the exponent of a power law, fitted seed by seed."""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, final

import numpy as np
import pandas as pd

from symstudy.findings.rules.base import Group, Headline, Need, Tested, label, shown
from symstudy.findings.rules.sweep import AbstractSweepRule, seed_table
from symstudy.statistics.fits import huber_line

__all__ = ["PowerLaw"]


@final
@dataclass(frozen=True)
class PowerLaw(AbstractSweepRule):
    """A value falls or grows by a power law whose exponent is given by theory.

    ln(value + shift) is fitted against ln of the swept column for each seed, with Huber's loss,
    over the places whose mean lies in the range that is fitted.

    Attributes:
        exponent: The exponent, or a function of the columns in `by` that its parameters name.
        within: Largest distance of the fitted exponent from it.
        shift: What is added to the value: a half for counts, since a count r stands for any number
            from r to r + 1.
        smallest: Smallest mean over seeds of a place that is fitted.
        largest: Column whose smallest value is the largest mean of a place that is fitted; none if
            empty.
        exact: Law that is drawn beside the data: from the values of the swept column and the rows
            of a group to the exact values.
        draws: Columns that `exact` takes from these rows.
        is_upper_half: Whether the larger half of the places is fitted, or all of them.
    """

    exponent: float | Callable[..., float] = field(kw_only=True)
    within: float = field(kw_only=True)
    shift: float = field(default=0.0, kw_only=True)
    smallest: float = field(default=0.0, kw_only=True)
    largest: str = field(default="", kw_only=True)
    exact: Callable[[Any, pd.DataFrame], Any] | None = field(
        default=None, kw_only=True, compare=False
    )
    draws: tuple[str, ...] = field(default=(), kw_only=True)
    min_places: int = field(default=6, kw_only=True)
    is_upper_half: bool = field(default=False, kw_only=True)

    @property
    def needs(self) -> tuple[Need, ...]:
        """What a sweep reads, the largest value that is fitted, and what is drawn."""
        more = (*([self.largest] if self.largest else []), *self.draws)
        return (Need(self.runs, (self.value, self.along, *self.by, *more)),)

    @property
    def unit(self) -> str:
        """The exponent's."""
        shift = f"({label(self.value)} + {self.shift:g})" if self.shift else label(self.value)
        return f"d ln {shift} / d ln {label(self.along)}"

    @property
    def rule(self) -> str:
        """What must hold, for any exponent."""
        if callable(self.exponent):
            return f"exponent within {self.within:g} of the exact one"
        return f"within {self.within:g} of {self.exponent:.3f}"

    def words(self, group: Group) -> str:
        """Return what must hold on a group, with its exponent."""
        if callable(self.exponent) and not group:
            return self.rule
        return f"within {self.within:g} of {self.exact_exponent(group):.3f}"

    @property
    def prose(self) -> str:
        """The rule in words."""
        least = f", where its mean is at least {self.smallest:g}" if self.smallest else ""
        most = f" and at most {label(self.largest)}" if self.largest else ""
        return (
            f"{self.called} follows a power law of {label(self.along)} ({self.runs.words}): over "
            f"{self.region}{least}{most}, the median over seeds of the fitted exponent lies within "
            f"{self.within:g} of the exact one, by two one-sided sign tests at 5 %"
        )

    def exact_exponent(self, group: Group) -> float:
        """Return the exponent that theory gives a group."""
        if not callable(self.exponent):
            return self.exponent
        names = inspect.signature(self.exponent).parameters
        return float(self.exponent(**{name: group[name] for name in names}))

    def bound(self, group: Group) -> tuple[float, float]:
        """Return the range around the exact exponent; around 0 where no group is given."""
        centre = self.exact_exponent(group) if group or not callable(self.exponent) else 0.0
        return centre - self.within, centre + self.within

    def title(self, group: Group, where: str) -> str:
        """Return what the slope is of, and the group."""
        told = [
            *([where] if where else []),
            *(f"{label(k)} = {shown(v)}" for k, v in group.items()),
        ]
        return ", ".join([f"exponent of {self.called} against {label(self.along)}", *told])

    def table(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Return the value at the places that are fitted."""
        if rows.empty:
            return pd.DataFrame()
        means = rows.groupby(self.along)[self.value].transform("mean")
        most = rows[self.largest].min() if self.largest else np.inf
        return seed_table(rows[(means >= self.smallest) & (means <= most)], self.along, self.value)

    def numbers(self, table: pd.DataFrame) -> pd.Series:
        """Return the fitted exponent of each seed; NaN where a value is not positive."""
        places = np.log(table.columns.to_numpy(float))
        values = table.to_numpy(float) + self.shift
        fitted = [
            huber_line(places, np.log(row))[0] if (row > 0).all() else np.nan for row in values
        ]
        return pd.Series(fitted, table.index)

    def headline(self, tested: Sequence[Tested]) -> Headline:
        """Return the largest distance of a fitted exponent from the exact one."""
        distances = [
            abs(one.part.effect - sum(one.bound) / 2)
            for one in tested
            if one.part.effect is not None
        ]
        return Headline(
            max(distances, default=None), None, "largest |slope - exact slope|", f"<= {self.within}"
        )
