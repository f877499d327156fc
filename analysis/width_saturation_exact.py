"""Width saturation where the global minimum is known in closed form.

On orthogonal inputs and non-negative targets of disjoint supports with norms A k^-a, the minimum of
|Y - W2 f(W1 X)|^2 + gamma (|W1|^2 + |W2|^2) keeps (A k^-a - gamma)_+ of each, for f linear (the
nuclear norm) and for f = ReLU (its upper bound is attained, since the singular vectors are
non-negative). So width h holds min(h, r) ranks or neuron directions, r = #{k: A k^-a > gamma}.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd

from symstudy.findings import (
    Figure,
    Finding,
    Part,
    SeedTest,
    Verdict,
    claim,
    color_ramp,
    combine,
    legend_beside,
    log_ticks,
)
from symstudy.store import Store

from .evidence import converged

MAX_GRAD_RATIO = 1e-6
MAX_EXCESS = 1e-6
MIN_SHARE = 0.95
MIN_SEEDS = 3
MIN_WIDTHS = 4


class Measured(NamedTuple):
    """What the claim is judged by.

    Attributes:
        runs: One row a certified run: activation, gamma, width, seed, count, exact, excess.
        excluded: Runs left out, by why.
    """

    runs: pd.DataFrame
    excluded: tuple[tuple[str, int], ...]


def measure(db: Store) -> Measured:
    """Return ranks and objectives beside the exact ones.

    The exact neurons are orthogonal, so directions of ReLU neurons and ranks of the incoming
    weights are the same number; the rank sums over parallel copies, none of which may be large.
    """
    frame = db.df(
        """
        select activation, gamma, width, seed, objective, exponent, amplitude, input_dim,
               weight_rank as count, coalesce(grad_ratio, 1) as grad_ratio, outcome
        from runs
        where data = 'spectrum' and axes and optimizer = 'lbfgs' and depth = 2 and gamma > 0
              and activation in ('linear', 'relu') and loss = 'squared_error' and input_scale = 1
        order by all
        """
    )
    kept, excluded = converged(frame, MAX_GRAD_RATIO)
    settings = kept[["gamma", "width", "exponent", "amplitude", "input_dim"]]
    exact = [exact_minimum(*values) for values in settings.itertuples(index=False)]
    kept["exact"] = [count for count, _ in exact]
    kept["excess"] = [
        value / best - 1.0 for value, (_, best) in zip(kept["objective"], exact, strict=True)
    ]
    columns = ["activation", "gamma", "width", "seed", "count", "exact", "excess"]
    return Measured(kept[columns], excluded)


def exact_minimum(
    gamma: float, width: int, exponent: float, amplitude: float, dim: int
) -> tuple[int, float]:
    """Return the exact count and objective of a run."""
    values = amplitude * np.arange(1, dim + 1) ** -exponent
    kept = np.maximum(values - gamma, 0.0)[:width]
    return int((kept > 0).sum()), float(np.square(values).sum() - np.square(kept).sum())


@claim(
    title="Width saturates at the exact rank",
    statement=(
        "Under weight decay gamma a two-layer linear or ReLU network of width h on a spectrum "
        "A k^-a keeps min(h, #{k: A k^-a > gamma}) ranks or neuron directions, whatever h."
    ),
    study="width_saturation_exact",
    reference="arXiv:2502.05300, Fig. 3 (middle); exact: soft-thresholding, nuclear norm",
    rule=(
        "On minima with a gradient of at most 1e-6 of 1 + objective, over at least 4 widths and 3 "
        "seeds, for linear and for ReLU networks: a run agrees if its objective is within 1e-6 of "
        "the exact one and the rank of its first layer is the exact count. Supported where at "
        "least 95 % of the runs agree at every gamma, refuted where fewer than half do."
    ),
    tests=(
        SeedTest(
            rule=f"at least {MIN_SHARE:.0%} of runs at the exact minimum at every gamma",
            by_run=True,
        ),
    ),
)
def judge(measured: Measured) -> Finding:
    """Compare counts and objectives with the exact ones, for each activation."""
    runs = measured.runs
    parts = tuple(judge_activation(str(name), rows) for name, rows in runs.groupby("activation"))
    shares = [part.effect for part in parts if part.effect is not None]
    worst = min(shares, default=None)
    return Finding(
        verdict=combine(parts),
        reason=(
            f"At the worst gamma {worst:.0%} of the minima have the exact count and objective."
            if worst is not None
            else "No certified minimum on the spectrum along the axes."
        ),
        effect=worst,
        unit="share of runs at the exact minimum, at the worst gamma",
        seeds=int(runs["seed"].nunique()) if len(runs) else 0,
        threshold=f">= {MIN_SHARE}",
        parts=parts,
        excluded=measured.excluded,
    )


def judge_activation(name: str, runs: pd.DataFrame) -> Part:
    """Return the part for one activation."""
    what = "directions" if name == "relu" else "ranks"
    title = f"{what} of {name} networks"
    rule = f"at least {MIN_SHARE:.0%} of runs at the exact minimum at every gamma"
    if runs["width"].nunique() < MIN_WIDTHS or runs["seed"].nunique() < MIN_SEEDS:
        return Part(name=title, verdict=Verdict.INCONCLUSIVE, rule=rule)
    agrees = (runs["count"] == runs["exact"]) & (runs["excess"].abs() <= MAX_EXCESS)
    share = float(agrees.groupby(runs["gamma"]).mean().min())
    verdict = Verdict.INCONCLUSIVE
    if share >= MIN_SHARE:
        verdict = Verdict.SUPPORTED
    elif share < 0.5:
        verdict = Verdict.REFUTED
    return Part(name=title, verdict=verdict, rule=rule, effect=share, unit="share of runs")


def draw(measured: Measured) -> Figure:
    """Draw counts against width, points measured and lines exact."""
    import matplotlib.pyplot as plt

    runs = measured.runs
    names = sorted(runs["activation"].unique().tolist())
    canvas, axes = plt.subplots(
        1, len(names), figsize=(4.6 * len(names) + 1, 3.6), layout="constrained", squeeze=False
    )
    gammas = sorted(runs["gamma"].unique().tolist())
    drawn = []
    for axis, name in zip(axes[0], names, strict=True):
        rows = runs[runs["activation"] == name]
        for gamma, color in zip(gammas, color_ramp(len(gammas)), strict=True):
            line = rows[rows["gamma"] == gamma].groupby("width")[["count", "exact"]]
            table = line.agg(["mean", "min", "max"])
            means = table[("count", "mean")]
            spread = [means - table[("count", "min")], table[("count", "max")] - means]
            axis.errorbar(means.index, means, yerr=spread, fmt="o", color=color, label=f"{gamma:g}")
            axis.plot(means.index, table[("exact", "mean")], color=color, linewidth=1.0)
            drawn.append(
                pd.DataFrame(
                    {
                        "panel": name,
                        "gamma": gamma,
                        "width": means.index,
                        "mean": means.to_numpy(),
                        "exact": table[("exact", "mean")].to_numpy(),
                    }
                )
            )
        axis.set(xscale="log", yscale="log", xlabel="width", title=f"{name} networks")
        axis.set_ylabel("neuron directions (rank)" if name == "relu" else "rank")
        log_ticks(axis, sorted(rows["width"].unique().tolist()))
        log_ticks(axis, [1, 2, 3, 5, 10, 20], "y")
    legend_beside(axes[0][-1], "gamma")
    return Figure(
        canvas,
        pd.concat(drawn),
        "Rank (linear) and number of neuron directions (ReLU) at the best of the minima that "
        "L-BFGS found; bars span all seeds, lines are exact.",
    )
