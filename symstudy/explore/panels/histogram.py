"""Histogram of a column, as a filter: of the runs that all other filters let through."""

import itertools
import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from symstudy.explore.panels.base import LOG_RATIO, PanelAnswer, Source
from symstudy.explore.view import RequestError, View, conditions, literal, where
from symstudy.store import quoted

__all__ = ["MOST_CATEGORIES", "Bins", "answer", "bins_of", "categories"]

MOST_CATEGORIES = 128
"""A hyperparameter of more values is shown in bins."""
NUM_BINS = 32


class Bins(NamedTuple):
    """Bins of a column of numbers.

    Attributes:
        edges: Their ends, one more than there are bins.
        is_log: Whether they are equally wide as logarithms; values of 0 and below then have a bin
            of their own.
        sql: From a value to the number of its bin, from 0; -1 for 0 and below.
    """

    edges: tuple[float, ...]
    is_log: bool
    sql: str

    @property
    def has_below(self) -> bool:
        """Whether there are values that a logarithmic axis has no place for."""
        return "else -1" in self.sql


def answer(source: Source, view: View, asked: Mapping[str, Any]) -> PanelAnswer:
    """Return the number of runs at each value, or in each bin, of the column `column`.

    The column's own filter does not count: its bars say what could be chosen.
    """
    column = view.column(asked.get("column"))
    others = view.without(column.name)
    values = categories(source, view, column.name)
    if values is not None:
        sql = (
            f"select {quoted(column.name)} as value, count(*) as runs from runs "
            f"where {where(others)} group by 1 order by 1"
        )
        counts = dict(source.counts(sql, [quoted(column.name)], conditions(others)))
        rows = [(value, counts.get(value, 0)) for value in values]
        return PanelAnswer(sql, ("value", "runs"), rows, more={"form": "categories"})
    return binned(source, others, view, column.name)


def binned(source: Source, others: View, view: View, name: str) -> PanelAnswer:
    """Return the number of runs in each bin of a column of numbers."""
    bins = bins_of(source, view, name)
    if bins is None:
        sql = f"select count(*) as runs from runs where {where(others)}"
        rows: list[tuple[Any, ...]] = [(source.rows(sql)[0][0],)]
        note = "No run has a finite value."
        return PanelAnswer(sql, ("runs",), rows, [note], {"form": "none"})
    place = (
        f"case when {quoted(name)} is null then -3 "
        f"when not isfinite({quoted(name)}::double) then -2 else {bins.sql} end"
    )
    sql = (
        f"select {place} as bin, count(*) as runs from runs where {where(others)} "
        "group by 1 order by 1"
    )
    counts = dict(source.counts(sql, [place], conditions(others)))
    edges = bins.edges
    rows = [
        (low, high, counts.get(at, 0)) for at, (low, high) in enumerate(itertools.pairwise(edges))
    ]
    said = {-1: "0 or below", -2: "NaN or infinite", -3: "no value"}
    aside = [(what, counts[at]) for at, what in said.items() if counts.get(at)]
    more = {"form": "bins", "is_log": bins.is_log, "aside": aside}
    return PanelAnswer(sql, ("from", "to", "runs"), rows, more=more)


def categories(source: Source, view: View, name: str) -> list[Any] | None:
    """Return the values of a column in the studies that are looked at; None for bins of numbers.

    Numbers are binned where they are measured, or too many.

    Raises:
        RequestError: If it has too many values that are no numbers.
    """
    column = view.columns[name]
    if column.kind == "number" and column.role == "measure":
        return None
    studies = view.only("study")
    key = ("values", name, where(studies))
    if key not in source.domains:
        listed = f"select distinct {quoted(name)} as value from"
        planned = column.role == "hyperparameter" or name in {"study", "seed"}
        more = f" union {listed} missing where {where(studies)}" if planned else ""
        found = source.ask(
            f"select * from ({listed} runs where {where(studies)}{more}) order by value nulls last",
            MOST_CATEGORIES,
        )
        source.domains[key] = tuple(row[0] for row in found.rows) if found.is_all else None
    values = source.domains[key]
    if values is None and column.kind != "number":
        raise RequestError(
            f"a column of texts must have up to {MOST_CATEGORIES} values to be an axis or filter, "
            f"but {column.label} has more. Use the SQL box."
        )
    return None if values is None else list(values)


def bins_of(source: Source, view: View, name: str, count: int = NUM_BINS) -> Bins | None:
    """Return bins over the finite values of the studies that are looked at; None without any."""
    studies = view.only("study")
    key = ("range", name, where(studies))
    if key not in source.domains:
        value = quoted(name)
        source.domains[key] = source.rows(
            f"select min({value}), max({value}), min({value}) filter ({value} > 0) "
            f"from runs where {where(studies, f'isfinite({value}::double)')}"
        )[0]
    low, high, positive = source.domains[key] or (None, None, None)
    if low is None:
        return None
    if positive is not None and high > LOG_RATIO * positive:
        return log_bins(quoted(name), float(positive), float(high), low, count)
    if low == high:
        margin = abs(float(low)) * 0.01 or 0.5
        low, high = float(low) - margin, float(high) + margin
    width = (float(high) - float(low)) / count
    if not math.isfinite(width) or width == 0:
        # The range itself is beyond what a float holds, or too narrow to be divided.
        return Bins((float(low), float(high)), is_log=False, sql="0")
    edges = (*(float(low) + width * at for at in range(count)), float(high))
    place = f"({quoted(name)} - {literal(float(low))}) / {literal(width)}"
    held = f"isfinite({quoted(name)}::double)"
    return Bins(edges, is_log=False, sql=bin_sql(held, place, count))


def bin_sql(held: str, place: str, count: int) -> str:
    """Return SQL for the bin of a value from its place in widths of a bin, for any value there is.

    It is worked out for runs of studies that are not looked at too, whose values are anywhere.

    Args:
        held: What must hold for there to be a place; else the bin is null.
        place: SQL for the place.
        count: Number of bins.
    """
    return f"case when {held} then cast(greatest(least(floor({place}), {count - 1}), 0) as int) end"


def log_bins(value: str, positive: float, high: float, low: float, count: int) -> Bins:
    """Return bins that are equally wide as logarithms."""
    start = math.log10(positive)
    width = (math.log10(high) - start) / count
    edges = (*(10 ** (start + width * at) for at in range(count)), high)
    held = f"{value} > 0 and isfinite({value}::double)"
    place = bin_sql(held, f"(log10({value}) - {literal(start)}) / {literal(width)}", count)
    sql = f"case when {value} > 0 then {place} else -1 end" if low <= 0 else place
    return Bins((positive, *edges[1:]), is_log=True, sql=sql)
