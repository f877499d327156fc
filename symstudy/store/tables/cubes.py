"""Counts and sums of rows at each value of what is filtered: to move a filter is to add these up.

A filter on a column of few values lets whole values through. So the rows are counted once at each
of its values, and each movement of a brush adds up the counts of those that it lets through.
"""

import math
import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

__all__ = ["MOST_PLACES", "Changes", "Slices", "choose_slices", "column_of"]

MOST_PLACES = 2_000_000
"""Places of counts at each value of what is filtered."""
QUOTED = re.compile(r'"((?:[^"]|"")+)"')


class Slices(NamedTuple):
    """How the rows for which some conditions hold are added up.

    Attributes:
        columns: What rows are counted at each value of, in SQL.
        chosen: Which combinations of their values the conditions let through, of shape (values,).
        within: Which of the places that are counted they let through, of shape (places,).
        rest: The conditions on other columns.
    """

    columns: tuple[str, ...]
    chosen: np.ndarray
    within: np.ndarray
    rest: tuple[str, ...]

    def add(self, parts: np.ndarray) -> np.ndarray:
        """Return the sum of what is chosen.

        Args:
            parts: One row for each combination of values, of shape (values, places).

        Returns:
            Of shape (places,).
        """
        at = np.flatnonzero(self.chosen)
        is_run = at.size > 0 and at[-1] - at[0] + 1 == at.size
        held = parts[at[0] : at[-1] + 1] if is_run else parts[at]
        total = held.sum(0, dtype=np.float64 if parts.dtype.kind == "f" else np.int64)
        return np.asarray(np.where(self.within, total, total.dtype.type(0)))


class Changes:
    """Which columns have had another condition last: a brush moves one of them.

    Attributes:
        latest: The last condition on each column, the latest changed last.
    """

    def __init__(self) -> None:
        """See the class."""
        self.latest: dict[str, str] = {}

    def note(self, conditions: Sequence[str]) -> None:
        """Remember conditions that are asked for."""
        for condition in conditions:
            column = column_of(condition)
            if column is not None and self.latest.get(column) != condition:
                self.latest.pop(column, None)
                self.latest[column] = condition

    def order(self, columns: Sequence[str]) -> list[str]:
        """Return columns with the latest changed first."""
        places = {column: at for at, column in enumerate(self.latest)}
        return sorted(columns, key=lambda column: -places.get(column, -1))


def column_of(condition: str) -> str | None:
    """Return the only column that a condition names in double quotes, quoted; None of several."""
    named = set(QUOTED.findall(condition))
    return f'"{named.pop()}"' if len(named) == 1 else None


def choose_slices(
    conditions: Sequence[str],
    axes: Sequence[tuple[str, int]],
    held: Callable[[str, str], np.ndarray | None],
    order: Callable[[Sequence[str]], list[str]],
) -> Slices:
    """Return which conditions are answered by adding up counts, as many as there is room for.

    Args:
        conditions: What must hold.
        axes: What is counted: expressions, each with the number of its places.
        held: From a column and a condition to which values of the column it lets through; None
            where it has too many values.
        order: Returns columns, those first that change most.
    """
    through: dict[str, np.ndarray] = {}
    of: dict[str, list[str]] = {}
    for condition in conditions:
        column = column_of(condition)
        values = held(column, condition) if column is not None else None
        if column is None or values is None:
            continue
        through[column] = through[column] & values if column in through else values
        of.setdefault(column, []).append(condition)
    kept: list[str] = []
    names = {name for name, _ in axes}
    size = max(math.prod(many for _, many in axes), 1)
    for column in order([each for each in through if each not in names]):
        if size * through[column].size <= MOST_PLACES:
            kept.append(column)
            size *= through[column].size
    kept.sort()
    sliced = {each for column in (*kept, *(names & of.keys())) for each in of[column]}
    return Slices(
        tuple(kept),
        together([through[column] for column in kept]),
        together([through.get(name, np.ones(many, bool)) for name, many in axes]),
        tuple(condition for condition in conditions if condition not in sliced),
    )


def together(axes: Sequence[np.ndarray]) -> np.ndarray:
    """Return which combinations of values are let through, of axes that say which values are."""
    held = np.ones(1, bool)
    for axis in axes:
        held = (held[:, None] & axis).reshape(-1)
    return held
