"""Parallel coordinates: a line a cell, or a band as wide as its runs where cells are many."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from symstudy.explore.panels.base import DONE, PanelAnswer, Source, finite, left_out_note
from symstudy.explore.panels.histogram import bins_of, categories
from symstudy.explore.view import RequestError, View, conditions, literal, where
from symstudy.store import quoted

__all__ = ["MOST_LINES", "answer"]

MOST_LINES = 2000
"""More cells than these are joined into bands."""
MOST_AXES = 8
STEPS = 24
"""Bins of an axis of numbers in bands."""


def answer(source: Source, view: View, asked: Mapping[str, Any]) -> PanelAnswer:
    """Return the cells by the columns `axes`, and the mean of `measure` of each, the last axis.

    Raises:
        RequestError: If there are too many axes, or no such column.
    """
    listed = asked.get("axes")
    names = listed if isinstance(listed, list) else []
    if not 1 <= len(names) <= MOST_AXES:
        raise RequestError(
            f"parallel coordinates must have 1 to {MOST_AXES} axes beside the measure."
        )
    axes = [view.column(name).name for name in names]
    measure = view.number(asked.get("measure")).name
    listed_sql = ", ".join(map(quoted, axes))
    sql = (
        f"select study, cell_id, {listed_sql}, avg({quoted(measure)}) as mean, count(*) as seeds\n"
        f"from runs where {where(view, DONE, finite(measure))}\n"
        f"group by study, cell_id, {listed_sql} order by {listed_sql}, cell_id"
    )
    held = conditions(view, DONE, finite(measure))
    notes = left_out_note(source, view, measure)
    forms = [axis_form(source, view, name) for name in axes]
    last = measure_form(source, view, measure)
    more: dict[str, Any] = {"axes": [*forms, last], "form": "lines"}
    cells = source.coded.counts(['"study"', *map(quoted, axes)], held)
    if cells is None or len(cells) <= MOST_LINES:
        found = source.ask(sql, MOST_LINES)
        if found.is_all:
            return PanelAnswer(sql, found.columns, found.rows, notes, more)
    places = [place_sql(source, view, name) for name in (*axes, measure)]
    sql = bands_sql(places, where(view, DONE, finite(measure)))
    notes.append(f"More than {MOST_LINES:,} cells: a band is as wide as the runs in it.")
    more["form"] = "bands"
    rows = source.kept(sql, lambda: band_rows(source, places, held, sql))
    return PanelAnswer(sql, ("axis", "from", "to", "runs"), rows, notes, more)


def axis_form(source: Source, view: View, name: str) -> dict[str, Any]:
    """Return how an axis is drawn: its values, or the edges of its bins."""
    values = categories(source, view, name)
    if values is not None:
        return {"name": name, "form": "categories", "values": values}
    return measure_form(source, view, name)


def measure_form(source: Source, view: View, name: str) -> dict[str, Any]:
    """Return how an axis of numbers is drawn."""
    bins = bins_of(source, view, name, STEPS)
    if bins is None:
        return {"name": name, "form": "none"}
    return {
        "name": name,
        "form": "bins",
        "edges": bins.edges,
        "is_log": bins.is_log,
        "has_below": bins.has_below,
    }


def band_rows(
    source: Source, places: Sequence[str], held: Sequence[str], sql: str
) -> list[tuple[Any, ...]]:
    """Return the rows of the query of `bands_sql`."""
    rows: list[tuple[Any, ...]] = []
    for axis, pair in enumerate(itertools.pairwise(places)):
        counts = source.coded.counts(pair, held)
        if counts is None:
            return source.runs.rows(sql)
        rows += [(axis, str(start), str(end), count) for start, end, count in counts]
    return sorted(rows)


def bands_sql(places: Sequence[str], held: str) -> str:
    """Return SQL for the number of runs between each two neighbouring places of the axes."""
    listed = ", ".join(f"{place} as p{at}" for at, place in enumerate(places))
    pairs = " union all ".join(
        f'select {at} as axis, p{at}::varchar as "from", p{at + 1}::varchar as "to", '
        "sum(num) as runs from placed group by all"
        for at in range(len(places) - 1)
    )
    return (
        f"with placed as (select {listed}, count(*) as num from runs "
        f"where {held} group by all)\n{pairs} order by all"
    )


def place_sql(source: Source, view: View, name: str) -> str:
    """Return SQL for the place of a run on an axis: its value's number, or its bin."""
    values = categories(source, view, name)
    if values is not None and view.columns[name].role != "measure":
        listed = ", ".join(literal(value) for value in values if value is not None)
        at = f"list_position([{listed}], {quoted(name)}) - 1" if listed else "0"
        return f"coalesce({at}, {len(values) - 1})"
    bins = bins_of(source, view, name, STEPS)
    return bins.sql if bins is not None else "0"
