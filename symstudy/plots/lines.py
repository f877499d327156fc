"""Lines of a figure: one for each value of the columns in `by`, told apart by colour and marker."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from symstudy.errors import QueryError
from symstudy.plots.figures import PALETTE, color_ramp, error_bars
from symstudy.plots.labels import setting_label
from symstudy.plots.page import LINE, figure_of, grow, line_length, plain_text
from symstudy.plots.points import Points, keys_of
from symstudy.plots.scales import (
    Scale,
    is_wide,
    label_log_axis,
    log_limits,
    spread_of,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "FEW",
    "DrawnLine",
    "draw_line",
    "drawn_table",
    "legend_of",
    "lines_of",
    "scale_values",
    "shown_values",
    "y_notes",
]

MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<")
DASHES = ("-", "--", ":", "-.", (0, (5, 1)), (0, (3, 1, 1, 1)), (0, (1, 1)), (0, (8, 2)))
BAND = 0.18
"""Opacity of the band of an interval."""
FEW = 12
"""Places up to which each is marked; the intervals of more are a band."""
MOST_MARKERS = len(MARKERS)
MOST_LINES = 24
"""Lines of a panel; more cannot be told apart."""
MOST_DOWN = 3.0
"""An interval that ends further below the least mean, by this factor, runs off the figure."""
FEW_COLORS = 3
"""Numbers up to so many have colours of the palette; more have a ramp, from light to dark."""


class DrawnLine(NamedTuple):
    """A line of a figure.

    Attributes:
        group: Values of the columns in `by`.
        points: Its points, in order of place.
        color: Its colour: the same wherever the first column has the same value.
        marker: Its marker: the same wherever the second column has.
        dash: Its style.
    """

    group: Mapping[str, Any]
    points: pd.DataFrame
    color: Any
    marker: str
    dash: Any

    @property
    def name(self) -> str:
        """What a legend calls it."""
        return setting_label(self.group)


def lines_of(points: Points, every: pd.DataFrame | None = None) -> list[DrawnLine]:
    """Return the lines of points: the colour tells the first column of `by`, the marker the second.

    Args:
        points: The points.
        every: Points of all panels, where there are several: a value has one colour in all.

    Raises:
        QueryError: If there are more than can be told apart.
    """
    by = points.selection.by
    groups = list(groups_of(points))
    if len(by) > 2 or len(groups) > MOST_LINES:
        told = f"{len(groups)} lines" if len(by) <= 2 else f"{len(by)} columns"
        raise QueryError(
            f"--by must make at most {MOST_LINES} lines by two columns (colour and marker), but "
            f"makes {told}. Choose some with --where, or type symstudy plot grid with --facet "
            f"{by[-1]} for a panel each."
        )
    firsts, seconds = ([group.get(name) for group, _ in groups] for name in padded(by))
    colors, markers = distinct(firsts), distinct(seconds)
    if every is not None:
        known = [name for name in ("by_0", "by_1")[: len(by)] if name in every]
        values = [sorted_values(every[name]) for name in known]
        colors, markers = ([*values, [None], [None]])[:2]
    if len(markers) > MOST_MARKERS:
        raise QueryError(
            f"the second column of --by must have at most {MOST_MARKERS} values, but {by[1]} has "
            f"{len(markers)}. Name it first, or choose some with --where."
        )
    hues = hues_of(colors)
    found = []
    for (group, rows), first, second in zip(groups, firsts, seconds, strict=True):
        place = index_of(second, markers)
        color = hues[index_of(first, colors)]
        found.append(DrawnLine(group, rows, color, MARKERS[place], DASHES[place]))
    return found


def padded(by: Sequence[str]) -> tuple[str, str]:
    """Return two names of columns, empty where there are fewer."""
    first, second = ([*by, "", ""])[:2]
    return first, second


def groups_of(points: Points) -> Iterator[tuple[dict[str, Any], pd.DataFrame]]:
    """Return the values of `by` and the points of each line."""
    keys = keys_of(points.selection)[1:]
    if not keys:
        yield {}, points.frame
        return
    for values, rows in points.frame.groupby(keys, dropna=False, sort=True):
        yield dict(zip(points.selection.by, values, strict=True)), rows


def sorted_values(values: pd.Series) -> list[Any]:
    """Return the different values of a column in order, null last."""
    return list(values.drop_duplicates().sort_values())


def distinct(values: Sequence[Any]) -> list[Any]:
    """Return different values in their order; NaN once."""
    return list(pd.Series(values, dtype=object).drop_duplicates())


def index_of(value: Any, values: Sequence[Any]) -> int:
    """Return the place of a value among others; NaN is at NaN."""
    return next(
        k for k, one in enumerate(values) if one is value or one == value or is_nan(one, value)
    )


def is_nan(one: Any, other: Any) -> bool:
    """Return whether both are NaN."""
    return isinstance(one, float) and isinstance(other, float) and one != one and other != other  # noqa: PLR0124


def hues_of(values: Sequence[Any]) -> list[Any]:
    """Return a colour for each value: a ramp for many numbers, the palette for names."""
    is_ordered = all(isinstance(value, int | float | np.number) for value in values)
    is_bool = all(isinstance(value, bool | np.bool_) for value in values)
    if (is_ordered and not is_bool and len(values) > FEW_COLORS) or len(values) > len(PALETTE):
        return color_ramp(len(values))
    return list(PALETTE[: len(values)])


def draw_line(
    axes: "Axes", line: DrawnLine, scale: Scale, *, is_joined: bool, label: str = ""
) -> None:
    """Draw the means of a line with their t intervals, as a band where places are many."""
    points = line.points
    places = scale.place(points["place"])
    if is_joined and len(points) > FEW:
        axes.plot(places, points["mean"], line.dash, color=line.color, label=label or line.name)
        axes.fill_between(
            places, points["low"], points["high"], color=line.color, alpha=BAND, linewidth=0
        )
        return
    axes.errorbar(
        places,
        points["mean"],
        yerr=error_bars(points["low"], points["mean"], points["high"]),
        linestyle=line.dash if is_joined else "none",
        marker=line.marker,
        color=line.color,
        label=label or line.name,
    )


def scale_values(axes: "Axes", values: Sequence[float], factor: float = 1.0) -> bool:
    """Make the axis of values logarithmic if all are positive and differ by more than a factor.

    Returns:
        Whether it is.
    """
    spread = spread_of(values)
    if spread is None or not is_wide(*spread, factor):
        return False
    axes.set_yscale("log")
    label_log_axis(axes.yaxis, *spread)
    axes.set_ylim(log_limits(*spread))
    return True


def shown_values(frame: pd.DataFrame) -> list[float]:
    """Return the means, and the ends of their intervals that a logarithmic axis has room for."""
    least = float(frame["mean"].min())
    low = [value for value in frame["low"] if value > least / MOST_DOWN]
    return [*frame["mean"], *frame["high"], *low]


def y_notes(values: Sequence[float], name: str) -> str:
    """Return what must be said of the axis of values, or nothing."""
    spread = spread_of(values)
    if spread is None or spread[0] > 0:
        return ""
    return f"{name} is not positive everywhere, so its axis is linear."


def legend_of(panels: Sequence["Axes"], *, title: str = "") -> None:
    """Explain the lines of panels above the figure, each once, where they hide none of the data."""
    import matplotlib as mpl

    told: dict[str, Any] = {}
    for panel in panels:
        for handle, name in zip(*panel.get_legend_handles_labels(), strict=True):
            told.setdefault(name, handle)
    if not any(told):
        return
    handles, names = list(told.values()), list(told)
    canvas = figure_of(panels[0])
    size = float(mpl.rcParams["legend.fontsize"])
    widest = max(len(plain_text(name)) for name in names) + 6
    columns = max(1, min(4, line_length(canvas, size) // widest))
    rows = -(-len(names) // columns) + bool(title)
    grow(canvas, rows * size * LINE + size)
    canvas.legend(handles, names, loc="outside upper left", ncols=columns, title=title or None)


def drawn_table(points: Points, frame: pd.DataFrame | None = None) -> pd.DataFrame:
    """Return points as a table under the names of their columns, which are told apart."""
    selection = points.selection
    table = points.frame if frame is None else frame
    names = {"place": selection.x}
    names |= {f"by_{place}": name for place, name in enumerate(selection.by)}
    taken = set(table.columns) - set(names)
    return table.rename(
        columns={old: f"{new}_" if new in taken else new for old, new in names.items()}
    )
