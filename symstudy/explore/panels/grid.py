"""A measure over any two columns, each a row of categories, so that 0 has a place."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from symstudy.explore.packed import Chosen, Rows, Some
from symstudy.explore.panels.base import (
    DONE,
    ENDED,
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
from symstudy.explore.view import RequestError, View, conditions, where
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
    found = source.kept(sql, lambda: cell_rows(source, view, (xs, ys), measure.name, sql))
    missing = count_missing(source, view, xs, ys)
    rows = found if isinstance(found, Rows) and not missing else with_missing(found, missing)
    notes = averaged_note(source, view, (x.name, y.name))
    if isinstance(rows, Rows):
        means, seeds, runs = (rows.columns[at] for at in (2, 3, 8))
        notes += uneven_note(runs[0], seeds[0])
        shown = means[0][means[1]]
    else:
        notes += uneven_note((row[8] for row in rows), (row[3] for row in rows))
        shown = np.array([row[2] for row in rows if row[2] is not None])
    notes += left_out_note(source, view, measure.name)
    more = {"x": places[x.name], "y": places[y.name], "is_log": is_log(shown)}
    return PanelAnswer(sql, COLUMNS, rows, notes, more)


def cell_rows(
    source: Source, view: View, axes: tuple[str, str], measure: str, sql: str
) -> Sequence[tuple[Any, ...]]:
    """Return the rows of the panel where nothing is missing."""
    by = axes[::-1]
    means = source.coded.seed_means(by, quoted(measure), conditions(view, DONE, finite(measure)))
    ends = source.coded.spread(by, ENDED, conditions(view))
    if means is None or ends is None:
        return [(*row[:7], 0, row[7]) for row in source.runs.rows(sql)]
    many = len(ends.groups)
    mean, seeds, runs = np.zeros(many), np.zeros(many, np.int64), np.zeros(many, np.int64)
    own, at = means.over_seeds(), ends.groups.among(means.groups)
    mean[at], seeds[at], runs[at] = own.mean, own.seeds, own.runs
    all_there = np.ones(many, bool)
    counts = (seeds, *(ends.of(end) for end in range(3)), np.zeros(many, np.int64), runs)
    y, x = map(Chosen, ends.groups.ats, ends.groups.values)
    return Rows(x, y, Some(mean, runs > 0), *(Some(count, all_there) for count in counts))


def with_missing(
    rows: Sequence[tuple[Any, ...]], missing: Mapping[tuple[Any, Any], int]
) -> list[tuple[Any, ...]]:
    """Return rows with the number of runs that are missing at each place."""
    left = dict(missing)
    found = [(*row[:7], left.pop(row[:2], 0), row[8]) for row in rows]
    return [*found, *((*place, None, 0, 0, 0, 0, count, 0) for place, count in left.items())]


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
