"""A panel drawn for print in the theme of all figures: SVG, CSV, and what it came from."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from symstudy.escaping import figure_text
from symstudy.explore.panels import PanelAnswer, answer_panel, finish_panel
from symstudy.explore.session import Session
from symstudy.explore.view import RequestError, View, read_view
from symstudy.identity import digest
from symstudy.plots.figures import Figure, color_ramp, draw_heat_map, figure_files, theme
from symstudy.plots.panels import Curve, Line, Panel, draw_panels

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw_figure"]


def draw_figure(session: Session, body: Mapping[str, Any]) -> dict[str, Any]:
    """Return a panel as SVG, CSV and JSON, as `symstudy plot` keeps figures.

    Args:
        session: The results.
        body: `filters`, `want` (the panel) and `link`, the address that shows the panel.

    Raises:
        RequestError: If the panel is not drawn for print.
    """
    asked = body.get("want")
    drawing = DRAWINGS.get(str(asked.get("panel"))) if isinstance(asked, dict) else None
    if not isinstance(asked, dict) or drawing is None:
        raise RequestError(f"a figure must be one of {', '.join(DRAWINGS)}, but got {asked!r}.")
    view = read_view(body.get("filters", {}), session.columns)
    with session.lock:
        answer = answer_panel(session.source, view, asked)
        fingerprint = session.runs.store.fingerprint
    answer = finish_panel(answer, asked)
    if not answer.rows:
        raise RequestError("a figure must have something to draw, but no run is in view.")
    import matplotlib.pyplot as plt

    with theme():
        figure = drawing(view, asked, answer)
        rows = digest(repr(list(answer.rows)))
        note = {
            "queries": [answer.sql],
            "fingerprint": fingerprint,
            "rows": rows,
            "link": str(body.get("link", "")),
        }
        try:
            files = figure_files(figure, note)
        finally:
            plt.close(figure.canvas)
    return {suffix: content.decode() for suffix, content in files.items()}


def draw_lines(view: View, asked: Mapping[str, Any], answer: PanelAnswer) -> Figure:
    """Draw a measure against a column."""
    x, measure = view.column(asked.get("x")), view.column(asked.get("measure"))
    by = view.column(asked["by"]) if asked.get("by") else None
    frame = pd.DataFrame(answer.rows, columns=list(answer.columns))
    is_categories = answer.more["x_form"] == "categories"
    keys = list(dict.fromkeys(frame["x"])) if is_categories else []
    lines, curves = [], []
    laws = {law["line"]: law for law in answer.more["laws"]}
    for place, key in enumerate(answer.more["lines"]):
        own = frame[frame["line"].isna() if key is None else frame["line"] == key]
        places = [keys.index(value) for value in own["x"]] if is_categories else own["x"]
        points = pd.DataFrame(
            {"place": places, "median": own["mean"], "low": own["low"], "high": own["high"]}
        ).astype(float)
        name = f"{by.label} {key}" if by else measure.label
        if key in laws:
            name += f": {laws[key]['text']}"
            law = pd.DataFrame(laws[key]["points"], columns=["x", "y"])
            curves.append(Curve(law["x"].to_numpy(), law["y"].to_numpy(), place, "--"))
        lines.append(
            Line(name, {by.name if by else "line": key}, points.assign(seeds=own["seeds"]))
        )
    panel = Panel(
        "lines",
        "",
        x.name,
        x.label,
        measure.label,
        lines,
        curves,
        is_log_x=answer.more["x_form"] == "log",
        is_log_y=bool(answer.more["is_log"]),
    )
    figure = draw_panels([panel], caption_of(answer, "Means over seeds with 95 % t intervals."))
    if is_categories:
        (axes,) = figure.canvas.axes
        axes.set_xticks(range(len(keys)), [figure_text(text_of(key)) for key in keys])
    return figure


def draw_grid(view: View, asked: Mapping[str, Any], answer: PanelAnswer) -> Figure:
    """Draw a measure over two columns."""
    import matplotlib.pyplot as plt

    measure = view.column(asked.get("measure"))
    x, y = view.column(asked.get("x")), view.column(asked.get("y"))
    frame = pd.DataFrame(answer.rows, columns=list(answer.columns)).dropna(subset=["mean"])
    if frame.empty:
        raise RequestError("a figure must have something to draw, but no cell has a mean.")
    canvas, axes = plt.subplots(figsize=(6.4, 4.4), layout="constrained")
    draw_heat_map(axes, frame, x="x", y="y", value="mean", label=figure_text(measure.label))
    axes.set(xlabel=figure_text(x.label), ylabel=figure_text(y.label))
    return Figure(canvas, frame.assign(panel="grid"), caption_of(answer, "Means over seeds."))


def draw_scatter(view: View, asked: Mapping[str, Any], answer: PanelAnswer) -> Figure:
    """Draw two columns: a point a run, or the number of runs in each field."""
    import matplotlib.pyplot as plt

    x, y = view.column(asked.get("x")), view.column(asked.get("y"))
    frame = pd.DataFrame(answer.rows, columns=list(answer.columns))
    canvas, axes = plt.subplots(figsize=(6.4, 4.4), layout="constrained")
    if answer.more["form"] == "density":
        forms = zip(("x", "y"), answer.more["axes"], strict=True)
        logs = [name for name, form in forms if form.get("is_log")]
        is_below = (frame[logs] == -1).any(axis=1)
        if is_below.any():
            num = int(frame.loc[is_below, "runs"].sum())
            left_out = f"Not drawn: {num:,} runs at 0 or below on a logarithmic axis."
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


DRAWINGS = {"lines": draw_lines, "grid": draw_grid, "scatter": draw_scatter}
"""How each panel that is drawn for print is drawn."""


def caption_of(answer: PanelAnswer, first: str) -> str:
    """Return the caption of a figure: what is drawn, and what a reader must know of it."""
    return " ".join([first, *answer.notes])


def text_of(value: Any) -> str:
    """Return a value as a label."""
    return f"{value:g}" if isinstance(value, float) else str(value)
