"""The scaling figure: means over seeds along an axis, the law, residuals, what was held out."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from symstudy.plots.captions import Sentences, data_sentences
from symstudy.plots.figures import Figure
from symstudy.plots.labels import name_label, number_label, setting_label, value_label
from symstudy.plots.laws import NONE, GroupLaw, fit_lines, law_words, read_form
from symstudy.plots.lines import (
    DrawnLine,
    draw_line,
    drawn_table,
    legend_of,
    lines_of,
    scale_values,
    shown_values,
    y_notes,
)
from symstudy.plots.page import page_note, panel_axes
from symstudy.plots.plot import Plot, make_plot
from symstudy.plots.points import Points, Question, read_points, select
from symstudy.plots.scales import Scale, draw_scale, scale_of
from symstudy.plots.source import Source

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw_scaling", "plot_scaling"]

HOLD_OUT = 1
CURVE = 100
"""Points of the curve of a law."""
ROUNDING = 1e-9
"""Distance from a law, in percent, that is rounding."""
MOST_TOLD = 4
"""Lines whose rivals and predictions are told below a figure; of more the table tells."""


def plot_scaling(
    source: Source, question: Question, *, fit: str | None = None, hold_out: int = HOLD_OUT
) -> Plot:
    """Draw a value along an axis on logarithmic axes, with the law that it follows.

    Args:
        source: The results.
        question: What is shown.
        fit: Form of the law; a power law where places are numbers, if None.
        hold_out: How many of the largest places are predicted from the others.

    Raises:
        UnknownNameError: If there is no such column or form.
        QueryError: If a mean would be over other axes than seeds, or there are no runs.
    """
    form = read_form(fit) if fit is not None else None
    selection = select(source, question)
    points = read_points(source, selection)
    chosen = form or ("power" if selection.has_numeric_x else NONE)
    laws = fit_lines(source, points, chosen, hold_out)
    figure = draw_scaling(points, laws)
    options = {**question.__dict__, "fit": chosen, "hold_out": hold_out}
    return make_plot("scaling", figure, source, options, queries=[points.query], laws=laws)


def draw_scaling(points: Points, laws: Sequence[GroupLaw]) -> Figure:
    """Draw points and laws, with a panel of residuals below where a law was fitted."""
    lines = lines_of(points)
    selection = points.selection
    scale = scale_of(points.frame["place"], selection.x, is_number=selection.has_numeric_x)
    fitted = [law for law in laws if law.fit is not None]
    heights = (3.0, 1.0) if fitted else ()
    canvas, axes = panel_axes(1, heights=heights, height=0.62 if fitted else 0.75)
    main = axes[0]
    of_lines: Sequence[GroupLaw | None] = laws or (None,) * len(lines)
    for line, law in zip(lines, of_lines, strict=True):
        label = ": ".join(t for t in (line.name, law_words(law) if law else "") if t)
        draw_line(main, line, scale, is_joined=not (law and law.fit), label=label)
        if law is not None and law.fit is not None:
            draw_law(main, line, law)
    is_log = scale_values(main, shown_values(points.frame))
    main.set_ylabel(name_label(selection.y))
    bottom = axes[-1]
    draw_scale(bottom, scale)
    bottom.set_xlabel(name_label(selection.x))
    residuals = draw_residuals(bottom, lines, laws) if fitted else []
    if fitted:
        main.tick_params(labelbottom=False)
        bottom.set_label("part")
    legend_of([main])
    canvas.align_ylabels()
    sentences = sentences_of(points, scale, laws, is_log=is_log)
    page_note(canvas, sentences.short)
    drawn = [drawn_table(points).assign(panel=selection.y), *residuals]
    return Figure(canvas, pd.concat(drawn, ignore_index=True), sentences.caption)


def draw_law(axes: "Axes", line: DrawnLine, law: GroupLaw) -> None:
    """Draw a law through its points, and dashed what was predicted of those held out."""
    fit = law.fitted
    places = [float(place) for place in line.points["place"] if place > 0]
    grid = np.geomspace(min(places), max(places), CURVE)
    axes.plot(grid, fit.law.predict(grid), "-", color=line.color, linewidth=0.9)
    if fit.predicted is None:
        return
    kept = max(place for place in places if place < min(fit.held_out))
    ahead = np.geomspace(kept, max(places), CURVE)
    axes.plot(ahead, fit.predicted.predict(ahead), ":", color=line.color, linewidth=1.1)
    held = line.points[line.points["place"].isin(fit.held_out)]
    axes.plot(
        held["place"], held["mean"], linestyle="none", marker=line.marker,
        markerfacecolor="white", markeredgecolor=line.color, zorder=5,
    )  # fmt: skip


def draw_residuals(
    axes: "Axes", lines: Sequence[DrawnLine], laws: Sequence[GroupLaw]
) -> list[pd.DataFrame]:
    """Draw how far each point lies from its law, and return it."""
    drawn = []
    for line, law in zip(lines, laws, strict=True):
        if law.fit is None:
            continue
        places = line.points["place"][line.points["place"] > 0].to_numpy(float)
        percent = 100 * np.expm1(law.fit.law.residuals)
        # A law through two places is off by rounding alone, which an axis of 1e-15 would show.
        percent = np.where(np.abs(percent) < ROUNDING, 0.0, percent)
        axes.plot(places, percent, linestyle="none", marker=line.marker, color=line.color)
        drawn.append(
            pd.DataFrame({**law.group, "place": places, "percent": percent, "panel": "residuals"})
        )
    axes.axhline(0, color="0.6", linewidth=0.6)
    axes.set_ylabel("off law [%]")
    return drawn


def sentences_of(
    points: Points, scale: Scale, laws: Sequence[GroupLaw], *, is_log: bool
) -> Sentences:
    """Return what is said below a figure and in its caption."""
    name = name_label(points.selection.y)
    axis = y_notes(points.frame["mean"], name) if not is_log else ""
    told = [held_out_sentence(laws), rivals_sentence(laws), converged_sentence(laws)]
    if len(laws) > MOST_TOLD:
        told = [f"Held-out places and rival forms of the {len(laws)} lines: symstudy fit.", told[2]]
    sources = {law.fit.source for law in laws if law.fit}
    return data_sentences(
        points,
        [scale.note, axis, *interval_sentences(sources), *told],
        what=f"{points.selection.y} against {points.selection.x}",
    )


def interval_sentences(sources: set[str]) -> list[str]:
    """Return what intervals of exponents rest on."""
    words = {
        "seeds": r"$\alpha$: 95 % jackknife over seeds.",
        "residuals": r"$\alpha$: 95 % by residuals, since there is one seed, or all are alike.",
        "nothing": r"$\alpha$ has no interval: too few places and seeds.",
    }
    return [words[source] for source in words if source in sources]


def held_out_sentence(laws: Sequence[GroupLaw]) -> str:
    """Return how far the largest places are from what the others predict."""
    told = []
    for law in laws:
        if law.fit is not None and law.fit.held_out:
            pairs = zip(law.fit.held_out, law.fit.errors, strict=True)
            errors = ", ".join(f"{value_label(x)} by {percent(error)}" for x, error in pairs)
            told.append(f"{lead(law)}{errors}")
    if not told:
        return ""
    return f"Held out (hollow), off the prediction of the other places (dotted): {'; '.join(told)}."


def rivals_sentence(laws: Sequence[GroupLaw]) -> str:
    """Return which form has the best BIC, and by how much the others are worse."""
    told = []
    for law in laws:
        rivals = law.fit.rivals if law.fit is not None else ()
        if len(rivals) > 1:
            best, *others = rivals
            worse = ", ".join(
                f"{rival.form.name} +{number_label(rival.bic - best.bic)}" for rival in others
            )
            told.append(f"{lead(law)}{best.form.name} ({worse})")
    return f"Best by BIC: {'; '.join(told)}." if told else ""


def converged_sentence(laws: Sequence[GroupLaw]) -> str:
    """Return which fits have not converged, or nothing."""
    lost = [law for law in laws if law.fit is not None and not law.fit.law.has_converged]
    names = "; ".join(setting_label(law.group) or "the fit" for law in lost)
    return f"Not converged: {names}." if lost else ""


def lead(law: GroupLaw) -> str:
    """Return the values of a line before what is said of it."""
    return f"{setting_label(law.group)}: " if law.group else ""


def percent(error: float) -> str:
    """Return a difference of logarithms in percent, with its sign."""
    value = 100 * math.expm1(error)
    return f"{value:+.3g} %".replace("-", "\N{MINUS SIGN}")
