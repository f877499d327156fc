"""Panels of a value along a swept hyperparameter: data, intervals, tested region, laws."""

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from symstudy.escaping import figure_text
from symstudy.plots.figures import PALETTE, Figure, color_ramp, error_bars, log_ticks

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Curve", "Line", "Panel", "draw_panels"]

MOST_TICKS = 8
MOST_COLUMNS = 3
LONG = 44
"""Characters of a title or label beyond which it is broken into lines."""
ROOMY = 24
"""Characters of a setting beyond which the legend stands below its panel, not among the data."""
NARROW = 3.0
"""Values that differ by a smaller factor are drawn on a linear axis."""
CROWDED = 5.0
"""Values that differ by a larger factor have labels at 1, 2 and 5 alone."""
WIDE = 20.0
"""Values that differ by a larger factor have labels at powers of ten alone."""


class Line(NamedTuple):
    """Data of one setting.

    Attributes:
        name: Label in the legend.
        columns: Columns that tell the setting in the table of what was drawn.
        points: Columns place, median, low, high and seeds; ends without an interval are NaN.
        is_joined: Whether points are joined by lines.
    """

    name: str
    columns: dict[str, object]
    points: pd.DataFrame
    is_joined: bool = True


class Curve(NamedTuple):
    """A law beside the data.

    Attributes:
        place: Values of the swept column.
        value: Values of the law.
        line: Position of the line whose colour it has; None for grey.
        style: Style of matplotlib, such as `-` or `:`.
    """

    place: np.ndarray
    value: np.ndarray
    line: int | None = None
    style: str = "-"


class Panel(NamedTuple):
    """One panel of a figure.

    Attributes:
        name: Name in the table of what was drawn.
        title: Title, such as what is tested and the verdict.
        x: Name of the swept column.
        x_label: Label of the horizontal axis; empty where the legend alone names the places.
        y_label: Label of the vertical axis.
        lines: Data.
        curves: Laws.
        tested: First and last place that the rule is about; None for no shading.
        allowed: Values that the rule allows, shaded across; None for none.
        is_log_x: Whether the horizontal axis is logarithmic.
        is_log_y: Whether the vertical axis is.
    """

    name: str
    title: str
    x: str
    x_label: str
    y_label: str
    lines: Sequence[Line]
    curves: Sequence[Curve] = ()
    tested: tuple[float, float] | None = None
    allowed: tuple[float, float] | None = None
    is_log_x: bool = True
    is_log_y: bool = True


def draw_panels(panels: Sequence[Panel], caption: str) -> Figure:
    """Draw panels side by side, three in a row.

    Args:
        panels: At least one.
        caption: Caption of the figure.
    """
    import matplotlib.pyplot as plt

    columns = min(MOST_COLUMNS, len(panels))
    rows = -(-len(panels) // columns)
    canvas, axes = plt.subplots(
        rows, columns, figsize=(4.2 * columns, 3.6 * rows), layout="constrained", squeeze=False
    )
    drawn = []
    for axis, panel in zip(axes.flat, panels, strict=False):
        draw_panel(axis, panel)
        drawn += [
            line.points.rename(columns={"place": panel.x}).assign(panel=panel.name, **line.columns)
            for line in panel.lines
        ]
    for axis in list(axes.flat)[len(panels) :]:
        axis.set_axis_off()
    return Figure(canvas, pd.concat(drawn) if drawn else pd.DataFrame(), caption)


def draw_panel(axis: "Axes", panel: Panel) -> None:
    """Draw one panel."""
    count = len(panel.lines)
    colors = list(PALETTE[:count]) if count <= 4 else color_ramp(count)
    for line, color in zip(panel.lines, colors, strict=True):
        points = line.points
        axis.errorbar(
            points["place"],
            points["median"],
            yerr=error_bars(points["low"], points["median"], points["high"]),
            fmt="o-" if line.is_joined else "o",
            capsize=2,
            color=color,
            label=figure_text(line.name),
        )
    for curve in panel.curves:
        color = "0.45" if curve.line is None else colors[curve.line]
        axis.plot(curve.place, curve.value, curve.style, color=color, linewidth=1.0, alpha=0.8)
    if panel.tested is not None:
        axis.axvspan(*panel.tested, color="0.5", alpha=0.08, zorder=0)
    if panel.allowed is not None:
        axis.axhspan(*panel.allowed, color=PALETTE[2], alpha=0.12, zorder=0)
    axis.set(
        xlabel=figure_text(panel.x_label),
        ylabel=textwrap.fill(figure_text(panel.y_label), LONG),
        title=textwrap.fill(figure_text(panel.title), LONG),
    )
    set_scales(axis, panel)
    longest = max((len(line.name) for line in panel.lines), default=0)
    if longest > ROOMY:
        axis.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2))
    elif longest:
        axis.legend()


def set_scales(axis: "Axes", panel: Panel) -> None:
    """Make axes logarithmic where all values are positive, and label the places."""
    if not panel.x_label:
        axis.set_xticks([])
    points = [line.points for line in panel.lines if len(line.points)]
    if not points:
        return
    every = pd.concat(points)
    least, most = float(every["median"].min()), float(every["median"].max())
    if panel.is_log_y and least > 0 and most > NARROW * least:
        from matplotlib.ticker import FormatStrFormatter, LogLocator

        axis.set_yscale("log")
        axis.yaxis.set_major_formatter(FormatStrFormatter("%g"))
        axis.yaxis.set_minor_formatter(FormatStrFormatter("%g" if most < WIDE * least else ""))
        if CROWDED * least < most < WIDE * least:
            axis.yaxis.set_minor_locator(LogLocator(subs=(2.0, 5.0)))
    if panel.is_log_x and (every["place"] > 0).all():
        axis.set_xscale("log")
        places = sorted(every["place"].unique().tolist())
        if len(places) <= MOST_TICKS:
            log_ticks(axis, places)
