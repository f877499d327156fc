"""A rule on a two-way table: how much of the variance one of its axes explains."""

from dataclasses import dataclass, field
from typing import final

import pandas as pd

from symstudy.findings.rules.base import Need, label
from symstudy.findings.rules.level import AbstractLevelRule
from symstudy.statistics.variance import variance_shares

__all__ = ["Explained"]


@final
@dataclass(frozen=True)
class Explained(AbstractLevelRule):
    """The share of the variance of ln value that one swept column explains lies in a range.

    The number of a seed is that of its own two-way table of two swept columns, by the analysis of
    variance; a seed without the whole table, or with values that have no logarithm, does not count.

    Attributes:
        along: Swept column whose share is judged.
        beside: The other swept column.
    """

    along: str = field(kw_only=True)
    beside: str = field(kw_only=True)

    @property
    def needs(self) -> tuple[Need, ...]:
        """The value, both axes of the table and the groups' columns."""
        return (Need(self.runs, (self.value, self.along, self.beside, *self.by)),)

    @property
    def subject(self) -> str:
        """The share in words."""
        return f"share of the variance of ln {self.called} explained by {label(self.along)}"

    @property
    def unit(self) -> str:
        """The share's."""
        return "share of the variance"

    def table(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Return the share of each seed with a whole table, in one column."""
        return variance_shares(rows, self.value, self.along, self.beside)[[self.along]]

    def lacking(self, table: pd.DataFrame) -> str:
        """Return nothing: any share can be judged."""
        del table
        return ""

    def numbers(self, table: pd.DataFrame) -> pd.Series:
        """Return the share of each seed."""
        return table[self.along]
