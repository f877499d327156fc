"""The heat map: a value over two axes, whose fields without a result are hatched."""

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from symstudy.errors import QueryError
from symstudy.plots.captions import data_sentences
from symstudy.plots.figures import Figure
from symstudy.plots.labels import name_label, number_label, value_label
from symstudy.plots.lines import drawn_table
from symstudy.plots.page import page_note, panel_axes, panel_inches
from symstudy.plots.plot import Plot, make_plot
from symstudy.plots.points import Points, Question, read_points, select
from symstudy.plots.scales import Scale, categories, draw_scale, is_wide, spread_of
from symstudy.plots.source import Source

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_heatmap"]

MOST_LEVELS = 60
"""Fields along an axis; more cannot be told apart."""
LOG = 30.0
"""Positive values that differ by a larger factor are coloured by their logarithm."""
NUMBER_INCHES = 0.34
"""Width of a field that has room for its number."""
DARK = 0.55
"""Share of the colour bar below which numbers are white."""


def plot_heatmap(source: Source, question: Question, y: str) -> Plot:
    """Draw a value over two axes.

    Args:
        source: The results.
        question: The value, as `y`, along the horizontal axis.
        y: Column or key of the vertical axis.

    Raises:
        UnknownNameError: If there is no such column.
        QueryError: If a mean would be over other axes than seeds, or there are no runs, or too many
            fields.
    """
    selection = select(source, Question(**{**question.__dict__, "by": (y,)}))
    points = read_points(source, selection)
    empty = read_empty(source, points)
    figure = draw_heatmap(points, empty)
    options = {**question.__dict__, "y": y, "color": question.y}
    return make_plot("heatmap", figure, source, options, queries=[points.query])


def read_empty(source: Source, points: Points) -> pd.DataFrame:
    """Return the fields in which runs were planned and none has a value."""
    selection = points.selection
    across, up = source.quoted(selection.x), source.quoted(selection.by[0])
    condition = f" where ({selection.where}\n)" if selection.where else ""
    try:
        planned = source.df(
            f"select {across} as place, {up} as by_0, count(*) as planned from planned{condition} "
            "group by all"
        ).dropna()
    except QueryError:
        # An axis is a measure, or the condition is about one: what was planned has no place here.
        return pd.DataFrame(columns=["place", "by_0", "planned"])
    known = set(zip(points.frame["place"], points.frame["by_0"], strict=True))
    is_empty = [pair not in known for pair in zip(planned["place"], planned["by_0"], strict=True)]
    return planned[is_empty]


def draw_heatmap(points: Points, empty: pd.DataFrame) -> Figure:
    """Draw the fields of points, and hatch those without.

    Raises:
        QueryError: If an axis has more values than can be told apart.
    """
    from matplotlib.colors import LogNorm, Normalize

    selection = points.selection
    every = pd.concat([points.frame[["place", "by_0"]], empty[["place", "by_0"]]])
    across, up = categories(every["place"]), categories(every["by_0"])
    for scale, name in ((across, selection.x), (up, selection.by[0])):
        if len(scale.levels) > MOST_LEVELS:
            raise QueryError(
                f"an axis of a heat map must have at most {MOST_LEVELS} values, but {name} has "
                f"{len(scale.levels)}. Choose some with --where, or show the cells with: symstudy "
                f"plot parallel RESULTS --color {selection.y}"
            )
    canvas, (axis,) = panel_axes(1, height=0.75)
    table = np.full((len(up.levels), len(across.levels)), np.nan)
    columns = across.place(points.frame["place"]).astype(int)
    rows = up.place(points.frame["by_0"]).astype(int)
    table[rows, columns] = points.frame["mean"]
    least, most = spread_of(points.frame["mean"].to_numpy(float)) or (0.0, 1.0)
    is_log = is_wide(least, most, LOG)
    norm = LogNorm(least, most) if is_log else Normalize(least, most if most > least else least + 1)
    mesh = axis.pcolormesh(table, cmap="viridis", norm=norm, edgecolor="white", linewidth=0.4)
    draw_axes(axis, across, up, selection.x, selection.by[0])
    hatch_empty(axis, across, up, empty)
    if panel_inches(axis) / len(across.levels) > NUMBER_INCHES:
        write_numbers(axis, table, norm)
    bar = canvas.colorbar(mesh, ax=axis, label=name_label(selection.y))
    bar.outline.set_linewidth(0.4)
    if most == least:
        bar.set_ticks([least])
    sentences = data_sentences(
        points,
        [
            "Hatched: planned, but no run is done there." if len(empty) else "",
            "Colours go by the logarithm." if is_log else "",
            "White: nothing was planned." if np.isnan(table).sum() > len(empty) else "",
        ],
        what=f"{selection.y} over {selection.x} and {selection.by[0]}",
        has_intervals=False,
    )
    page_note(canvas, sentences.short)
    return Figure(canvas, drawn_table(points).assign(panel=selection.y), sentences.caption)


def draw_axes(axes: "Axes", across: Scale, up: Scale, x: str, y: str) -> None:
    """Name both axes and each of their values."""
    draw_scale(axes, across)
    axes.set_xticks(np.arange(len(across.levels)) + 0.5, [value_label(v) for v in across.levels])
    axes.set_yticks(np.arange(len(up.levels)) + 0.5, [value_label(v) for v in up.levels])
    axes.set_xlim(0, len(across.levels))
    axes.set_ylim(0, len(up.levels))
    axes.tick_params(length=0)
    axes.grid(visible=False)
    axes.set(xlabel=name_label(x), ylabel=name_label(y))


def hatch_empty(axes: "Axes", across: Scale, up: Scale, empty: pd.DataFrame) -> None:
    """Hatch the fields in which runs were planned and none is done."""
    from matplotlib.patches import Rectangle

    places = across.place(empty["place"]), up.place(empty["by_0"])
    for column, row in zip(*places, strict=True):
        axes.add_patch(
            Rectangle((column, row), 1, 1, facecolor="0.94", edgecolor="0.5", hatch="////", lw=0)
        )


def write_numbers(axes: "Axes", table: np.ndarray, norm: Any) -> None:
    """Write the number of each field into it."""
    import matplotlib as mpl

    size = max(6.0, float(mpl.rcParams["ytick.labelsize"]) * 0.9)
    for (row, column), value in np.ndenumerate(table):
        if np.isfinite(value):
            color = "white" if float(norm(value)) < DARK else "0.1"
            axes.text(
                column + 0.5, row + 0.5, number_label(float(value)), ha="center", va="center",
                fontsize=size, color=color,
            )  # fmt: skip
