"""Parallel coordinates: a line a cell over all swept hyperparameters, coloured by a value."""

import numpy as np
import pandas as pd

from symstudy.errors import QueryError
from symstudy.plots.captions import left_out_sentence
from symstudy.plots.figures import Figure
from symstudy.plots.heatmap import LOG
from symstudy.plots.labels import name_label, number_label, value_label
from symstudy.plots.left_out import count_left_out
from symstudy.plots.page import page_note, panel_axes, wrap
from symstudy.plots.plot import Plot, make_plot
from symstudy.plots.points import Question, chosen_sql, select
from symstudy.plots.scales import Scale, is_wide, scale_of, spread_of
from symstudy.plots.source import Source, has_numbers

__all__ = ["plot_parallel"]

MOST_CELLS = 5000
"""Lines of a figure; more cannot be told apart."""
MOST_NAMED = 7
"""Values of an axis that are written beside it."""


def plot_parallel(
    source: Source, color: str, columns: tuple[str, ...] = (), *, where: str = ""
) -> Plot:
    """Draw a line a cell over hyperparameters, coloured by the mean of a value over seeds.

    Args:
        source: The results.
        color: Column or key of the value.
        columns: Hyperparameters; what is swept if empty.
        where: Condition in SQL on what counts.

    Raises:
        UnknownNameError: If there is no such column.
        QueryError: If fewer than two hyperparameters vary, or there are too many cells.
    """
    names = columns or source.swept
    if len(names) < 2:
        raise QueryError(
            f"parallel coordinates must have two axes or more, but got {', '.join(names) or 'none'}"
            ". Name them, as in --x lr --x width, or type symstudy plot scaling."
        )
    selection = select(source, Question(x=names[0], y=color, by=tuple(names), where=where))
    axes_of = tuple(dict.fromkeys((selection.x, *selection.by)))
    values = [(f"{source.quoted(selection.y)}::double", "value")]
    values += [(source.quoted(name), f"c_{place}") for place, name in enumerate(axes_of)]
    chosen = chosen_sql(selection, values)
    listed = ", ".join(f"c_{place}" for place in range(len(axes_of)))
    query = (
        f"select study, cell_id, {listed}, avg(value) as value, count(distinct seed) as seeds "
        f"from ({chosen}) where isfinite(value) group by all order by all limit {MOST_CELLS + 1}"
    )
    frame = source.df(query)
    if frame.empty or len(frame) > MOST_CELLS:
        raise QueryError(
            f"parallel coordinates must have from 1 to {MOST_CELLS:,} cells, but there are "
            f"{'more' if len(frame) else 'none'}. Choose some with --where, or type symstudy plot "
            "importance for all of them."
        )
    scales = []
    for place, name in enumerate(axes_of):
        is_number = has_numbers(selection.columns, name)
        values_of = frame[f"c_{place}"]
        scales.append(scale_of(values_of.dropna(), name, is_number=is_number))
    left_out = count_left_out(
        source, selection.view, selection.where, f"select *, 0 as place from ({chosen})"
    )
    sentences = [
        f"One line a cell, of {len(frame):,}, by the mean over its seeds; the lowest are on top.",
        f"Where {where}." if where else "",
        left_out_sentence(left_out),
    ]
    figure = draw_parallel(frame, list(axes_of), scales, selection.y, sentences)
    options = {"color": color, "columns": list(axes_of), "where": where}
    return make_plot("parallel", figure, source, options, queries=[query])


def draw_parallel(
    frame: pd.DataFrame, names: list[str], scales: list[Scale], value: str, sentences: list[str]
) -> Figure:
    """Draw the lines, the lowest values on top."""
    from matplotlib.collections import LineCollection
    from matplotlib.colors import LogNorm, Normalize

    shown = frame.dropna().sort_values("value", ascending=False)
    heights = [height_of(scale, shown[f"c_{place}"]) for place, scale in enumerate(scales)]
    least, most = spread_of(shown["value"].to_numpy(float)) or (0.0, 1.0)
    is_log = is_wide(least, most, LOG)
    norm = LogNorm(least, most) if is_log else Normalize(least, most)
    canvas, (axis,) = panel_axes(1, height=0.62, widest=180.0)
    points = np.stack(
        [np.broadcast_to(np.arange(len(names)), (len(shown), len(names))), np.stack(heights, 1)],
        axis=2,
    )
    lines = LineCollection(list(points), cmap="viridis_r", norm=norm, linewidth=0.8, alpha=0.7)
    lines.set_array(shown["value"].to_numpy(float))
    axis.add_collection(lines)
    for place, scale in enumerate(scales):
        name_axis(axis, place, scale)
    axis.set_xticks(range(len(names)), [wrap(name_label(name), 16) for name in names])
    axis.set(xlim=(-0.1, len(names) - 0.65), ylim=(-0.04, 1.04))
    axis.set_yticks([])
    axis.grid(visible=False)
    axis.spines["left"].set_visible(False)
    canvas.colorbar(lines, ax=axis, label=name_label(value) + (" (log)" if is_log else ""))
    lost = len(frame) - len(shown)
    more = f"{lost} cells lack one of the hyperparameters." if lost else ""
    plain = [sentence.replace("$", "\\$") for sentence in (*sentences, more)]
    page_note(canvas, plain)
    renamed = frame.rename(columns={f"c_{place}": name for place, name in enumerate(names)})
    caption = " ".join(sentence for sentence in (*sentences, more) if sentence)
    return Figure(canvas, renamed.assign(panel="parallel"), caption)


def height_of(scale: Scale, values: pd.Series) -> np.ndarray:
    """Return where values lie on an axis from 0 to 1."""
    places = transformed(scale, values)
    ends = transformed(scale, pd.Series(scale.levels))
    least, most = float(ends.min()), float(ends.max())
    return (places - least) / (most - least) if most > least else np.full(len(places), 0.5)


def transformed(scale: Scale, values: pd.Series) -> np.ndarray:
    """Return places on an axis, of a logarithmic one their logarithms."""
    places = scale.place(values)
    return np.log(places) if scale.kind == "log" else places


def name_axis(axes: object, place: int, scale: Scale) -> None:
    """Draw one upright axis and write its values beside it."""
    import matplotlib as mpl

    canvas_axes: mpl.axes.Axes = axes  # type: ignore[assignment]  # kept out of the imports
    canvas_axes.axvline(place, color="0.35", linewidth=0.7, zorder=3)
    levels = list(scale.levels)
    if len(levels) > MOST_NAMED:
        step = (len(levels) - 1) / (MOST_NAMED - 1)
        levels = [levels[round(k * step)] for k in range(MOST_NAMED)]
    is_number = scale.kind != "categories"
    for level, height in zip(levels, height_of(scale, pd.Series(levels)), strict=True):
        text = number_label(float(level)) if is_number else value_label(level)
        canvas_axes.annotate(
            text, (place, height), xytext=(2, 0), textcoords="offset points", va="center",
            fontsize=max(6.0, float(mpl.rcParams["xtick.labelsize"]) * 0.9), zorder=4,
            bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 0.6},
        )  # fmt: skip
