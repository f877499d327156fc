"""The best learning rate against width, in the standard parametrisation and in muP.

In muP every layer's activations change by a step as much at one width as at another, so that the
learning rate which trains best is the same at every width large enough (arXiv:2203.03466). In the
standard parametrisation hidden layers of width n move n times as far in a step of Adam, and the
best rate falls.
"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from symstudy.findings import All, Evidence, Figure, Flat, Grows, Shown, claim
from symstudy.findings.conclude import Measured
from symstudy.findings.figures import medians
from symstudy.plots.panels import Line, Panel, draw_panels

Array = NDArray[np.float64]

FLAT = 1 / 3
"""Over widths that differ by a factor of 8 the best rate differs by less than a factor of 2."""
FALLS = 2 / 3
"""Over such widths it falls by a factor of 4 at least."""
TRAINED = """
    parametrization is not null and optimizer in ('adam', 'adamw', 'nadam', 'rmsprop', 'lion')
    and outcome in ('done', 'diverged')
"""
SETTING = ("parametrization", "depth", "optimizer", "width")


@claim(
    title="In muP the best learning rate does not depend on the width",
    statement=(
        "In the maximal update parametrisation the learning rate of the lowest training loss is "
        "the same at every width; in the standard one it falls with the width."
    ),
    study="mup_transfer",
    reference="arXiv:2203.03466, Fig. 1 and 3",
)
def mup_transfer(runs: Evidence) -> All:
    """The best rate is flat in width in muP, and falls in the standard parametrisation."""
    best = trained_runs(runs).per(*SETTING, best_rate=best_rate, inverse_rate=inverse_rate)
    mup, standard = (best.at("parametrization", name) for name in ("mup", "standard"))
    by = ("depth", "optimizer")
    of_mup, inverse = "best learning rate in muP", "1 / best learning rate in the standard one"
    return All(
        Flat(mup, "best_rate", along="width", within=FLAT, by=by, is_upper_half=False, name=of_mup),
        Grows(
            standard,
            "inverse_rate",
            along="width",
            at_least=FALLS,
            by=by,
            is_upper_half=False,
            name=inverse,
        ),
        Shown(trained_runs(runs), ("parametrization", "width", "lr", "last_loss")),
    )


def trained_runs(runs: Evidence) -> Evidence:
    """Return the runs with their last training loss, which is infinite where one has diverged."""
    return runs.where(TRAINED).define(
        last_loss="case when outcome = 'done' then train_loss else 'infinity'::double end"
    )


def best_rate(lr: Array, last_loss: Array) -> float:
    """Return the learning rate of the lowest loss; NaN where it is the first or the last.

    Between the best rate and its neighbours the logarithm of the loss is taken to be a parabola of
    that of the rate. Next to a rate at which training diverges the best one stays as it is.
    """
    order = np.argsort(lr)
    rates, losses = lr[order].astype(float), last_loss[order].astype(float)
    losses = np.where(np.isfinite(losses), losses, np.inf)
    at = int(np.argmin(losses))
    if not 0 < at < len(rates) - 1 or len(np.unique(rates)) < len(rates):
        return float("nan")
    near = slice(at - 1, at + 2)
    if not np.isfinite(losses[near]).all():
        return float(rates[at])
    bend, slope, _ = np.polyfit(np.log(rates[near]), np.log(losses[near]), 2)
    return float(np.exp(-slope / (2.0 * bend))) if bend > 0.0 else float(rates[at])


def inverse_rate(lr: Array, last_loss: Array) -> float:
    """Return 1 / `best_rate`."""
    return 1.0 / best_rate(lr, last_loss)


def draw(measured: Measured) -> Figure:
    """Draw the training loss against the learning rate, a line a width, a panel each way."""
    runs = measured.data.rows(trained_runs(Evidence()))
    rows = runs[np.isfinite(runs["last_loss"].astype(float))]
    panels = [panel(str(name), each) for name, each in rows.groupby("parametrization")]
    return draw_panels(
        panels,
        "Training loss after a fixed number of steps against the learning rate, median over seeds, "
        "a line a width; rates at which runs have diverged are left out of the median.",
    )


def panel(name: str, rows: pd.DataFrame) -> Panel:
    """Return the panel of one parametrisation."""
    return Panel(
        name=name,
        title="muP" if name == "mup" else name,
        x="lr",
        x_label="learning rate",
        y_label="training loss",
        lines=[
            Line(f"width {width:g}", {"width": width}, medians(each, "lr", "last_loss"))
            for width, each in rows.groupby("width")
        ],
    )
