"""The figure of a claim about jumps: losses with their events, and what each seed contributes."""

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from symstudy.findings import PALETTE, Evidence, Figure
from symstudy.findings.conclude import Measured
from symstudy.findings.figures import as_they_stand

from .jumps import CONTRASTS, MARGIN, placebo_events

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LEVEL = "norm crosses a level"
CAPTION = (
    "Above: training loss of the first seed at each start. Red: 10, 30, 50, 70 or 90 % "
    "of the pairs of a hidden layer are broken, farther apart than 0.3 of its final norm. "
    "Grey, below it: as many placebo events, at which the norm of all parameters crosses equally "
    "spaced levels. Below: contrast of each seed and start; shaded is where events of symmetry "
    "beat placebo events; the line is the median over seeds of the mean over starts, which is "
    "tested. Synthetic teacher."
)


def draw_jumps(measured: Measured, evidence: dict[str, Evidence]) -> Figure:
    """Draw losses and contrasts of networks of five layers.

    Args:
        measured: What the rule read.
        evidence: By name of the activation, the runs that decide.
    """
    import matplotlib.pyplot as plt

    rows = {name: measured.data.rows(runs) for name, runs in evidence.items()}
    starts = sorted({scale for found in rows.values() for scale in found["init_scale"]})
    width, height = max(len(starts), len(CONTRASTS)), len(rows)
    canvas, axes = plt.subplots(
        2 * height, width, figsize=(2.9 * width + 0.4, 4.4 * height + 0.5),
        layout="constrained", squeeze=False,
    )  # fmt: skip
    drawn = [pd.DataFrame(columns=["panel", "mark", "place", "value"])]
    verdicts = [one for one in as_they_stand(measured) if one.part.decides]
    for line, (name, found) in enumerate(rows.items()):
        above, below = axes[2 * line], axes[2 * line + 1]
        for place, axis in enumerate(above):
            chosen = (
                found[found["init_scale"] == starts[place]] if place < len(starts) else found[:0]
            )
            if chosen.empty:
                axis.set_axis_off()
                continue
            run = chosen.sort_values("seed").iloc[0]
            drawn.append(draw_loss(axis, run, f"{name}, start {starts[place]:g}"))
        above[0].set_ylabel("training loss")
        for place, axis in enumerate(below):
            if place >= len(CONTRASTS):
                axis.set_axis_off()
                continue
            value = list(CONTRASTS)[place]
            told = [
                one.part.verdict.label
                for one in verdicts
                if one.rule.needs[0].columns[0] == value and f", {name}" in one.part.name
            ]
            drawn.append(draw_contrast(axis, found, value, f"{name}: {', '.join(told)}"))
        if len(found):
            above[0].legend(fontsize=7, loc="center left")
            below[0].legend(fontsize=7, loc="upper right")
    return Figure(canvas, pd.concat([part for part in drawn if len(part)] or drawn), CAPTION)


def draw_loss(axis: "Axes", run: Any, title: str) -> pd.DataFrame:
    """Draw the loss of one run with its events and as many placebo events below the curve."""
    steps, losses = np.asarray(run.probe_steps, float), np.asarray(run.losses, float)
    events = np.asarray(run.pairs, float)
    axis.plot(steps, losses, color=PALETTE[0], linewidth=1.4)
    marks = [(title, "loss", *pair) for pair in zip(steps, losses, strict=True)]
    placebo = placebo_events(steps, np.asarray(run.norms, float), len(events))
    shown = {"pairs break": (events, 0.14, PALETTE[3]), LEVEL: (placebo, 0.05, "0.4")}
    for label, (at, height, color) in shown.items():
        places = axis.get_xaxis_transform()
        axis.plot(at, np.full(len(at), height), "|", color=color, label=label, transform=places)
        values = losses[np.searchsorted(steps, at)]
        marks += [(title, label, *pair) for pair in zip(at, values, strict=True)]
    first = min([*events, *placebo], default=steps[0])
    axis.set(xscale="log", yscale="log", xlabel="step", xlim=(first / 3.0, steps[-1] * 1.1))
    axis.set_ylim(losses.min() / 4.0, losses.max() * 1.5)
    axis.minorticks_off()
    axis.set_title(title, fontsize=9)
    return pd.DataFrame(marks, columns=["panel", "mark", "place", "value"])


def draw_contrast(axis: "Axes", rows: pd.DataFrame, value: str, title: str) -> pd.DataFrame:
    """Draw the contrast of each run along the start, what is claimed, and what was tested."""
    known = rows[["init_scale", "seed", value]].dropna()
    starts = sorted(known["init_scale"].unique())
    axis.axhspan(MARGIN, 1.0, color="0.9")
    axis.axhline(MARGIN, color="0.4", linestyle="--", linewidth=1.0)
    places = known["init_scale"].map(starts.index)
    axis.plot(places, known[value], "o", color=PALETTE[0], fillstyle="none", label="a run")
    middle = known.groupby("seed")[value].mean().median() if len(known) else np.nan
    axis.axhline(middle, color=PALETTE[3], linewidth=1.6, label="median seed")
    axis.set(ylim=(-1.05, 1.05), xlim=(-0.5, max(len(starts), 1) - 0.5), xlabel="initial scale")
    axis.set_xticks(range(len(starts)), [f"{start:g}" for start in starts])
    axis.set_ylabel(CONTRASTS[value].replace(" against", "\nagainst"), fontsize=8)
    axis.set_title(title, fontsize=9)
    return pd.DataFrame(
        {
            "panel": f"{value} {title}",
            "mark": "contrast",
            "place": known["init_scale"],
            "value": known[value],
        }
    )
