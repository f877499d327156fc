"""Small multiples: the same axes for each value of the columns in `facet`."""

from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd

from symstudy.errors import QueryError
from symstudy.plots.captions import data_sentences
from symstudy.plots.figures import Figure
from symstudy.plots.labels import name_label, setting_label
from symstudy.plots.lines import (
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
from symstudy.plots.points import Points, Question, read_points, select
from symstudy.plots.scales import draw_scale, scale_of
from symstudy.plots.source import Source

__all__ = ["draw_grid", "panels_of", "plot_grid"]

MOST_PANELS = 16
"""Panels of a figure; more cannot be read."""


def plot_grid(source: Source, question: Question, facet: Sequence[str]) -> Plot:
    """Draw a value along an axis in a panel for each value of other columns.

    Args:
        source: The results.
        question: What a panel shows.
        facet: Columns whose values make a panel each.

    Raises:
        UnknownNameError: If there is no such column.
        QueryError: If a mean would be over other axes than seeds, or there are too many panels.
    """
    whole = Question(**{**question.__dict__, "by": (*question.by, *facet)})
    selection = select(source, whole)
    points = read_points(source, selection)
    figure = draw_grid(points, len(selection.by) - len(facet))
    options = {**question.__dict__, "facet": tuple(facet)}
    return make_plot("grid", figure, source, options, queries=[points.query])


def panels_of(points: Points, lines: int) -> Iterator[tuple[dict[str, Any], Points]]:
    """Return the values of each panel and its points.

    Args:
        points: Points of all panels.
        lines: How many columns of `by`, the first, tell lines apart; the others tell panels.
    """
    by = points.selection.by
    keys = [f"by_{place}" for place in range(lines, len(by))]
    inner = points.selection._replace(by=by[:lines])
    if not keys:
        yield {}, points
        return
    for values, rows in points.frame.groupby(keys, dropna=False, sort=True):
        group = dict(zip(by[lines:], values, strict=True))
        yield group, points._replace(selection=inner, frame=rows.drop(columns=keys))


def draw_grid(points: Points, lines: int) -> Figure:
    """Draw a panel for each value of the last columns of `by`, all with the same axes.

    Raises:
        QueryError: If there are more panels than a figure can show.
    """
    selection = points.selection
    panels = list(panels_of(points, lines))
    if len(panels) > MOST_PANELS:
        raise QueryError(
            f"a figure must have at most {MOST_PANELS} panels, but "
            f"{' and '.join(selection.by[lines:])} make {len(panels)}. Choose some with --where."
        )
    scale = scale_of(points.frame["place"], selection.x, is_number=selection.has_numeric_x)
    canvas, axes = panel_axes(len(panels), height=0.8)
    values = shown_values(points.frame)
    is_log = False
    every = points.frame
    for axis, (group, own) in zip(axes, panels, strict=True):
        for line in lines_of(own, every):
            draw_line(axis, line, scale, is_joined=True)
        is_log = scale_values(axis, values)
        if not is_log:
            axis.set_ylim(*linear_limits(values))
        draw_scale(axis, scale)
        axis.set(title=setting_label(group), xlabel=name_label(selection.x))
        axis.set_ylabel(name_label(selection.y))
    legend_of(axes)
    sentences = data_sentences(
        points,
        [scale.note, "" if is_log else y_notes(values, name_label(selection.y))],
        what=f"{selection.y} against {selection.x} for each {', '.join(selection.by[lines:])}",
    )
    page_note(canvas, sentences.short)
    return Figure(canvas, drawn_table(points).assign(panel="grid"), sentences.caption)


def linear_limits(values: Sequence[float]) -> tuple[float, float]:
    """Return the ends of a linear axis that holds all finite values, with room at both."""
    known = pd.Series(values, dtype=float).dropna()
    least, most = float(known.min()), float(known.max())
    room = 0.05 * (most - least) or 0.05 * abs(most) or 1.0
    return least - room, most + room
