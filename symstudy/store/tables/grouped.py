"""What the rows in memory are added up to: means of seeds, and numbers of runs, in groups."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

__all__ = ["Groups", "OverSeeds", "SeedMeans", "Spread"]


class Groups:
    """Groups of rows that are there, by the values of some expressions.

    Attributes:
        values: The values of each expression, in their order.
        places: Number of each group among all that there could be, growing.
        ats: Place of each group's value among `values`, an array an expression.
    """

    def __init__(self, values: Sequence[Sequence[Any]], places: np.ndarray) -> None:
        """See the class."""
        self.values = tuple(values)
        self.places = places
        shape = tuple(max(len(each), 1) for each in values)
        self.ats = np.unravel_index(places, shape) if values else ()

    def __len__(self) -> int:
        """Return their number."""
        return len(self.places)

    @cached_property
    def keys(self) -> list[tuple[Any, ...]]:
        """The values of each group, in their order."""
        if not self.values:
            return [() for _ in self.places]
        columns = [
            [values[place] for place in at.tolist()]
            for values, at in zip(self.values, self.ats, strict=True)
        ]
        return list(zip(*columns, strict=True))

    def among(self, others: "Groups") -> np.ndarray:
        """Return which groups some others are, all of which must be there."""
        return np.searchsorted(self.places, others.places)


class OverSeeds(NamedTuple):
    """What groups have over seeds: each counts once, with the mean of its runs.

    Attributes:
        mean: Mean, of shape (groups,).
        deviation: Sample standard deviation; NaN of a single seed.
        seeds: Number of seeds.
        runs: Number of runs.
    """

    mean: np.ndarray
    deviation: np.ndarray
    seeds: np.ndarray
    runs: np.ndarray


class SeedMeans(NamedTuple):
    """Means of single seeds, in groups of rows.

    Attributes:
        groups: The groups.
        seeds: Study and seed of each column.
        means: Mean of the runs of a seed in a group, of shape (groups, seeds); NaN without runs.
        runs: Number of these runs, of the same shape.
    """

    groups: Groups
    seeds: list[tuple[Any, ...]]
    means: np.ndarray
    runs: np.ndarray

    def over_seeds(self) -> OverSeeds:
        """Return mean and deviation over seeds of each group."""
        has = self.runs > 0
        seeds = has.sum(1)
        values = np.where(has, self.means, 0.0)
        with np.errstate(all="ignore"):
            mean = values.sum(1) / seeds
            off = np.where(has, self.means - mean[:, None], 0.0)
            deviation = np.sqrt((off**2).sum(1) / (seeds - 1))
        return OverSeeds(mean, deviation, seeds, self.runs.sum(1))


class Spread(NamedTuple):
    """Numbers of runs in groups, by the values of an expression.

    Attributes:
        groups: The groups.
        values: The values of the expression.
        counts: Number of runs, of shape (groups, values).
    """

    groups: Groups
    values: tuple[Any, ...]
    counts: np.ndarray

    def of(self, value: Any) -> np.ndarray:
        """Return the number of runs with one value in each group."""
        if value not in self.values:
            return np.zeros(len(self.groups), np.int64)
        return np.asarray(self.counts[:, self.values.index(value)])
