"""Panels of a value along a swept hyperparameter: data, intervals, tested region, laws."""

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from symstudy.plots.figures import PALETTE, Figure, color_ramp, error_bars
from symstudy.plots.labels import typeset
from symstudy.plots.lines import legend_of
from symstudy.plots.page import (
    LINE,
    figure_of,
    grow,
    panel_axes,
    panel_inches,
    wrap,
)
from symstudy.plots.scales import draw_scale, is_wide, label_log_axis, scale_of, spread_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Curve", "Line", "Panel", "draw_panel", "draw_panels", "drawn_lines", "hues_of"]

NARROW = 1.2
"""Values that differ by a smaller factor are drawn on a linear axis."""
Hues = dict[tuple[object, ...], Any]
"""Colours of lines, by what tells them from others."""
SHARED = 8
"""Different lines of all panels that one legend explains; of more, each panel has its own."""
MOST_NAMED = 8
"""Lines of a panel that its own legend names; of more, so many, evenly chosen."""
BELOW = 28.0
"""Points below a panel at which its legend begins: ticks and label are between."""
MOST_PALETTE = 4
"""Lines that have colours of the palette; more have a ramp, from light to dark."""


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
    """Draw panels side by side, as many as the page has room for.

    Args:
        panels: At least one.
        caption: Caption of the figure.
    """
    canvas, axes = panel_axes(len(panels), height=0.86)
    hues = hues_of(panels)
    drawn = []
    for axis, panel in zip(axes, panels, strict=True):
        draw_panel(axis, panel, hues)
        drawn += drawn_lines(panel)
    explain(axes, panels)
    return Figure(canvas, pd.concat(drawn) if drawn else pd.DataFrame(), caption)


def drawn_lines(panel: Panel) -> list[pd.DataFrame]:
    """Return the table of each line of a panel."""
    return [
        line.points.rename(columns={"place": panel.x}).assign(panel=panel.name, **line.columns)
        for line in panel.lines
    ]


def hues_of(panels: Sequence[Panel]) -> Hues:
    """Return the colour of each line, by what tells it from others.

    The same setting has one colour in all panels, and what differs in other columns has others.
    """
    kinds: dict[tuple[str, ...], dict[tuple[object, ...], None]] = {}
    for line in itertools.chain.from_iterable(panel.lines for panel in panels):
        kinds.setdefault(tuple(line.columns), {})[setting_of(line)] = None
    hues: Hues = {}
    taken = ramps = 0
    for known in kinds.values():
        if len(known) <= MOST_PALETTE:
            colors = [PALETTE[(taken + place) % len(PALETTE)] for place in range(len(known))]
            taken += len(known)
        else:
            colors = color_ramp(len(known), ramps)
            ramps += 1
        hues |= dict(zip(known, colors, strict=True))
    return hues


def setting_of(line: Line) -> tuple[object, ...]:
    """Return what tells a line from others: its columns with their values, or else its name."""
    return tuple(line.columns.items()) or (line.name,)


def draw_panel(axis: "Axes", panel: Panel, hues: Hues) -> None:
    """Draw one panel."""
    scale = None
    points = [line.points for line in panel.lines if len(line.points)]
    if points and panel.is_log_x and panel.x_label:
        scale = scale_of(pd.concat(points)["place"], panel.x)
    colors = [hues[setting_of(line)] for line in panel.lines]
    for line, color in zip(panel.lines, colors, strict=True):
        if line.points.empty:  # a legend explains what is drawn
            continue
        places = line.points["place"]
        axis.errorbar(
            scale.place(places) if scale is not None else places,
            line.points["median"],
            yerr=error_bars(line.points["low"], line.points["median"], line.points["high"]),
            fmt="o-" if line.is_joined else "o",
            color=color,
            label=typeset(line.name),
        )
    for curve in panel.curves:
        color = "0.35" if curve.line is None else colors[curve.line]
        axis.plot(curve.place, curve.value, curve.style, color=color, linewidth=0.9, alpha=0.9)
    if panel.tested is not None:
        axis.axvspan(*panel.tested, color="0.5", alpha=0.1, linewidth=0, zorder=0)
    if panel.allowed is not None:
        axis.axhspan(*panel.allowed, color=PALETTE[2], alpha=0.12, linewidth=0, zorder=0)
    name_panel(axis, panel)
    if not points:
        axis.text(
            0.5, 0.5, "no run counts here", transform=axis.transAxes, ha="center", color="0.4"
        )
        axis.set(xticks=[], yticks=[])
        return
    scale_panel(axis, panel, points)
    if scale is not None and scale.kind == "log":
        draw_scale(axis, scale)
    elif not panel.x_label:
        axis.set_xticks([])
        axis.margins(x=0.15)


def name_panel(axis: "Axes", panel: Panel) -> None:
    """Write title and labels, in lines that are no longer than the panel is wide."""
    import matplotlib as mpl

    size = float(mpl.rcParams["axes.labelsize"])
    across = max(16, int(panel_inches(axis) * 72 / (size * 0.56)))
    up = max(16, int(0.8 * across))
    axis.set(
        xlabel=wrap(typeset(panel.x_label), across),
        ylabel=wrap(typeset(panel.y_label), up),
        title=wrap(typeset(panel.title), across - 3),
    )


def scale_panel(axis: "Axes", panel: Panel, points: Sequence[pd.DataFrame]) -> None:
    """Make the axis of values logarithmic where they are positive and differ enough."""
    if not points or not panel.is_log_y:
        return
    spread = spread_of(pd.concat(points)["median"].to_numpy(float))
    if spread is None or not is_wide(*spread, NARROW):
        return
    axis.set_yscale("log")
    label_log_axis(axis.yaxis, *axis.get_ylim())


def some_of(pairs: Sequence[tuple[Any, str]]) -> list[tuple[Any, str]]:
    """Return what a panel's legend names: all lines, or some with a word on how many there are."""
    from matplotlib.lines import Line2D

    if len(pairs) <= MOST_NAMED:
        return list(pairs)
    chosen = [round(place * (len(pairs) - 1) / (MOST_NAMED - 1)) for place in range(MOST_NAMED)]
    untold = Line2D([], [], linestyle="none")
    return [*(pairs[at] for at in chosen), (untold, f"{len(pairs)} lines, all in the CSV")]


def explain(axes: Sequence["Axes"], panels: Sequence[Panel]) -> None:
    """Explain lines once above the figure if they are few or the same, else below each panel."""
    import matplotlib as mpl
    from matplotlib.transforms import ScaledTranslation

    names = dict.fromkeys(line.name for panel in panels for line in panel.lines if line.name)
    lists = {tuple(line.name for line in panel.lines if line.name) for panel in panels} - {()}
    if len(lists) <= 1 or len(names) <= SHARED:
        legend_of(axes)
        return
    rows = 0
    for axis in axes:
        handles, known = axis.get_legend_handles_labels()
        pairs = [pair for pair in zip(handles, known, strict=True) if pair[1]]
        if not pairs:
            continue
        pairs = some_of(pairs)
        rows = max(rows, len(pairs))
        below = axis.transAxes + ScaledTranslation(0, -BELOW / 72, figure_of(axis).dpi_scale_trans)
        axis.legend(
            [handle for handle, _ in pairs], [name for _, name in pairs], loc="upper left",
            bbox_to_anchor=(0.0, 0.0), bbox_transform=below,
        )  # fmt: skip
    size = float(mpl.rcParams["legend.fontsize"])
    columns = max(1, round(float(figure_of(axes[0]).get_size_inches()[0]) / panel_inches(axes[0])))
    grow(figure_of(axes[0]), -(-len(axes) // columns) * rows * size * LINE)
