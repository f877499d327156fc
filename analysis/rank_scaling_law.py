"""Rank against weight decay in a two-layer linear network: an exactly solvable scaling law.

For a linear target with singular values A k^-a on white inputs, the global minimum of
|W2 W1 - S|^2 + gamma (|W1|^2 + |W2|^2) keeps s_k = (A k^-a - gamma)_+, so its rank is
ceil((A / gamma)^(1/a)) - 1 and falls as gamma^(-1/a).
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from symstudy.findings import (
    PALETTE,
    Figure,
    Finding,
    Part,
    SeedTest,
    Verdict,
    claim,
    combine,
    fit_power_law,
    log_ticks,
    seed_part,
)
from symstudy.store import Store

from .evidence import converged

MARGIN = 0.07
MAX_GRAD_RATIO = 1e-5
MIN_GAMMAS = 6
MIN_SEEDS = 3
SMALLEST_RANK = 3
LARGEST_SHARE = 0.75


class Measured(NamedTuple):
    """What the claim is judged by.

    Attributes:
        ranks: One row a converged run: exponent, amplitude, gamma, seed, rank, dim.
        excluded: Runs left out, by why.
    """

    ranks: pd.DataFrame
    excluded: tuple[tuple[str, int], ...]


class Law(NamedTuple):
    """What was found of one power law.

    Attributes:
        part: The test of its exponent.
        exact: The exact exponent.
    """

    part: Part
    exact: float


def measure(db: Store) -> Measured:
    """Return the rank of the first layer of every converged run on the spectrum data."""
    frame = db.df(
        """
        select exponent, amplitude, gamma, seed, input_dim as dim, weight_rank as rank,
               coalesce(grad_ratio, 1) as grad_ratio, outcome
        from runs
        where data = 'spectrum' and depth = 2 and activation is null and gamma > 0
              and loss = 'squared_error' and input_scale = 1
        order by exponent, gamma, seed
        """
    )
    return Measured(*converged(frame, MAX_GRAD_RATIO))


@claim(
    title="Rank falls with weight decay by the exact power law",
    statement=(
        "In a two-layer linear network on a target with singular values A k^-a, the rank that "
        "training keeps falls with the weight decay as gamma^(-1/a)."
    ),
    study="rank_scaling_law",
    reference="arXiv:2502.05300, adaptive capacity; exact: singular value soft-thresholding",
    rule=(
        "For each exponent a: ln(rank + 1/2) is fitted against ln gamma over ranks from 3 to 3/4 "
        "of the dimension, at no fewer than 6 values of gamma and 3 seeds, on runs with a "
        "gradient of at most 1e-5 of 1 + objective. Supported where the 95 % t interval of the "
        "slope over seeds lies within 0.07 of -1/a, refuted where it lies outside, for every a."
    ),
    tests=(
        SeedTest(rule=f"within {MARGIN} of *", margin=MARGIN, unit="d ln(rank + 1/2) / d ln gamma"),
    ),
)
def judge(measured: Measured) -> Finding:
    """Compare the fitted exponent with the exact one, for each spectrum."""
    laws = [
        judge_law(
            f"slope of rank against gamma, a = {exponent:g}", runs, -1.0 / exponent, level=0.95
        )
        for exponent, runs in measured.ranks.groupby("exponent")
    ]
    return finding_of(laws, measured.ranks, measured.excluded)


def usable(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the runs at values of gamma whose mean rank is in the range that is fitted."""
    mean = runs.groupby("gamma")["rank"].transform("mean")
    return runs[(mean >= SMALLEST_RANK) & (mean <= LARGEST_SHARE * runs["dim"])]


def slope_of(ranks: pd.Series) -> float:
    """Return the fitted slope of ln(rank + 1/2) against ln gamma, for the ranks of one seed.

    A rank r stands for any (A / gamma)^(1/a) between r and r + 1: the half takes the middle.
    """
    return fit_power_law(ranks.index.to_numpy(float), ranks.to_numpy() + 0.5).exponent


def judge_law(name: str, runs: pd.DataFrame, exact: float, *, level: float) -> Law:
    """Test that the rank falls with gamma by the exponent `exact`."""
    rule = f"within {MARGIN} of {exact:.3f}"
    table = usable(runs).pivot_table(index="seed", columns="gamma", values="rank").dropna()
    if table.shape[0] < MIN_SEEDS or table.shape[1] < MIN_GAMMAS:
        verdict = Verdict.UNTESTED if table.empty else Verdict.INCONCLUSIVE
        return Law(Part(name=name, verdict=verdict, rule=rule), exact)
    part = seed_part(
        name,
        [slope_of(row) for _, row in table.iterrows()],
        low=exact - MARGIN,
        high=exact + MARGIN,
        level=level,
        rule=rule,
        unit="d ln(rank + 1/2) / d ln gamma",
        min_seeds=MIN_SEEDS,
    )
    return Law(part, exact)


def finding_of(
    laws: Sequence[Law], ranks: pd.DataFrame, excluded: tuple[tuple[str, int], ...]
) -> Finding:
    """Return the finding of several laws: how far the worst slope is from the exact one."""
    parts = tuple(law.part for law in laws)
    worst = max(
        (abs(law.part.effect - law.exact) for law in laws if law.part.effect is not None),
        default=None,
    )
    return Finding(
        verdict=combine(parts),
        reason=(
            f"The fitted exponents differ from the exact ones by at most {worst:.3f}."
            if worst is not None
            else "No law with enough values of gamma and seeds."
        ),
        effect=worst,
        unit="largest |slope - exact slope|",
        seeds=ranks["seed"].nunique(),
        threshold=f"<= {MARGIN}",
        parts=parts,
        excluded=excluded,
    )


def draw(measured: Measured) -> Figure:
    """Draw rank against gamma with the fitted and the exact laws, and the residuals below."""
    import matplotlib.pyplot as plt

    canvas, (top, bottom) = plt.subplots(
        2, 1, figsize=(6.6, 6.0), sharex=True, height_ratios=[3, 1], layout="constrained"
    )
    drawn = []
    for place, (exponent, runs) in enumerate(measured.ranks.groupby("exponent")):
        color = PALETTE[place % len(PALETTE)]
        points = runs.groupby("gamma")["rank"].agg(["mean", "min", "max"]).reset_index()
        fitted = usable(runs).groupby("gamma")["rank"].mean()
        label = f"a = {exponent:g}"
        if len(fitted) >= 2:
            law = fit_power_law(fitted.index.to_numpy(), fitted.to_numpy() + 0.5)
            grid = np.geomspace(fitted.index.min(), fitted.index.max(), 100)
            top.plot(grid, law.predict(grid), color=color, linewidth=1.2)
            label += f": slope {law.exponent:.3f}, exact {-1 / exponent:.3f}"
            bottom.plot(fitted.index, law.residuals, "o-", color=color, linewidth=0.8, markersize=4)
            drawn.append(
                pd.DataFrame(
                    {
                        "panel": "residuals",
                        "exponent": exponent,
                        "gamma": fitted.index,
                        "residual": law.residuals,
                    }
                )
            )
        grid = np.geomspace(points["gamma"].min(), points["gamma"].max(), 2000)
        amplitude = float(runs["amplitude"].iloc[0])
        exact = np.ceil((amplitude / grid) ** (1 / float(exponent))) - 1
        top.plot(
            grid,
            np.clip(exact, None, runs["dim"].iloc[0]) + 0.5,
            color=color,
            alpha=0.35,
            linewidth=1.0,
            drawstyle="steps-post",
        )
        top.errorbar(
            points["gamma"],
            points["mean"] + 0.5,
            yerr=[points["mean"] - points["min"], points["max"] - points["mean"]],
            fmt="o",
            color=color,
            label=label,
        )
        points.insert(0, "exponent", exponent)
        points.insert(0, "panel", "rank")
        drawn.append(points)
    top.set(
        xscale="log",
        yscale="log",
        ylabel="rank of the first layer + 1/2",
        title="Rank against weight decay: points measured, lines fitted, steps exact",
    )
    log_ticks(top, [2, 5, 10, 20, 50], "y")
    top.legend(loc="lower left")
    bottom.axhline(0.0, color="0.4", linewidth=0.8)
    bottom.set(xlabel="weight decay gamma", ylabel="ln residual")
    return Figure(
        canvas,
        pd.concat(drawn),
        "Rank that a two-layer linear network keeps, against the coefficient gamma of the squared "
        "norm, for targets with singular values k^-a. Bars span all seeds. The steps are the "
        "exact ranks.",
    )
