"""How figures look, and how they are kept.

One theme for all: a colour-blind palette, units on the axes, no chart junk. A figure is saved as
SVG beside the CSV of what was drawn and a note of the queries and the data it came from, so that it
can be drawn again, and shown as stale once rows have been added.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from symstudy.plots.saving import figure_files
from symstudy.plots.style import theme

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

__all__ = [
    "PALETTE",
    "Figure",
    "color_ramp",
    "draw_heat_map",
    "error_bars",
    "figure_files",
    "legend_beside",
    "log_ticks",
    "theme",
]

PALETTE = ("#0173b2", "#de8f05", "#029e73", "#d55e00", "#cc78bc", "#ca9161", "#56b4e9", "#949494")
"""Okabe and Ito's colours, as seaborn's `colorblind` orders them."""

RAMPS = ("viridis_r", "flare", "YlGnBu", "Purples")
"""Ramps of colours; a second hyperparameter in a figure has the second."""
MOST_LEVEL_TICKS = 5
"""More labels than these on a horizontal axis are turned, so that they do not overlap."""


class Figure(NamedTuple):
    """A drawn figure and the numbers in it.

    Attributes:
        canvas: The matplotlib figure.
        drawn: What was drawn, one row a mark; the column `panel` says where.
        caption: What it shows, for a reader who has not seen the claim.
    """

    canvas: "Canvas"
    drawn: pd.DataFrame
    caption: str


def color_ramp(count: int, family: int = 0) -> list[Any]:
    """Return `count` colours that read as an order, also in grey: from light to dark.

    Args:
        count: Number of colours.
        family: Which of the ramps: each means one hyperparameter.
    """
    import seaborn as sns

    return list(sns.color_palette(RAMPS[family % len(RAMPS)], count + 1)[1:])


def log_ticks(axes: "Axes", values: Sequence[float], axis: str = "x") -> None:
    """Label a logarithmic axis with exactly the `values` that were swept."""
    from matplotlib import ticker

    target = axes.xaxis if axis == "x" else axes.yaxis
    target.set_major_locator(ticker.FixedLocator(list(values)))
    target.set_major_formatter(
        ticker.FixedFormatter([f"{value:.3g}" if value < 1 else f"{value:g}" for value in values])
    )
    target.set_minor_locator(ticker.NullLocator())
    if axis == "x" and len(values) > MOST_LEVEL_TICKS:
        axes.tick_params(axis="x", rotation=45)


def legend_beside(axes: "Axes", title: str, explained: "Axes | None" = None) -> None:
    """Explain the lines of `explained` (of `axes` if None) right of `axes`, where it hides none."""
    handles, names = (explained or axes).get_legend_handles_labels()
    place: dict[str, Any] = {"loc": "upper left", "bbox_to_anchor": (1.0, 1.02)}
    axes.legend(handles, names, title=title, **place)


def draw_heat_map(
    axes: "Axes",
    frame: pd.DataFrame,
    *,
    x: str,
    y: str,
    value: str,
    label: str,
    digits: str = ".3g",
) -> None:
    """Draw `value` over two swept axes, with the number in each field.

    Args:
        axes: Where.
        frame: One row a field.
        x: Column along the horizontal axis.
        y: Column along the vertical axis, growing upwards.
        value: Column of the colour.
        label: Name and unit of the value.
        digits: How numbers are written.
    """
    import seaborn as sns

    table = frame.pivot_table(index=y, columns=x, values=value).sort_index(ascending=False)
    table.index = [f"{v:.2g}" for v in table.index]
    table.columns = [f"{v:.2g}" for v in table.columns]
    sns.heatmap(
        table,
        ax=axes,
        annot=True,
        fmt=digits,
        cmap="viridis",
        annot_kws={"fontsize": 8},
        linewidths=0.5,
        cbar_kws={"label": label},
    )
    axes.set_yticklabels(axes.get_yticklabels(), rotation=0)
    if len(table.columns) > MOST_LEVEL_TICKS:
        axes.tick_params(axis="x", rotation=45)


def error_bars(low: Sequence[float], mean: Sequence[float], high: Sequence[float]) -> Any:
    """Return distances from the mean to both ends, for matplotlib; 0 where there are none."""
    below = np.nan_to_num(np.asarray(mean, float) - np.asarray(low, float), posinf=0.0, neginf=0.0)
    above = np.nan_to_num(np.asarray(high, float) - np.asarray(mean, float), posinf=0.0, neginf=0.0)
    return np.stack([below, above])
