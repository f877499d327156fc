"""The rows in memory as small whole numbers: a million runs are counted in milliseconds.

A query compares and hashes all values anew, and a page asks a dozen of them for each movement of a
brush. What it groups by is the same each time, so each expression is worked out by DuckDB once and
kept as the place of every row's value among the distinct values. To count is then to add up.

Conditions are worked out by DuckDB too: what is counted here is what the same SQL counts. Means
agree with those of SQL to the rounding of a sum.
"""

import math
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from functools import partial
from typing import Any, NamedTuple, TypeVar, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from symstudy.store.tables.loaded import LoadedRuns

__all__ = ["CodedRuns", "SeedMeans"]

MOST_VALUES = 65_536
"""An expression of more distinct values is left to SQL."""
MOST_PLACES = 4_000_000
"""Combinations of values that are counted; more are left to SQL."""
MOST_KEPT = 96
"""Arrays that are kept, of one to eight bytes a run."""

Kept = TypeVar("Kept")


class Coded(NamedTuple):
    """An expression over all rows.

    Attributes:
        at: Place of each row's value among `values`, of shape (rows,).
        values: The distinct values in the order of SQL: by size, NaN after numbers, None last.
    """

    at: np.ndarray
    values: tuple[Any, ...]


class SeedMeans(NamedTuple):
    """Means of single seeds, in groups of rows.

    Attributes:
        keys: The values of each group, in their order.
        places: Number of each group among all that there could be, growing.
        seeds: Study and seed of each column.
        means: Mean of the runs of a seed in a group, of shape (groups, seeds); NaN without runs.
        runs: Number of these runs, of the same shape.
    """

    keys: list[tuple[Any, ...]]
    places: np.ndarray
    seeds: list[tuple[Any, ...]]
    means: np.ndarray
    runs: np.ndarray

    def over_seeds(self) -> tuple[list[float], list[float | None], list[int], list[int]]:
        """Return mean, sample standard deviation, number of seeds and of runs of each group.

        A seed counts once, with the mean of its runs. The deviation is None for a single seed.
        """
        has = self.runs > 0
        seeds = has.sum(1)
        values = np.where(has, self.means, 0.0)
        with np.errstate(all="ignore"):
            mean = values.sum(1) / seeds
            off = np.where(has, self.means - mean[:, None], 0.0)
            deviation = np.sqrt((off**2).sum(1) / (seeds - 1))
        known = [d if n > 1 else None for d, n in zip(deviation.tolist(), seeds, strict=True)]
        return mean.tolist(), known, seeds.tolist(), self.runs.sum(1).tolist()


class Spread(NamedTuple):
    """Numbers of runs in groups, by the values of an expression.

    Attributes:
        keys: The values of each group, in their order.
        places: Number of each group among all that there could be, growing.
        values: The values of the expression.
        counts: Number of runs, of shape (groups, values).
    """

    keys: list[tuple[Any, ...]]
    places: np.ndarray
    values: tuple[Any, ...]
    counts: np.ndarray

    def of(self, value: Any) -> list[int]:
        """Return the number of runs with one value in each group."""
        if value not in self.values:
            return [0] * len(self.keys)
        return cast("list[int]", self.counts[:, self.values.index(value)].tolist())

    def among(self, places: np.ndarray) -> list[int]:
        """Return which groups have some numbers, all of which must be there."""
        return cast("list[int]", np.searchsorted(self.places, places).tolist())


class CodedRuns:
    """Counts and means of `runs` in memory.

    Not to be shared by threads, nor is what it reads.

    Attributes:
        runs: The rows.
        generation: Of the rows that the arrays are of.
        kept: The arrays, the latest used last.
    """

    def __init__(self, runs: LoadedRuns) -> None:
        """See the class."""
        self.runs = runs
        self.generation = runs.generation
        self.kept: OrderedDict[Hashable, Any] = OrderedDict()

    def counts(self, by: Sequence[str], conditions: Sequence[str]) -> list[tuple[Any, ...]] | None:
        """Return the values of `by` and the number of runs in each group, ordered by the values.

        Args:
            by: Expressions of SQL.
            conditions: What must hold.

        Returns:
            None if there are too many values.

        Raises:
            QueryError: If DuckDB refuses an expression.
            StoreError: If a file turns out to be damaged.
        """
        found = self.counted(by, conditions)
        if found is None:
            return None
        counts, shape = found
        places = np.flatnonzero(counts)
        return self.labelled(by, shape, places, counts[places].tolist())

    def spread(self, by: Sequence[str], across: str, conditions: Sequence[str]) -> "Spread | None":
        """Return the number of runs at each value of `across`, in groups by the values of `by`.

        Args:
            by: Expressions of SQL.
            across: An expression of few values.
            conditions: What must hold.

        Returns:
            None if there are too many values.

        Raises:
            QueryError: If DuckDB refuses an expression.
            StoreError: If a file turns out to be damaged.
        """
        found = self.counted((*by, across), conditions)
        last = self.coded(across)
        if found is None or last is None:
            return None
        counts, shape = found[0].reshape(-1, found[1][-1]), found[1][:-1]
        places = np.flatnonzero(counts.any(1))
        keys = self.labelled(by, shape, places)
        return Spread(keys, places, last.values, counts[places])

    def counted(
        self, by: Sequence[str], conditions: Sequence[str]
    ) -> tuple[np.ndarray, tuple[int, ...]] | None:
        """Return the number of runs at each combination of values, in one row, and their numbers.

        None if there are too many values.
        """
        self.prepare((*by, *conditions))
        found = self.joint(by)
        if found is None:
            return None
        at, shape = found
        return np.bincount(self.among(at, conditions), minlength=math.prod(shape)), shape

    def total(self, conditions: Sequence[str]) -> int:
        """Return the number of runs for which some conditions hold.

        Raises:
            QueryError: If DuckDB refuses one.
            StoreError: If a file turns out to be damaged.
        """
        self.prepare(conditions)
        mask = self.mask(conditions)
        return self.runs.count if mask is None else int(np.count_nonzero(mask))

    def seed_means(
        self, by: Sequence[str], value: str, conditions: Sequence[str]
    ) -> SeedMeans | None:
        """Return the mean of `value` of each study and seed, in groups by the values of `by`.

        Args:
            by: Expressions of SQL.
            value: An expression that is a finite number where the conditions hold.
            conditions: What must hold.

        Returns:
            None if there are too many values.

        Raises:
            QueryError: If DuckDB refuses an expression.
            StoreError: If a file turns out to be damaged.
        """
        self.prepare((*by, value, *conditions, *SEED))
        key = ("means", tuple(by), value, frozenset(conditions))
        return self.keep(key, lambda: self.make_means(by, value, conditions))

    def make_means(
        self, by: Sequence[str], value: str, conditions: Sequence[str]
    ) -> SeedMeans | None:
        """Return what `seed_means` does, of columns that are loaded."""
        joint, seeds = self.joint(by), self.seeds()
        if joint is None or seeds is None or math.prod(joint[1]) * len(seeds[1]) > MOST_PLACES:
            return None
        (at, shape), (seed, names) = joint, seeds
        many = max(len(names), 1)

        def places() -> Any:
            return (at.astype(np.int64) * many + seed).astype(np.int32)

        place = self.among(self.keep(("places", tuple(by)), places), conditions)
        size = math.prod(shape) * many
        runs = np.bincount(place, minlength=size).reshape(-1, many)
        values = self.among(self.numbers(value), conditions)
        sums = np.bincount(place, weights=values, minlength=size)
        groups = np.flatnonzero(runs.any(1))
        with np.errstate(invalid="ignore"):
            means = sums.reshape(-1, many)[groups] / runs[groups]
        keys = self.labelled(by, shape, groups)
        return SeedMeans(keys, groups, names, means, runs[groups])

    def prepare(self, expressions: Sequence[str]) -> None:
        """Load the columns of expressions; forget the arrays of other rows.

        All columns of a request are loaded before any array is made: to load one may change the
        order of the rows.
        """
        self.runs.need_for(*expressions)
        if self.generation != self.runs.generation:
            self.kept.clear()
            self.generation = self.runs.generation

    def keep(self, key: Hashable, make: Callable[[], Kept]) -> Kept:
        """Return what is kept under a key, which is made if it is not there."""
        if key not in self.kept:
            self.kept[key] = make()
            while len(self.kept) > MOST_KEPT:
                self.kept.popitem(last=False)
        self.kept.move_to_end(key)
        return cast("Kept", self.kept[key])

    def coded(self, expression: str) -> Coded | None:
        """Return an expression over all rows; None if it has too many distinct values."""
        return self.keep(("codes", expression), lambda: encode(self.runs.column(expression)))

    def numbers(self, expression: str) -> np.ndarray:
        """Return an expression over all rows as float64, of shape (rows,); NaN where null."""

        def make() -> np.ndarray:
            column = self.runs.column(f"cast({expression} as double)")
            return np.asarray(column.combine_chunks().to_numpy(zero_copy_only=False), np.float64)

        return self.keep(("numbers", expression), make)

    def mask(self, conditions: Sequence[str]) -> np.ndarray | None:
        """Return for which rows some conditions hold, of shape (rows,); None for all."""

        def together() -> np.ndarray:
            held = [self.keep(("holds", each), partial(self.holds, each)) for each in conditions]
            return cast("np.ndarray", np.logical_and.reduce(held))

        return self.keep(("mask", frozenset(conditions)), together) if conditions else None

    def holds(self, condition: str) -> np.ndarray:
        """Return for which rows a condition holds, of shape (rows,)."""
        column = self.runs.column(f"coalesce({condition}, false)").combine_chunks()
        return np.asarray(column.to_numpy(zero_copy_only=False), bool)

    def among(self, array: np.ndarray, conditions: Sequence[str]) -> np.ndarray:
        """Return the elements of the rows for which some conditions hold."""
        mask = self.mask(conditions)
        return array if mask is None else array[mask]

    def joint(self, by: Sequence[str]) -> tuple[np.ndarray, tuple[int, ...]] | None:
        """Return the place of each row among all combinations of values, and their numbers."""
        parts = [self.coded(each) for each in by]
        known = [part for part in parts if part is not None]
        shape = tuple(max(len(part.values), 1) for part in known)
        if len(known) < len(parts) or math.prod(shape) > MOST_PLACES:
            return None

        def make() -> np.ndarray:
            at = np.zeros(self.runs.count, np.int32)
            for part, many in zip(known, shape, strict=True):
                at = at * np.int32(many) + part.at
            return at

        return (known[0].at if len(known) == 1 else self.keep(("joint", tuple(by)), make)), shape

    def seeds(self) -> tuple[np.ndarray, list[tuple[Any, ...]]] | None:
        """Return the place of each row among the studies' seeds there are, and these."""
        found = self.joint(SEED)
        if found is None:
            return None
        at, shape = found
        there, places = self.keep("seeds", lambda: np.unique(at, return_inverse=True))
        return places, self.labelled(SEED, shape, there)

    def labelled(
        self,
        by: Sequence[str],
        shape: tuple[int, ...],
        places: np.ndarray,
        *beside: Sequence[Any],
    ) -> list[tuple[Any, ...]]:
        """Return the values at some places among all combinations, with what stands beside them."""
        ats = np.unravel_index(places, shape) if by else ()
        columns = []
        for expression, at in zip(by, ats, strict=True):
            values = cast("Coded", self.coded(expression)).values
            columns.append([values[place] for place in at.tolist()])
        if not by:
            return [tuple(row) for row in zip(*beside, strict=True)] or [() for _ in places]
        return list(zip(*columns, *beside, strict=True))


SEED = ('"study"', '"seed"')
"""What tells seeds apart."""


def encode(column: pa.ChunkedArray) -> Coded | None:
    """Return a column as places among its distinct values; None if these are too many."""
    if pa.types.is_floating(column.type):
        column = pc.add(column, 0.0)  # -0.0 is 0.0, as SQL groups them
    distinct = pc.dictionary_encode(column, null_encoding="encode").combine_chunks()
    if isinstance(distinct, pa.ChunkedArray):
        return Coded(np.zeros(0, np.uint8), ())
    values = distinct.dictionary.to_pylist()
    if len(values) > MOST_VALUES:
        return None
    order = sorted(range(len(values)), key=lambda place: rank(values[place]))
    kind = np.min_scalar_type(max(len(values) - 1, 0))
    new = np.empty(max(len(values), 1), kind)
    new[order] = np.arange(len(values), dtype=kind)
    at = distinct.indices.to_numpy(zero_copy_only=False)
    return Coded(new[at], tuple(values[place] for place in order))


def rank(value: Any) -> tuple[bool, bool, Any]:
    """Return what sorts a value as SQL does: NaN after numbers, None last."""
    is_nan = isinstance(value, float) and math.isnan(value)
    return value is None, is_nan, 0 if value is None or is_nan else value
