"""A measure over any two columns, each a row of categories, so that 0 has a place."""

from collections.abc import Mapping
from typing import Any

from symstudy.explore.panels.base import (
    DONE,
    PanelAnswer,
    Source,
    averaged_note,
    finite,
    is_log,
    left_out_note,
    missing_view,
    uneven_note,
)
from symstudy.explore.panels.histogram import MOST_CATEGORIES, categories
from symstudy.explore.view import RequestError, View, where
from symstudy.store import quoted

__all__ = ["answer"]

COLUMNS = ("x", "y", "mean", "seeds", "done", "stopped", "failed", "missing", "runs")
"""The last is the number of runs in the mean."""


def answer(source: Source, view: View, asked: Mapping[str, Any]) -> PanelAnswer:
    """Return the mean over seeds of `measure` at each value of `x` and `y`, with what is not there.

    Raises:
        RequestError: If a column has too many values.
    """
    x, y = view.column(asked.get("x")), view.column(asked.get("y"))
    measure = view.number(asked.get("measure"))
    places = {}
    for axis in (x, y):
        places[axis.name] = categories(source, view, axis.name)
        if places[axis.name] is None:
            raise RequestError(
                f"an axis of the grid must have up to {MOST_CATEGORIES} values, but {axis.label} "
                "has more. Choose another, or look at it in the panel of any two columns."
            )
    xs, ys, of = quoted(x.name), quoted(y.name), quoted(measure.name)
    sql = (
        "with per_seed as (\n"
        f"  select {xs} as x, {ys} as y, study, seed,\n"
        f"    avg({of}) filter ({DONE} and {finite(measure.name)}) as value,\n"
        f"    count(*) filter ({DONE} and {finite(measure.name)}) as in_mean,\n"
        "    count(*) filter (outcome = 'done') as done,\n"
        "    count(*) filter (outcome = 'stopped') as stopped,\n"
        "    count(*) filter (outcome not in ('done', 'stopped')) as failed\n"
        f"  from runs where {where(view)} group by all)\n"
        "select x, y, avg(value) as mean, count(value) as seeds, sum(done) as done,\n"
        "  sum(stopped) as stopped, sum(failed) as failed, sum(in_mean) as runs\n"
        "from per_seed group by x, y order by y, x"
    )
    cells = {(row[0], row[1]): list(row) for row in source.rows(sql)}
    missing = count_missing(source, view, xs, ys)
    rows = []
    for place in dict.fromkeys([*cells, *missing]):
        *cell, runs = cells.get(place) or [*place, None, 0, 0, 0, 0, 0]
        rows.append((*cell, missing.get(place, 0), runs))
    notes = averaged_note(source, view, (x.name, y.name))
    notes += uneven_note(row[8] / row[3] for row in rows if row[3])
    notes += left_out_note(source, view, measure.name)
    means = [row[2] for row in rows if row[2] is not None]
    more = {"x": places[x.name], "y": places[y.name], "is_log": is_log(means)}
    return PanelAnswer(sql, COLUMNS, rows, notes, more)


def count_missing(source: Source, view: View, xs: str, ys: str) -> dict[tuple[Any, Any], int]:
    """Return how many planned runs have not ended, at each place of the grid."""
    planned = missing_view(view)
    if planned is None:
        return {}
    axes = {xs.strip('"'), ys.strip('"')}
    known = {"study", "seed"}
    if any(view.columns[a].role != "hyperparameter" and a not in known for a in axes):
        return {}
    rows = source.rows(
        f"select {xs} as x, {ys} as y, count(*) from missing where {where(planned)} group by x, y"
    )
    return {(x, y): count for x, y, count in rows}
