"""Axes of swept values: logarithmic where they are positive, with a place for 0, or categories."""

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from symstudy.plots.labels import number_label, value_label
from symstudy.plots.page import panel_inches, plain_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "Scale",
    "categories",
    "draw_scale",
    "is_wide",
    "label_log_axis",
    "log_limits",
    "scale_of",
    "spread_of",
]

MOST_TICKS = 8
"""Values up to which an axis is labelled with exactly these."""
MOST_LONG, LONG, BROAD = 6, 5, 3.0
"""More values than that with longer labels are not written out on a panel of fewer inches."""
WIDTH = 0.62
"""Width of a digit over the size of text."""
WIDE = 200.0
"""Values that differ by a larger factor have labels at powers of ten alone."""
WIDE_ACROSS = 20.0
"""The same of a horizontal axis, whose labels stand beside each other."""
CROWDED = 4.0
"""Values that differ by a larger factor have labels at 1, 2 and 5 alone."""
PLAIN = (1e-3, 1e4)
"""Powers of ten from the first to the second are written as digits, where an axis has no other."""
MARGIN = 0.05
"""Room at both ends of a logarithmic axis, over its length."""

Array = NDArray[np.float64]


class Scale(NamedTuple):
    """How the values of a column lie on an axis.

    Attributes:
        kind: `log`, `linear` or `categories`.
        levels: The different values, in order.
        zero: Place of the value 0 on a logarithmic axis; None without one.
        note: What must be said of the axis, or nothing.
    """

    kind: str
    levels: tuple[Any, ...]
    zero: float | None = None
    note: str = ""

    def place(self, values: pd.Series) -> Array:
        """Return where values lie."""
        if self.kind == "categories":
            places = {value: float(place) for place, value in enumerate(self.levels)}
            return np.array([places[value] for value in values])
        numbers = values.to_numpy(float)
        return numbers if self.zero is None else np.where(numbers == 0, self.zero, numbers)


def categories(values: pd.Series) -> Scale:
    """Return the scale on which each value has a place of its own, in order."""
    distinct = values.drop_duplicates().tolist()
    return Scale("categories", tuple(sorted(distinct, key=lambda v: (isinstance(v, str), v))))


def scale_of(values: pd.Series, name: str, *, is_number: bool = True) -> Scale:
    """Return the scale of a horizontal axis.

    Args:
        values: The values.
        name: What they are called.
        is_number: Whether they are numbers.
    """
    if not is_number:
        return categories(values)
    distinct = tuple(sorted(float(value) for value in values.unique()))
    positive = [value for value in distinct if value > 0]
    if distinct[0] < 0 or not positive:
        return Scale("linear", distinct, note=f"{name} is not positive, so its axis is linear.")
    if distinct[0] > 0:
        return Scale("log", distinct)
    step = (positive[-1] / positive[0]) ** (1 / max(len(positive) - 1, 1)) if positive[1:] else 10
    return Scale("log", distinct, zero=positive[0] / max(min(step, 10.0), 2.0))


def draw_scale(axes: "Axes", scale: Scale, *, is_labelled: bool = True) -> None:
    """Give a horizontal axis its scale and labels."""
    if scale.kind == "categories":
        axes.set_xlim(-0.5, len(scale.levels) - 0.5)
        texts = [value_label(value) for value in scale.levels]
        set_labels(axes, list(range(len(texts))), texts, is_labelled=is_labelled)
        return
    if scale.kind == "linear":
        if not is_labelled:
            axes.tick_params(labelbottom=False)
        return
    axes.set_xscale("log")
    positive = [value for value in scale.levels if value > 0]
    if len(scale.levels) <= MOST_TICKS and not is_crowded(axes, scale):
        places = scale.place(pd.Series(scale.levels)).tolist()
        set_labels(axes, places, [value_label(v) for v in scale.levels], is_labelled=is_labelled)
    elif scale.zero is not None:
        first, last = math.ceil(math.log10(positive[0])), math.floor(math.log10(positive[-1]))
        tens = [10.0**power for power in range(first, last + 1)]
        texts = ["0", *map(ten_labels(tens[0], tens[-1]), tens)]
        set_labels(axes, [scale.zero, *tens], texts, is_labelled=is_labelled)
    else:
        label_log_axis(axes.xaxis, positive[0], positive[-1])
        axes.tick_params(labelbottom=is_labelled)
    axes.set_xlim(log_limits(scale.zero or positive[0], positive[-1]))
    if scale.zero is not None:
        middle = math.sqrt(scale.zero * positive[0])
        axes.axvline(middle, color="0.55", linewidth=0.6, linestyle=(0, (1, 2)), zorder=0)


def is_crowded(axes: "Axes", scale: Scale) -> bool:
    """Return whether the labels of all values would be unreadable even if they are turned."""
    texts = [plain_text(value_label(value)) for value in scale.levels]
    return len(texts) > MOST_LONG and max(map(len, texts)) > LONG and panel_inches(axes) < BROAD


def set_labels(
    axes: "Axes", places: Sequence[float], texts: Sequence[str], *, is_labelled: bool
) -> None:
    """Label places of a horizontal axis; turned where they would overlap."""
    import matplotlib as mpl
    from matplotlib import ticker

    axes.xaxis.set_major_locator(ticker.FixedLocator(list(places)))
    axes.xaxis.set_major_formatter(ticker.FixedFormatter(list(texts)))
    axes.xaxis.set_minor_locator(ticker.NullLocator())
    room = panel_inches(axes) * 72 / (float(mpl.rcParams["xtick.labelsize"]) * WIDTH)
    if is_labelled and sum(len(plain_text(text)) + 2.5 for text in texts) > room:
        axes.tick_params(axis="x", rotation=45)
        for label in axes.get_xticklabels():
            label.set(ha="right", rotation_mode="anchor")
    axes.tick_params(labelbottom=is_labelled)


def log_limits(least: float, most: float) -> tuple[float, float]:
    """Return the ends of a logarithmic axis that holds values with room at both ends."""
    room = max((most / least) ** MARGIN, 1.03)
    return least / room, most * room


def label_log_axis(axis: Any, least: float, most: float) -> None:
    """Label a logarithmic axis of matplotlib so that it has three labels or more.

    Args:
        axis: The axis.
        least: Its least value.
        most: Its largest value.
    """
    from matplotlib import ticker

    wide = WIDE_ACROSS if axis.axis_name == "x" else WIDE
    ratio = most / least
    tell = ten_labels(least, most) if ratio >= wide else number_label
    axis.set_major_formatter(ticker.FuncFormatter(lambda value, _: tell(value)))
    if ratio >= wide:
        axis.set_minor_formatter(ticker.NullFormatter())
        return
    if ratio > CROWDED:
        axis.set_major_locator(ticker.LogLocator(subs=(1.0, 2.0, 5.0)))
        axis.set_minor_locator(ticker.NullLocator())
        return
    axis.set_major_locator(ticker.MaxNLocator(nbins=5, steps=[1, 2, 2.5, 5, 10]))
    axis.set_minor_locator(ticker.NullLocator())


def ten_labels(least: float, most: float) -> Callable[[float], str]:
    """Return what writes the powers of ten of one axis, all as digits or all as powers."""
    if least > PLAIN[0] / 10 and most < PLAIN[1] * 10:
        return lambda value: f"{value:.15g}"
    return lambda value: f"$10^{{{round(math.log10(value))}}}$"


def spread_of(values: Sequence[float] | Array) -> tuple[float, float] | None:
    """Return the least and the largest finite value; None without any."""
    known = np.asarray(values, float)
    known = known[np.isfinite(known)]
    return (float(known.min()), float(known.max())) if len(known) else None


def is_wide(least: float, most: float, factor: float) -> bool:
    """Return whether values are positive and differ by more than a factor."""
    return least > 0 and most > factor * least
