"""The page that a figure is drawn for: its width in print, panels, letters and the note below."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from symstudy.errors import UserError
from symstudy.plots.labels import typeset

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

__all__ = [
    "LEAST_POINTS",
    "Page",
    "as_wide_as",
    "figure_of",
    "grow",
    "letter_panels",
    "line_length",
    "page",
    "page_note",
    "panel_axes",
    "panel_inches",
    "parse_width",
    "plain_text",
    "wrap",
    "write_above",
]

MM_PER_INCH = 25.4
FULL_MM = 180.0
"""Width of a figure over two columns."""
PANEL_MM = 56.0
"""Narrowest panel: as many stand side by side as fit."""
ALONE_MM = 110.0
"""Width of a figure of one panel, where none was asked for."""
LEAST_POINTS = 6.0
"""Smallest text, in points."""
SMALL_MM = 120.0
"""Figures that are narrower have smaller text, of `SMALL` of its size."""
SMALL = 0.88
NARROWEST_MM, WIDEST_MM = 40.0, 600.0
LINE = 1.3
"""Height of a line of text over its size."""
LETTERS = "abcdefghijklmnopqrstuvwxyz"
UNITS = {"mm": 1.0, "cm": 10.0, "in": MM_PER_INCH, "pt": MM_PER_INCH / 72}
MATHS = re.compile(r"((?<!\\)\$[^$]*(?<!\\)\$)")
MARKS = re.compile(r"\\[a-z]+|[${}^_\\]")
WIDTH = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*")


class Page(NamedTuple):
    """What a figure is drawn for.

    Attributes:
        width_mm: Width in print that was asked for; None for what the panels need, up to two
            columns of a journal.
    """

    width_mm: float | None = None

    @property
    def text(self) -> float:
        """Size of text over that of the style file."""
        return SMALL if self.width_mm is not None and self.width_mm < SMALL_MM else 1.0


EVERYWHERE = Page()
CURRENT: ContextVar[Page] = ContextVar("page", default=EVERYWHERE)


def page() -> Page:
    """Return the page that is drawn for now."""
    return CURRENT.get()


@contextmanager
def as_wide_as(width_mm: float | None) -> Iterator[Page]:
    """Draw for a page of this width; None for what each figure needs."""
    token = CURRENT.set(Page(width_mm))
    try:
        yield CURRENT.get()
    finally:
        CURRENT.reset(token)


def parse_width(text: str | None) -> float | None:
    """Return a width such as `89mm`, `8.9cm` or `3.5in` in millimetres; None for none.

    Raises:
        UserError: If it is no width, or no width of a page.
    """
    if text is None:
        return None
    found = WIDTH.fullmatch(text)
    value = float(found[1]) * UNITS.get(found[2], 0.0) if found else 0.0
    if not NARROWEST_MM <= value <= WIDEST_MM:
        raise UserError(
            f"--width must be a length from {NARROWEST_MM:g}mm to {WIDEST_MM:g}mm with its unit, "
            f"mm, cm, in or pt, but got {text!r}. Type --width 89mm for one column of a journal."
        )
    return value


def panel_axes(
    count: int,
    *,
    height: float = 0.82,
    widest: float = ALONE_MM,
    most_columns: int = 3,
    heights: Sequence[float] = (),
) -> tuple["Canvas", "list[Axes]"]:
    """Return a figure and axes of `count` panels, as many side by side as the page has room for.

    Args:
        count: Number of panels.
        height: Height of a panel over its width.
        widest: Width of the figure in millimetres if there is one panel and no width was asked for.
        most_columns: Panels that stand side by side at the most.
        heights: Relative heights of parts below each other that each panel has; axes are returned
            part by part, panel after panel.
    """
    import matplotlib.pyplot as plt

    asked = page().width_mm
    room = asked or FULL_MM
    columns = max(1, min(count, most_columns, int(room // PANEL_MM)))
    width = asked or min(FULL_MM, widest if columns == 1 else FULL_MM * max(columns, 2) / 3)
    rows = -(-count // columns)
    tall = min(width / columns * height, 75.0)
    if not heights:
        canvas, axes = plt.subplots(
            rows, columns, figsize=inches(width, rows * tall), layout="constrained", squeeze=False
        )
        panels = list(axes.flat)
        for axis in panels[count:]:
            axis.set_axis_off()
        return canvas, panels[:count]
    whole = tall * sum(heights) / heights[0]
    canvas = plt.figure(figsize=inches(width, rows * whole), layout="constrained")
    outer = canvas.add_gridspec(rows, columns)
    parts: list[Axes] = []
    for place in range(count):
        inner = outer[place // columns, place % columns].subgridspec(
            len(heights), 1, height_ratios=list(heights)
        )
        first = canvas.add_subplot(inner[0])
        below = [canvas.add_subplot(inner[k], sharex=first) for k in range(1, len(heights))]
        parts += [first, *below]
    return canvas, parts


def inches(width_mm: float, height_mm: float) -> tuple[float, float]:
    """Return a size in inches."""
    return width_mm / MM_PER_INCH, height_mm / MM_PER_INCH


def letter_panels(canvas: "Canvas") -> None:
    """Write a letter above each panel, left of its title, where a figure has several."""
    panels = [axis for axis in canvas.axes if is_panel(axis)]
    if len(panels) < 2:
        return
    for letter, axis in zip(LETTERS, panels, strict=False):
        title = axis.get_title(loc="left")
        axis.set_title(rf"$\mathbf{{{letter}}}$  {title}".rstrip(), loc="left")


def is_panel(axis: "Axes") -> bool:
    """Return whether axes are a panel: neither a colour bar, nor hidden, nor part of another."""
    return bool(axis.axison) and axis.get_label() not in ("<colorbar>", "part")


def line_length(canvas: "Canvas", points: float, share: float = 1.0) -> int:
    """Return how many characters of text of so many points fit across a figure."""
    return max(20, int(canvas.get_size_inches()[0] * 72 * share / (points * 0.56)))


def wrap(text: str, length: int) -> str:
    """Return text in lines of so many characters as they are seen; mathematics is never broken."""
    parts = MATHS.split(text)
    words = "".join(
        part.replace(" ", "\0") if place % 2 else part for place, part in enumerate(parts)
    ).split(" ")
    lines, line = [], ""
    for word in words:
        longer = f"{line} {word}" if line else word
        if line and len(plain_text(longer.replace("\0", " "))) > length:
            lines.append(line)
            longer = word
        line = longer
    return "\n".join([*lines, line]).replace("\0", " ")


def plain_text(label: str) -> str:
    """Return about what is seen of a label, without the marks of mathematics."""
    return MARKS.sub("", label)


def write_above(canvas: "Canvas", text: str) -> None:
    """Write a line above a figure, such as what it says and the verdict; mathematics is set."""
    import matplotlib as mpl

    size = float(mpl.rcParams["figure.titlesize"])
    told = wrap(typeset(text), line_length(canvas, size))
    grow(canvas, (told.count("\n") + 1.5) * size * LINE)
    if canvas.legends:
        # The layout would put a title of the figure over a legend that is there too.
        legend = canvas.legends[0]
        legend.set_title(told)
        legend.get_title().set_fontsize(size)
        legend.set_alignment("left")
    else:
        canvas.suptitle(told, x=0.01, ha="left", multialignment="left")


def page_note(canvas: "Canvas", sentences: Sequence[str]) -> None:
    """Write sentences below a figure, as wide as it is."""
    import matplotlib as mpl

    size = max(LEAST_POINTS, float(mpl.rcParams["legend.fontsize"]) * 0.93)
    told = " ".join(sentence for sentence in sentences if sentence)
    if told:
        text = wrap(told, line_length(canvas, size))
        grow(canvas, (text.count("\n") + 1) * size * LINE)
        canvas.supxlabel(
            text,
            x=0.01, ha="left", multialignment="left", fontsize=size, color="0.35",
        )  # fmt: skip


def grow(canvas: "Canvas", points: float) -> None:
    """Make a figure higher by so many points, for text that is written outside of its panels."""
    width, height = canvas.get_size_inches()
    canvas.set_size_inches(width, height + points / 72)


def figure_of(axes: "Axes") -> "Canvas":
    """Return the whole figure that axes are in."""
    canvas = axes.get_figure(root=True)
    assert canvas is not None
    return canvas


def panel_inches(axes: "Axes") -> float:
    """Return about how wide a panel will be."""
    place = axes.get_subplotspec()
    width = float(figure_of(axes).get_size_inches()[0])
    return 0.72 * width / (place.get_topmost_subplotspec().get_gridspec().ncols if place else 1)


def scaled(settings: dict[str, object], factor: float) -> dict[str, object]:
    """Return settings of matplotlib with every size of text scaled, to no less than is legible."""
    sizes = {
        key: max(LEAST_POINTS, round(float(value) * factor, 2))
        for key, value in settings.items()
        if (key.endswith(("labelsize", "fontsize", "titlesize")) or key == "font.size")
        and isinstance(value, int | float | np.floating)
    }
    return {**settings, **sizes}
