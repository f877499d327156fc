"""A figure of results that was drawn, with what it rests on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import pandas as pd

from symstudy.errors import UserError
from symstudy.plots.figures import Figure
from symstudy.plots.laws import GroupLaw
from symstudy.plots.page import letter_panels
from symstudy.plots.saving import figure_files, parse_formats, picture
from symstudy.plots.source import Source

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas

__all__ = ["Plot", "make_plot"]


@final
@dataclass(frozen=True, kw_only=True)
class Plot:
    """A figure with the numbers in it, the laws that were fitted, and where it came from.

    Attributes:
        figure: The matplotlib figure.
        drawn: What was drawn, one row a mark.
        caption: What it shows, and what it leaves out.
        laws: What was fitted to each line; empty for kinds without a law.
        note: Kind, options, queries and fingerprint of the rows.
        name: Name of its files, without an ending.
    """

    figure: "Canvas"
    drawn: pd.DataFrame
    caption: str
    laws: tuple[GroupLaw, ...] = ()
    note: Mapping[str, Any] = field(default_factory=dict)
    name: str = "figure"

    @property
    def law(self) -> GroupLaw:
        """The law of the one line there is.

        Raises:
            UserError: If there are several lines, or no law was asked for.
        """
        if len(self.laws) != 1:
            raise UserError(
                f"law must be of one line, but the figure has {len(self.laws)}. Type .laws, or "
                "choose one line with where=."
            )
        return self.laws[0]

    def renamed(self, name: str) -> "Plot":
        """Return the same with another name of its files."""
        return replace(self, name=name)

    def files(self, formats: Sequence[str] = ("svg",)) -> dict[str, bytes]:
        """Return the files by ending: pictures, `csv` and `json`."""
        figure = Figure(self.figure, self.drawn, self.caption)
        return figure_files(figure, self.note, formats)

    def save(self, path: str | Path) -> list[Path]:
        """Write the picture, and beside it the table drawn (CSV) and its origin (JSON).

        Args:
            path: File that ends in .svg, .pdf or .png; its folder is made.

        Raises:
            UserError: If it ends in something else.
        """
        target = Path(path)
        made = []
        for ending, content in self.files(parse_formats(None, target)).items():
            file = target.with_suffix(f".{ending}")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
            made.append(file)
        return made

    def _repr_svg_(self) -> str:
        """Return the picture, for notebooks."""
        return picture(self.figure, "svg").decode()


def make_plot(
    kind: str,
    figure: Figure,
    source: Source,
    options: Mapping[str, Any],
    *,
    queries: Sequence[str],
    laws: tuple[GroupLaw, ...] = (),
) -> Plot:
    """Return a figure as a plot: lettered, with its origin, and closed for pyplot.

    Args:
        kind: Kind of the plot.
        figure: What was drawn.
        source: The results.
        options: What was asked for.
        queries: The SQL whose rows are drawn.
        laws: What was fitted.
    """
    import matplotlib.pyplot as plt

    letter_panels(figure.canvas)
    plt.close(figure.canvas)
    asked = {name: value for name, value in options.items() if value not in (None, "", (), [])}
    words = [kind, *(str(asked[name]) for name in ("y", "color", "x") if name in asked)]
    by = asked.get("by") or asked.get("facet") or ()
    return Plot(
        figure=figure.canvas,
        drawn=figure.drawn.reset_index(drop=True),
        caption=figure.caption,
        laws=laws,
        note={
            "kind": kind,
            "options": asked,
            "fingerprint": source.fingerprint,
            "queries": list(queries),
        },
        name="-".join(plain_word(word) for word in (*words, *by)),
    )


def plain_word(text: str) -> str:
    """Return a column or key as a part of a file's name."""
    return "".join(c if c.isascii() and (c.isalnum() or c == "_") else "_" for c in text)[:60]
