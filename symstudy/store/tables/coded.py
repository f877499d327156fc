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

from symstudy.store.tables.cubes import Changes, Slices, choose_slices
from symstudy.store.tables.grouped import Groups, SeedMeans, Spread
from symstudy.store.tables.loaded import LoadedRuns

__all__ = ["CodedRuns"]

MOST_VALUES = 65_536
"""An expression of more distinct values is left to SQL."""
MOST_PLACES = 4_000_000
"""Combinations of values that are counted; more are left to SQL."""
MOST_BYTES = 2**30
"""Bytes of the arrays that are kept, beside those of the last answer."""

Kept = TypeVar("Kept")


class Coded(NamedTuple):
    """An expression over all rows.

    Attributes:
        at: Place of each row's value among `values`, of shape (rows,).
        values: The distinct values in the order of SQL: by size, NaN after numbers, None last.
        column: The same as a column.
    """

    at: np.ndarray
    values: tuple[Any, ...]
    column: pa.Array


class CodedRuns:
    """Counts and means of `runs` in memory.

    Not to be shared by threads, nor is what it reads.

    Attributes:
        runs: The rows.
        generation: Of the rows that the arrays are of.
        kept: The arrays, the latest used last.
        kept_bytes: Bytes of these.
        changes: Which filters move.
    """

    def __init__(self, runs: LoadedRuns) -> None:
        """See the class."""
        self.runs = runs
        self.generation = runs.generation
        self.kept: OrderedDict[Hashable, Any] = OrderedDict()
        self.kept_bytes = 0
        self.changes = Changes()

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
        groups = self.groups(by, np.flatnonzero(found))
        return [
            (*key, count)
            for key, count in zip(groups.keys, found[groups.places].tolist(), strict=True)
        ]

    def spread(self, by: Sequence[str], across: str, conditions: Sequence[str]) -> Spread | None:
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
        counts = found.reshape(-1, max(len(last.values), 1))
        places = np.flatnonzero(counts.any(1))
        return Spread(self.groups(by, places), last.values, counts[places])

    def counted(self, by: Sequence[str], conditions: Sequence[str]) -> np.ndarray | None:
        """Return the number of runs at each combination of values; None of too many.

        Returns:
            Of shape (combinations,).
        """
        self.prepare((*by, *conditions))
        shape = self.shape(by)
        if shape is None:
            return None
        slices = self.slices(conditions, list(zip(by, shape, strict=True)))
        key = ("counts", tuple(by), slices.columns, frozenset(slices.rest))
        return slices.add(self.keep(key, lambda: self.parts(by, slices)))

    def parts(self, by: Sequence[str], slices: Slices) -> np.ndarray:
        """Return the number of runs at each combination of values, a row for each of `slices`."""
        size = math.prod(self.shape(by) or ())
        counts = np.bincount(
            self.among(self.places((*slices.columns, *by)), slices.rest),
            minlength=slices.chosen.size * size,
        )
        return counts.astype(np.int32).reshape(slices.chosen.size, size)

    def slices(self, conditions: Sequence[str], axes: Sequence[tuple[str, int]]) -> Slices:
        """Return how the runs for which some conditions hold are added up.

        Args:
            conditions: What must hold.
            axes: What is counted: expressions, each with the number of its places.
        """
        self.changes.note(conditions)
        return choose_slices(conditions, axes, self.held, self.changes.order)

    def held(self, column: str, condition: str) -> np.ndarray | None:
        """Return which values of a column a condition lets through; None of too many values."""
        if not self.runs.is_exact(column):
            return None
        coded = self.coded(column)
        if coded is None or not coded.values:
            return None

        def ask() -> np.ndarray:
            found = self.runs.holds_at(column, coded.column, condition)
            return np.asarray(found.to_numpy(zero_copy_only=False), bool)

        return self.keep(("held", condition), ask)

    def total(self, conditions: Sequence[str]) -> int:
        """Return the number of runs for which some conditions hold.

        Raises:
            QueryError: If DuckDB refuses one.
            StoreError: If a file turns out to be damaged.
        """
        found = self.counted((), conditions)
        assert found is not None, "there is one place"
        return int(found[0])

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
        shape, seeds = self.shape(by), self.seeds()
        if shape is None or seeds is None or math.prod(shape) * len(seeds[1]) > MOST_PLACES:
            return None
        names = seeds[1]
        many = max(len(names), 1)
        axes = [*zip(by, shape, strict=True), ("each seed", many)]
        slices = self.slices(conditions, axes)
        key = ("sums", tuple(by), value, slices.columns, frozenset(slices.rest))
        parts = self.keep(key, lambda: self.sum_parts(by, value, slices))
        runs, sums = (slices.add(each).reshape(-1, many) for each in parts)
        there = np.flatnonzero(runs.any(1))
        with np.errstate(invalid="ignore"):
            means = sums[there] / runs[there]
        return SeedMeans(self.groups(by, there), names, means, runs[there])

    def sum_parts(
        self, by: Sequence[str], value: str, slices: Slices
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return number and sum of runs at each combination and seed, a row for each of `slices`.

        Columns are loaded, and there are seeds.
        """
        seed, names = self.seeds() or (np.zeros(0, np.int64), [])
        at = self.places((*slices.columns, *by)).astype(np.int64) * max(len(names), 1) + seed
        place = self.among(at, slices.rest)
        values = self.among(self.numbers(value), slices.rest)
        size = math.prod(self.shape(by) or ()) * max(len(names), 1)
        runs, sums = (
            np.bincount(place, weights=weights, minlength=slices.chosen.size * size)
            for weights in (None, values)
        )
        form = (slices.chosen.size, size)
        return runs.astype(np.int32).reshape(form), sums.reshape(form)

    def prepare(self, expressions: Sequence[str]) -> None:
        """Load the columns of expressions; forget the arrays of other rows.

        All columns of a request are loaded before any array is made: to load one may change the
        order of the rows.
        """
        self.runs.need_for(*expressions)
        if self.generation != self.runs.generation:
            self.kept.clear()
            self.kept_bytes = 0
            self.generation = self.runs.generation

    def keep(self, key: Hashable, make: Callable[[], Kept]) -> Kept:
        """Return what is kept under a key, which is made if it is not there."""
        if key not in self.kept:
            self.kept[key] = made = make()
            self.kept_bytes += num_bytes(made)
            while self.kept_bytes > MOST_BYTES and len(self.kept) > 1:
                self.kept_bytes -= num_bytes(self.kept.popitem(last=False)[1])
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

    def shape(self, by: Sequence[str]) -> tuple[int, ...] | None:
        """Return how many values each expression has; None if the combinations are too many."""
        shape = []
        for expression in by:
            found = self.coded(expression)
            if found is None:
                return None
            shape.append(max(len(found.values), 1))
        return tuple(shape) if math.prod(shape) <= MOST_PLACES else None

    def places(self, by: Sequence[str]) -> np.ndarray:
        """Return the place of each row among all combinations of values, of shape (rows,)."""
        parts = [cast("Coded", self.coded(each)) for each in by]
        if len(parts) == 1:
            return parts[0].at
        at = np.zeros(self.runs.count, np.int32)
        for part in parts:
            at *= np.int32(max(len(part.values), 1))
            at += part.at
        return at

    def seeds(self) -> tuple[np.ndarray, list[tuple[Any, ...]]] | None:
        """Return the place of each row among the studies' seeds there are, and these."""
        shape = self.shape(SEED)
        if shape is None:
            return None
        there, places = self.keep(
            "seeds", lambda: np.unique(self.places(SEED), return_inverse=True)
        )
        return places, self.groups(SEED, there).keys

    def groups(self, by: Sequence[str], places: np.ndarray) -> Groups:
        """Return the groups at some places among all combinations of values, of few values."""
        return Groups([cast("Coded", self.coded(each)).values for each in by], places)


def num_bytes(kept: Any) -> int:
    """Return the bytes of the arrays in something that is kept."""
    if isinstance(kept, np.ndarray):
        return kept.nbytes
    return sum(map(num_bytes, kept)) if isinstance(kept, tuple) else 0


SEED = ('"study"', '"seed"')
"""What tells seeds apart."""


def encode(column: pa.ChunkedArray) -> Coded | None:
    """Return a column as places among its distinct values; None if these are too many."""
    if pa.types.is_floating(column.type):
        column = pc.add(column, 0.0)  # -0.0 is 0.0, as SQL groups them
    distinct = pc.dictionary_encode(column, null_encoding="encode").combine_chunks()
    if isinstance(distinct, pa.ChunkedArray):
        return Coded(np.zeros(0, np.uint8), (), pa.nulls(0))
    values = distinct.dictionary.to_pylist()
    if len(values) > MOST_VALUES:
        return None
    order = sorted(range(len(values)), key=lambda place: rank(values[place]))
    kind = np.min_scalar_type(max(len(values) - 1, 0))
    new = np.empty(max(len(values), 1), kind)
    new[order] = np.arange(len(values), dtype=kind)
    at = distinct.indices.to_numpy(zero_copy_only=False)
    listed = tuple(values[place] for place in order)
    return Coded(new[at], listed, distinct.dictionary.take(pa.array(order, pa.int64())))


def rank(value: Any) -> tuple[bool, bool, Any]:
    """Return what sorts a value as SQL does: NaN after numbers, None last."""
    is_nan = isinstance(value, float) and math.isnan(value)
    return value is None, is_nan, 0 if value is None or is_nan else value
