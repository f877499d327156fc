"""Any two columns: a point a run, or the number of runs in each field where there are many."""

from collections.abc import Mapping
from typing import Any

from symstudy.explore.columns import PageColumn
from symstudy.explore.panels.base import PanelAnswer, Source, count_text, text_of
from symstudy.explore.panels.histogram import bins_of, categories
from symstudy.explore.view import RequestError, View, conditions, where
from symstudy.store import quoted

__all__ = ["MOST_POINTS", "answer"]

MOST_POINTS = 5000
"""More runs than these are counted in fields."""
FIELDS = (64, 40)


def answer(source: Source, view: View, asked: Mapping[str, Any]) -> PanelAnswer:
    """Return the runs by the columns `x` and `y`, with the value of `by` where each is a point.

    Raises:
        RequestError: If there is no such column.
    """
    x, y = view.column(asked.get("x")), view.column(asked.get("y"))
    by = text_of(asked, "by")
    kept = [present(column) for column in (x, y)]
    total, drawn = (source.coded.total(conditions(view, *more)) for more in ((), kept))
    notes = []
    if total > drawn:
        notes.append(f"Left out: {count_text(total - drawn)} without a finite value of both.")
    if drawn > MOST_POINTS:
        return density(source, view, (x, y), kept, notes)
    named = [view.column(by)] if by else []
    shown = dict.fromkeys(
        ["study", "run_id", "pack_id", "seed", "outcome", x.name, y.name]
        + [column.name for column in named]
        + [column.name for column in view.columns.values() if column.is_swept]
    )
    sql = (
        f"select {', '.join(map(quoted, shown))} from runs "
        f"where {where(view, *kept)} order by run_id"
    )
    more = {"form": "points", "axes": [axis_of(source, view, column) for column in (x, y)]}
    return PanelAnswer(sql, list(shown), source.rows(sql), notes, more)


def present(column: PageColumn) -> str:
    """Return SQL that holds where a column has a value that can be drawn."""
    name = quoted(column.name)
    return f"isfinite({name}::double)" if column.kind == "number" else f"{name} is not null"


def axis_of(source: Source, view: View, column: PageColumn) -> dict[str, Any]:
    """Return how an axis is drawn."""
    if column.kind != "number":
        return {"form": "categories", "values": categories(source, view, column.name)}
    bins = bins_of(source, view, column.name)
    if bins is None or not bins.is_log:
        return {"form": "linear"}
    return {"form": "linear" if bins.has_below else "log", "least": bins.edges[0]}


def density(
    source: Source,
    view: View,
    columns: tuple[PageColumn, PageColumn],
    kept: list[str],
    notes: list[str],
) -> PanelAnswer:
    """Return the number of runs in each field."""
    places: list[str] = []
    axes: list[dict[str, Any]] = []
    for column, count in zip(columns, FIELDS, strict=True):
        values = categories(source, view, column.name)
        if values is not None:
            places.append(quoted(column.name))
            axes.append({"form": "categories", "values": [v for v in values if v is not None]})
            continue
        bins = bins_of(source, view, column.name, count)
        if bins is None:
            raise RequestError(f"{column.label} must have finite values, but has none here.")
        places.append(bins.sql)
        axes.append({"form": "bins", "edges": bins.edges, "is_log": bins.is_log})
    sql = (
        f"select {places[0]} as x, {places[1]} as y, count(*) as runs from runs "
        f"where {where(view, *kept)} group by 1, 2 order by 1, 2"
    )
    notes = [*notes, f"More than {MOST_POINTS:,} runs: the colour is their number."]
    rows = source.counts(sql, places, conditions(view, *kept))
    return PanelAnswer(sql, ("x", "y", "runs"), rows, notes, {"form": "density", "axes": axes})
