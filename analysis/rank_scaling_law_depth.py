"""Rank against weight decay in linear networks of three and more layers.

With D layers a singular value s of the target that is learned as t at a balanced critical point has
s = t + gamma t^((2-D)/D). For D >= 3 such a point is stable above the least s for which there is
one, which is proportional to gamma^(D/(2D-2)) (see `depth_gap`). Of targets with singular values
A k^-a a network that starts from weights of ordinary size keeps those above, so its rank falls as
gamma^(-D/(2a(D-1))): with -1/a at D = 2 and half of it for very deep networks.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from symstudy.findings import (
    PALETTE,
    Figure,
    Finding,
    SeedTest,
    claim,
    fit_power_law,
    log_ticks,
)
from symstudy.store import Store

from .depth_gap import spinodal
from .evidence import converged
from .rank_scaling_law import MARGIN, finding_of, judge_law, usable

MAX_GRAD_RATIO = 1e-6

Array = NDArray[np.float64]


class Measured(NamedTuple):
    """What the claim is judged by.

    Attributes:
        ranks: One row a converged run: depth, exponent, amplitude, gamma, seed, rank, dim.
        excluded: Runs left out, by why.
    """

    ranks: pd.DataFrame
    excluded: tuple[tuple[str, int], ...]


def measure(db: Store) -> Measured:
    """Return the rank of the first layer of every converged deep linear run."""
    frame = db.df(
        """
        select depth, exponent, amplitude, gamma, seed, input_dim as dim, weight_rank as rank,
               coalesce(grad_ratio, 1) as grad_ratio, outcome
        from runs
        where data = 'spectrum' and depth >= 3 and activation is null and gamma > 0
              and loss = 'squared_error' and input_scale = 1 and not coalesce(axes, false)
        order by depth, exponent, gamma, seed
        """
    )
    return Measured(*converged(frame, MAX_GRAD_RATIO))


def exact_slope(depth: int, exponent: float) -> float:
    """Return d ln rank / d ln gamma: -D / (2 a (D - 1))."""
    return -depth / (2 * exponent * (depth - 1))


@claim(
    title="Rank falls with weight decay by a law of the depth",
    statement=(
        "In a linear network of D >= 3 layers on a target with singular values A k^-a, the rank "
        "that training keeps falls with the weight decay as gamma^(-D/(2a(D-1)))."
    ),
    study="rank_scaling_law_depth",
    reference="arXiv:2502.05300, adaptive capacity; exact: Schatten-2/D quasi-norm, in the file",
    rule=(
        "For each depth and exponent a: ln(rank + 1/2) is fitted against ln gamma over ranks from "
        "3 to 3/4 of the dimension, at no fewer than 6 values of gamma and 3 seeds, on runs with a "
        "gradient of at most 1e-6 of 1 + objective. Supported where the 90 % t interval of the "
        "slope over seeds lies within 0.07 of -D/(2a(D-1)), refuted where it lies outside, for "
        "every depth and exponent."
    ),
    tests=(
        SeedTest(
            rule=f"within {MARGIN} of *",
            level=0.9,
            margin=MARGIN,
            unit="d ln(rank + 1/2) / d ln gamma",
        ),
    ),
)
def judge(measured: Measured) -> Finding:
    """Compare the fitted slope with the exact one, for each depth and spectrum."""
    laws = [
        judge_law(
            f"{depth} layers, a = {exponent:g}", runs, exact_slope(int(depth), exponent), level=0.9
        )
        for (depth, exponent), runs in measured.ranks.groupby(["depth", "exponent"])
    ]
    return finding_of(laws, measured.ranks, measured.excluded)


def draw(measured: Measured) -> Figure:
    """Draw rank against gamma, a panel a depth, with fitted laws and exact steps."""

    def exact(gammas: Array, group: pd.DataFrame) -> Array:
        depth, a = int(group["depth"].iloc[0]), float(group["exponent"].iloc[0])
        modes = group["amplitude"].iloc[0] * np.arange(1.0, group["dim"].iloc[0] + 1) ** -a
        limits = np.array([spinodal(depth, float(mode)) for mode in modes])
        counts: Array = (limits > gammas[:, None]).sum(axis=1).astype(float)
        return counts

    groups = [
        (f"{depth} layers", runs, partial(exact_slope, int(depth)))
        for depth, runs in measured.ranks.groupby("depth")
    ]
    return draw_laws(
        groups,
        exact,
        "rank of the first layer + 1/2",
        "Rank that deep linear networks keep from an ordinary start, against the weight decay, for "
        "targets with singular values k^-a: points are means, bars span all seeds, lines are "
        "fitted, steps exact.",
    )


def draw_laws(
    groups: Sequence[tuple[str, pd.DataFrame, Callable[[float], float]]],
    exact: Callable[[Array, pd.DataFrame], Array],
    label: str,
    caption: str,
) -> Figure:
    """Draw a panel a group: points, fitted lines and exact steps.

    Args:
        groups: Title, ranks and exact slope by exponent of each panel.
        exact: From values of gamma and the runs of one exponent to exact ranks.
        label: Of the vertical axis.
        caption: Of the figure.
    """
    import matplotlib.pyplot as plt

    canvas, axes = plt.subplots(
        1,
        len(groups),
        figsize=(0.6 + 4.8 * len(groups), 4.0),
        sharey=True,
        squeeze=False,
        layout="constrained",
    )
    drawn = []
    for axis, (title, ranks, slope) in zip(axes[0], groups, strict=True):
        for place, (exponent, runs) in enumerate(ranks.groupby("exponent")):
            color = PALETTE[place]
            points = runs.groupby("gamma")["rank"].agg(["mean", "min", "max"]).reset_index()
            fitted = usable(runs).groupby("gamma")["rank"].mean()
            name = f"a = {exponent:g}"
            if len(fitted) >= 2:
                law = fit_power_law(fitted.index.to_numpy(), fitted.to_numpy() + 0.5)
                ends = np.array([fitted.index.min(), fitted.index.max()])
                axis.plot(ends, law.predict(ends), color=color, linewidth=1.2)
                name += f": slope {law.exponent:.3f}, exact {slope(float(exponent)):.3f}"
            grid = np.geomspace(points["gamma"].min(), points["gamma"].max(), 400)
            axis.plot(grid, exact(grid, runs) + 0.5, color=color, alpha=0.35, linewidth=1.0)
            axis.errorbar(
                points["gamma"],
                points["mean"] + 0.5,
                yerr=[points["mean"] - points["min"], points["max"] - points["mean"]],
                fmt="o",
                color=color,
                label=name,
            )
            drawn.append(points.assign(panel=title, exponent=exponent))
        axis.set(xscale="log", yscale="log", xlabel="weight decay gamma", title=title)
        log_ticks(axis, [2, 5, 10, 20, 50], "y")
        axis.legend(loc="lower left")
    axes[0, 0].set_ylabel(label)
    return Figure(canvas, pd.concat(drawn), caption)
