"""A panel drawn for print in the theme of all figures: SVG, CSV, and what it came from."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import pandas as pd

from symstudy.escaping import figure_text
from symstudy.explore.panels import PanelAnswer, answer_panel, finish_panel
from symstudy.explore.session import Session
from symstudy.explore.view import RequestError, View, read_view, where
from symstudy.identity import digest
from symstudy.plots.figures import Figure, color_ramp, figure_files, theme
from symstudy.plots.plot import Plot
from symstudy.plots.plotter import Plots

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw_figure"]


def draw_figure(session: Session, body: Mapping[str, Any]) -> dict[str, Any]:
    """Return a panel as SVG, CSV and JSON, as `symstudy plot` keeps figures.

    Lines are those of `symstudy plot scaling`, and the grid is `symstudy plot heatmap`.

    Args:
        session: The results.
        body: `filters`, `want` (the panel) and `link`, the address that shows the panel.

    Raises:
        RequestError: If the panel is not drawn for print.
        QueryError: If a figure cannot show it, such as more lines than can be told apart.
    """
    asked = body.get("want")
    panel = str(asked.get("panel")) if isinstance(asked, dict) else ""
    if not isinstance(asked, dict) or panel not in DRAWN:
        raise RequestError(f"a figure must be one of {', '.join(DRAWN)}, but got {asked!r}.")
    view = read_view(body.get("filters", {}), session.columns)
    with session.lock:
        answer = answer_panel(session.source, view, asked)
    answer = finish_panel(answer, asked)
    if not answer.rows:
        raise RequestError("a figure must have something to draw, but no run is in view.")
    more = {"rows": digest(repr(list(answer.rows))), "link": str(body.get("link", ""))}
    with session.lock, session.runs.reading:
        store = session.runs.store
        if panel in PLOTS:
            plot = PLOTS[panel](store.plot, view, asked)
            files = replace(plot, note={**plot.note, **more}).files()
        else:
            note = {"queries": [answer.sql], "fingerprint": store.fingerprint, **more}
            files = scatter_files(view, asked, answer, note)
    return {suffix: content.decode() for suffix, content in files.items()}


def plot_lines(plots: Plots, view: View, asked: Mapping[str, Any]) -> Plot:
    """Draw a measure against a column, with the laws that the panel shows."""
    x, measure = view.column(asked.get("x")), view.column(asked.get("measure"))
    by = [view.column(asked["by"]).name] if asked.get("by") else []
    return plots.scaling(
        x=x.name,
        y=measure.name,
        by=by,
        average=averaged(view, (x.name, *by)),
        where=condition_of(view),
        fit=str(asked.get("fit") or "none"),
    )


def plot_cells(plots: Plots, view: View, asked: Mapping[str, Any]) -> Plot:
    """Draw a measure over two columns."""
    x, y = view.column(asked.get("x")), view.column(asked.get("y"))
    return plots.heatmap(
        x=x.name,
        y=y.name,
        color=view.column(asked.get("measure")).name,
        average=averaged(view, (x.name, y.name)),
        where=condition_of(view),
    )


def averaged(view: View, shown: Sequence[str]) -> list[str]:
    """Return what the means of a panel are taken over besides seeds: the note below it says so."""
    return [name for name in view.varying if name not in shown]


def condition_of(view: View) -> str:
    """Return the filters as SQL; empty without any."""
    return where(view) if view.conditions else ""


def scatter_files(
    view: View, asked: Mapping[str, Any], answer: PanelAnswer, note: Mapping[str, Any]
) -> dict[str, bytes]:
    """Return the files of the panel of any two columns."""
    import matplotlib.pyplot as plt

    with theme():
        figure = draw_scatter(view, asked, answer)
        try:
            return figure_files(figure, note)
        finally:
            plt.close(figure.canvas)


def draw_scatter(view: View, asked: Mapping[str, Any], answer: PanelAnswer) -> Figure:
    """Draw two columns: a point a run, or the number of runs in each field."""
    import matplotlib.pyplot as plt

    x, y = view.column(asked.get("x")), view.column(asked.get("y"))
    frame = pd.DataFrame(list(answer.rows), columns=list(answer.columns))
    canvas, axes = plt.subplots(figsize=(6.4, 4.4), layout="constrained")
    if answer.more["form"] == "density":
        forms = zip(("x", "y"), answer.more["axes"], strict=True)
        logs = [name for name, form in forms if form.get("is_log")]
        is_below = (frame[logs] == -1).any(axis=1)
        if is_below.any():
            num = int(frame.loc[is_below, "runs"].sum())
            left_out = (
                f"Not drawn: {num:,} run{'s' * (num != 1)} at 0 or below on a logarithmic axis."
            )
            answer = answer._replace(notes=[*answer.notes, left_out])
            frame = frame[~is_below]
        draw_density(axes, frame, answer.more["axes"])
    else:
        axes.scatter(frame[x.name], frame[y.name], s=8, alpha=0.6, color=color_ramp(3)[1])
        for axis, form in zip((axes.set_xscale, axes.set_yscale), answer.more["axes"], strict=True):
            if form["form"] == "log":
                axis("log")
    axes.set(xlabel=figure_text(x.label), ylabel=figure_text(y.label))
    return Figure(canvas, frame.assign(panel="scatter"), caption_of(answer, "One point a run."))


def draw_density(axes: "Axes", frame: pd.DataFrame, forms: Sequence[Mapping[str, Any]]) -> None:
    """Draw the number of runs in each field, the axes in their own units."""
    places = []
    for name, form in zip(("x", "y"), forms, strict=True):
        if form["form"] == "bins":
            edges = form["edges"]
            places.append([(edges[at] + edges[at + 1]) / 2 for at in frame[name]])
        else:
            places.append([form["values"].index(value) for value in frame[name]])
    across, up = places
    points = axes.scatter(across, up, c=frame["runs"], s=12, marker="s", cmap="viridis")
    axes.figure.colorbar(points, label="runs")
    for scale, form in zip((axes.set_xscale, axes.set_yscale), forms, strict=True):
        if form.get("is_log"):
            scale("log")


PLOTS: Mapping[str, Callable[[Plots, View, Mapping[str, Any]], Plot]] = MappingProxyType(
    {"lines": plot_lines, "grid": plot_cells}
)
"""The figure of `symstudy plot` that each panel is drawn as."""
DRAWN = (*PLOTS, "scatter")
"""The panels that are drawn for print."""


def caption_of(answer: PanelAnswer, first: str) -> str:
    """Return the caption of a figure: what is drawn, and what a reader must know of it."""
    return " ".join([first, *answer.notes])
