"""Learning curves: means over seeds at each probe with bands, or the line of each seed."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pandas as pd

from symstudy.errors import QueryError
from symstudy.plots.captions import Sentences, data_sentences
from symstudy.plots.figures import Figure
from symstudy.plots.labels import name_label
from symstudy.plots.lines import (
    FEW,
    draw_line,
    drawn_table,
    legend_of,
    lines_of,
    scale_values,
    shown_values,
    y_notes,
)
from symstudy.plots.page import page_note, panel_axes
from symstudy.plots.plot import Plot, make_plot
from symstudy.plots.points import (
    Points,
    Question,
    chosen_sql,
    keys_of,
    read_points,
    select,
    values_of,
)
from symstudy.plots.scales import Scale, draw_scale, scale_of
from symstudy.plots.source import Source

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_curves", "plot_seeds"]

MOST_ROWS = 50_000
"""Points of the lines of seeds."""


def plot_curves(source: Source, question: Question) -> Plot:
    """Draw means over seeds along training (or another axis), with bands of 95 %.

    Raises:
        UnknownNameError: If there is no such column.
        QueryError: If a mean would be over other axes than seeds, or there are no runs.
    """
    points = read_points(source, select(source, question))
    selection = points.selection
    scale = scale_of(points.frame["place"], selection.x, is_number=selection.has_numeric_x)
    canvas, (axis,) = panel_axes(1)
    for line in lines_of(points):
        draw_line(axis, line, scale, is_joined=True)
    notes = finish(axis, points, scale, shown_values(points.frame))
    page_note(canvas, notes.short)
    figure = Figure(canvas, drawn_table(points).assign(panel=selection.y), notes.caption)
    return make_plot("curves", figure, source, question.__dict__, queries=[points.query])


def finish(
    axes: "Axes", points: Points, scale: Scale, values: Sequence[float], more: Sequence[str] = ()
) -> Sentences:
    """Scale and name both axes, explain the lines, and return what is said below."""
    selection = points.selection
    is_log = scale_values(axes, values)
    draw_scale(axes, scale)
    axes.set(xlabel=name_label(selection.x), ylabel=name_label(selection.y))
    legend_of([axes])
    note = "" if is_log else y_notes(values, name_label(selection.y))
    what = f"{selection.y} against {selection.x}"
    return data_sentences(points, [*more, scale.note, note], what=what, has_intervals=not more)


def plot_seeds(source: Source, question: Question) -> Plot:
    """Draw the line of each seed along an axis, and the mean over them.

    Raises:
        UnknownNameError: If there is no such column.
        QueryError: If the mean would be over other axes than seeds, there are no runs, or more
            lines than a figure can show.
    """
    points = read_points(source, select(source, question))
    rows, query = read_seeds(source, points)
    selection = points.selection
    scale = scale_of(points.frame["place"], selection.x, is_number=selection.has_numeric_x)
    canvas, (axis,) = panel_axes(1)
    keys = keys_of(selection)[1:]
    for line in lines_of(points):
        own = rows
        for key, value in zip(keys, line.group.values(), strict=True):
            own = own[own[key].isna() if pd.isna(value) else own[key] == value]
        for _, seed in own.groupby("seed"):
            axis.plot(
                scale.place(seed["place"]), seed["value"], linestyle=line.dash, color=line.color,
                linewidth=0.6, alpha=0.6,
            )  # fmt: skip
        axis.plot(
            scale.place(line.points["place"]), line.points["mean"], linestyle=line.dash,
            marker=line.marker if len(line.points) <= FEW else "", color=line.color,
            label=line.name, linewidth=1.8,
        )  # fmt: skip
    more = ["Thin: each seed; thick: their mean."]
    notes = finish(axis, points, scale, [*rows["value"]], more)
    page_note(canvas, notes.short)
    drawn = [
        drawn_table(points, rows).assign(panel="seeds"),
        drawn_table(points).assign(panel="means"),
    ]
    figure = Figure(canvas, pd.concat(drawn, ignore_index=True), notes.caption)
    return make_plot("seeds", figure, source, question.__dict__, queries=[query, points.query])


def read_seeds(source: Source, points: Points) -> tuple[pd.DataFrame, str]:
    """Return the value of each seed at each place, and the SQL.

    Raises:
        QueryError: If there are more than a figure can show.
    """
    selection = points.selection
    count = int(points.frame["seeds"].sum())
    if count > MOST_ROWS:
        raise QueryError(
            f"lines of seeds must have at most {MOST_ROWS:,} points, but have {count:,}. Choose "
            "some with --where, or draw means and bands with: symstudy plot curves"
        )
    keys = ", ".join(keys_of(selection))
    chosen = chosen_sql(selection, values_of(source, selection))
    query = (
        f"select {keys}, seed, avg(value) as value from ({chosen}) "
        "where place is not null and isfinite(value) group by all order by all"
    )
    return source.df(query), query
