"""Gradient descent with teleportation against plain descent, at the same number of gradient calls.

A teleportation moves parameters along the symmetry orbit to where the gradient is longer, so that a
step of the same rate goes further down. So does a larger rate: each way is judged at the learning
rate at which its own training loss ends lowest, seed by seed.
"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from symstudy.findings import All, Evidence, Figure, Paired, Reported, Shown, claim
from symstudy.findings.conclude import Measured
from symstudy.findings.figures import medians
from symstudy.plots.panels import Line, Panel, draw_panels

Array = NDArray[np.float64]

LOWER = -0.05
"""Natural logarithm of the ratio of the losses, with teleportation over without, at most."""
EVERY = 100
ENDS = """
    optimizer = 'teleport' and outcome in ('done', 'diverged')
"""


@claim(
    title="Teleportation ends lower than plain gradient descent",
    statement=(
        "After the same number of gradient calls, gradient descent that is teleported along the "
        "rescaling orbit ends at a training loss at least 5 % lower than plain descent, each at "
        "its own best learning rate."
    ),
    study="teleportation",
    reference="arXiv:2506.13018 on teleportation; arXiv:2205.10637",
)
def teleportation(runs: Evidence) -> All:
    """The ratio of the lowest losses of a seed; beside it that at the smallest rate."""
    lowest = ended_runs(runs).per("teleport_every", lowest_loss=lowest_loss)
    slowest = ended_runs(runs).at_smallest("lr")
    return All(
        lower(lowest, "lowest_loss", "training loss at the best rate"),
        Reported(lower(slowest, "last_loss", "training loss at the smallest rate")),
        Shown(ended_runs(runs), ("teleport_every", "lr", "last_loss")),
    )


def lower(runs: Evidence, value: str, name: str) -> Paired:
    """Return the rule that a loss is lower with teleportation."""
    return Paired(
        runs,
        value,
        between="teleport_every",
        first=0,
        second=EVERY,
        at_most=LOWER,
        is_log=True,
        name=name,
    )


def ended_runs(runs: Evidence) -> Evidence:
    """Return the runs with their last training loss, infinite where one has diverged."""
    return runs.where(ENDS).define(
        last_loss="case when outcome = 'done' then train_loss else 'infinity'::double end"
    )


def lowest_loss(lr: Array, last_loss: Array) -> float:
    """Return the lowest loss over the rates; NaN where it is that of the smallest or largest.

    The best rate of those that were tried then says nothing of the best one.
    """
    order = np.argsort(lr)
    losses = np.where(np.isfinite(last_loss), last_loss, np.inf)[order]
    at = int(np.argmin(losses))
    return float(losses[at]) if 0 < at < len(losses) - 1 else float("nan")


def draw(measured: Measured) -> Figure:
    """Draw the last training loss against the learning rate, with and without teleportation."""
    runs = measured.data.rows(ended_runs(Evidence()))
    rows = runs[np.isfinite(runs["last_loss"].astype(float))]
    return draw_panels(
        [panel(rows)],
        "Training loss after a fixed number of gradient calls against the learning rate, median "
        "over seeds; runs that diverged are left out of the median.",
    )


def panel(rows: pd.DataFrame) -> Panel:
    """Return the panel, a line for each way."""
    return Panel(
        name="loss",
        title="gradient descent",
        x="lr",
        x_label="learning rate",
        y_label="training loss",
        lines=[
            Line(
                f"teleported every {every:g} steps" if every else "plain",
                {"teleport_every": every},
                medians(each, "lr", "last_loss"),
            )
            for every, each in rows.groupby("teleport_every")
        ],
    )
