"""How the loss of a network over time is drawn, with the events that break its symmetries."""

from typing import TYPE_CHECKING

import pandas as pd

from symstudy.findings import PALETTE, Figure

from .traces import Measured, Trace, arm, event_places, scales_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def draw_traces(
    measured: Measured, rows: list[tuple[str, int]], caption: str, names: list[str]
) -> Figure:
    """Draw the loss of the first seed of each arm: a row of panels for each of `rows`.

    Args:
        measured: All runs.
        rows: Activation and depth of each row of panels; columns are initial scales.
        caption: Of the figure.
        names: Title of each row.
    """
    import matplotlib.pyplot as plt

    columns = max(len(scales_of(measured.traces, *row)) for row in rows)
    canvas, axes = plt.subplots(
        len(rows),
        columns,
        figsize=(2.7 * columns + 0.4, 2.35 * len(rows) + 0.6),
        layout="constrained",
        squeeze=False,
        sharex="row",
    )
    drawn = []
    for line, (row, name) in enumerate(zip(rows, names, strict=True)):
        scales = scales_of(measured.traces, *row)
        for place in range(columns):
            axis = axes[line, place]
            if place >= len(scales):
                axis.set_axis_off()
                continue
            trace = arm(measured.traces, *row, scales[place])[0]
            drawn.append(draw_trace(axis, trace, f"{name}, start {scales[place]:g}"))
        axes[line, 0].set_ylabel("training loss")
    for axis in axes[-1]:
        axis.set_xlabel("step")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    canvas.legend(handles, labels, loc="outside lower center", ncols=3)
    return Figure(canvas, pd.concat(drawn), caption)


def draw_trace(axis: "Axes", trace: Trace, title: str) -> pd.DataFrame:
    """Draw one run; return what was drawn."""
    axis.plot(trace.steps, trace.loss, color=PALETTE[0], linewidth=1.4, label="training loss")
    ranks, pairs = event_places(trace.ranks), event_places(trace.pairs)
    # A line without points: the legend is to explain the dashes also where no direction breaks.
    axis.plot([], [], color=PALETTE[3], linestyle="--", linewidth=1.0, label="a direction breaks")
    for place in sorted(set(ranks)):
        axis.axvline(trace.steps[place], color=PALETTE[3], linestyle="--", linewidth=1.0)
    axis.plot(
        trace.steps[pairs],
        trace.loss[pairs],
        linestyle="none",
        marker="|",
        markersize=9,
        color="0.15",
        label="a pair of neurons breaks",
    )
    axis.set(xscale="log", yscale="log")
    axis.set_title(title, fontsize=9)
    axis.minorticks_off()
    marks = {"loss": range(len(trace.steps)), "direction breaks": ranks, "pair breaks": pairs}
    return pd.DataFrame(
        [
            {"panel": title, "mark": mark, "step": trace.steps[i], "loss": trace.loss[i]}
            for mark, places in marks.items()
            for i in places
        ]
    )
