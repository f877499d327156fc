"""The figure of neural collapse: correlations of images, spectra of features, what decides."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from symstudy.findings import PALETTE, Evidence, Figure
from symstudy.findings.conclude import Measured
from symstudy.findings.figures import deciding_panels, draw_rule
from symstudy.plots.page import panel_axes
from symstudy.plots.panels import draw_panel, drawn_lines, hues_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ARMS = ("with", "without")
SHOWN = 30
"""Eigenvalues that are drawn, at most."""
FLOOR = 1e-12
"""Share of the largest below which an eigenvalue is round-off: nothing is drawn there."""


def draw_collapse(measured: Measured, evidence: Evidence) -> Figure:
    """Draw both arms at the largest gamma that is evidence, and beside them what decides.

    Args:
        measured: What the rule read.
        evidence: The runs, with their spectra and correlations.
    """
    rows = measured.data.rows(evidence)
    rows = rows[rows["symmetry"].isin(ARMS)].dropna(subset=["feature_spectrum"])
    if rows.empty:
        return draw_rule(measured)
    strongest = rows[rows["gamma"] == rows["gamma"].max()]
    beside = deciding_panels(measured)
    canvas, axes = panel_axes(3 + len(beside), height=0.95)
    drawn = [draw_correlations(axis, strongest, arm) for axis, arm in zip(axes, ARMS, strict=False)]
    drawn.append(draw_spectra(axes[2], strongest))
    hues = hues_of(beside)
    for axis, panel in zip(axes[3:], beside, strict=True):
        title = panel.title.replace("gained from least to most decay", "gained\nby decay")
        draw_panel(axis, panel._replace(title=title), hues)
        drawn += drawn_lines(panel)
        if any(line.name for line in panel.lines):
            axis.legend(fontsize="small")
    return Figure(
        canvas,
        pd.concat(drawn),
        "Features on training images, with the symmetries of parameters and without them (syre), "
        f"at gamma = {rows['gamma'].max():g}. First correlations between ten images of each of ten "
        "classes about the global mean, of the first seed; then eigenvalues of the second moment, "
        "over the largest, median over seeds with the range of all; the dotted line is the number "
        "of classes. Then what decides, a point a seed's median with its interval.",
    )


def draw_correlations(axis: "Axes", rows: pd.DataFrame, arm: str) -> pd.DataFrame:
    """Draw the correlations of the first seed of an arm, and return their means by class."""
    chosen = rows[rows["symmetry"] == arm].dropna(subset=["feature_correlation"])
    name = f"{arm} symmetry"
    axis.set(title=name, xlabel="image, by class", ylabel="image, by class")
    axis.grid(visible=False)
    if chosen.empty:
        axis.text(0.5, 0.5, "no run counts here", ha="center", transform=axis.transAxes)
        return pd.DataFrame(columns=["panel"])
    run = chosen.sort_values("seed").iloc[0]
    flat = np.asarray(run["feature_correlation"], float)
    side = round(len(flat) ** 0.5)
    table = flat.reshape(side, side)
    image = axis.imshow(table, cmap="RdBu_r", vmin=-1.0, vmax=1.0, interpolation="nearest")
    ticks = np.arange(0, side + 1, 20)
    axis.set_xticks(ticks - 0.5, [str(tick) for tick in ticks])
    axis.set_yticks(ticks - 0.5, [str(tick) for tick in ticks])
    bar = axis.figure.colorbar(image, ax=axis, shrink=0.8)
    bar.outline.set_linewidth(0.4)
    return blocks_of(table, 10).assign(panel=name, seed=run["seed"])


def blocks_of(table: NDArray[np.float64], images: int) -> pd.DataFrame:
    """Return the mean correlation of each pair of classes, of so many images each."""
    classes = len(table) // images
    means = table.reshape(classes, images, classes, images).mean(axis=(1, 3))
    first, second = np.indices(means.shape)
    return pd.DataFrame({"first": first.ravel(), "second": second.ravel(), "value": means.ravel()})


def draw_spectra(axis: "Axes", rows: pd.DataFrame) -> pd.DataFrame:
    """Draw the eigenvalues of both arms over the largest, and return them."""
    drawn = []
    for arm, color in zip(ARMS, PALETTE, strict=False):
        spectra = [
            np.asarray(each, float)[:SHOWN]
            for each in rows[rows["symmetry"] == arm]["feature_spectrum"]
        ]
        if not spectra:
            continue
        shares = np.stack([each / each[0] for each in spectra if each[0] > 0])
        place = np.arange(1, shares.shape[1] + 1)
        median, low, high = np.median(shares, axis=0), shares.min(axis=0), shares.max(axis=0)
        axis.plot(place, median, "o-", color=color, label=f"{arm} symmetry", markersize=2.5)
        axis.fill_between(place, low, high, color=color, alpha=0.15, linewidth=0)
        points = {"panel": "spectrum", "symmetry": arm, "place": place, "median": median}
        drawn.append(pd.DataFrame({**points, "low": low, "high": high}))
    axis.axvline(classes_of(rows) + 0.5, color="0.4", linestyle=":", linewidth=0.8)
    axis.set(yscale="log", xlabel="eigenvalue", ylabel="eigenvalue over the largest")
    axis.set_ylim(max(FLOOR, axis.get_ylim()[0]), None)
    axis.set_title("spectrum of features")
    axis.legend(fontsize="small", loc="lower left")
    return pd.concat(drawn)


def classes_of(rows: pd.DataFrame) -> float:
    """Return how many classes have their images compared."""
    known = rows["feature_correlation"].dropna()
    return len(known.iloc[0]) ** 0.5 / 10 if len(known) else float("nan")
