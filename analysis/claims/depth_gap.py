"""A forbidden gap of learned singular values in linear networks of three or more layers.

A network of D linear layers on white inputs minimises |W_D ... W_1 - S|^2 + gamma sum |W_i|^2. For
one singular value sigma of S the balanced critical points s of the product solve
sigma = s + gamma s^((2-D)/D). For D = 2 this is s = sigma - gamma, which may be as small as one
likes. For D >= 3 the right side has its least value at s_sp = (gamma (D-2)/D)^(D/(2D-2)): no stable
point lies between 0 and s_sp, and the learned value jumps to 0 where s_sp meets the curve, at
gamma_sp = (sigma (D-2)/(2D-2))^((2D-2)/D) D/(D-2), while 0 is stable at every gamma > 0.
"""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from symstudy.findings import (
    PALETTE,
    Figure,
    Finding,
    Interval,
    Part,
    SeedTest,
    Verdict,
    claim,
    combine,
    legend_beside,
    seed_part,
)
from symstudy.store import Store

from ..shared.evidence import converged

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MAX_GRAD_RATIO = 1e-6
DEAD = 0.01
MARGIN = 0.03
FINEST_STEP = 1.05
FLOOR_SHARE = 0.98
SHALLOW = 0.05
MEMORY = 0.95
SMALLEST_SHARE = 0.1
MIN_SEEDS = 3

Array = NDArray[np.float64]


class Measured(NamedTuple):
    """What the claim is judged by.

    Attributes:
        runs: One row a converged run: depth, gamma, seed, start (`large` or `small`), amplitude,
            and of the weights their largest and smallest learned singular value to the power of
            the depth, `largest` and `smallest` (NaN where nothing is learned), and `alive`.
        excluded: Runs left out, by why.
    """

    runs: pd.DataFrame
    excluded: tuple[tuple[str, int], ...]


def measure(db: Store) -> Measured:
    """Return the learned singular values of every converged deep linear run on white inputs.

    At a critical point with gamma > 0 all layers have the same singular values, so those of the
    product are their powers.
    """
    frame = db.df(
        """
        select depth, gamma, seed, init_scale, amplitude, weight_largest, weight_smallest,
               coalesce(grad_ratio, 1) as grad_ratio, outcome
        from runs
        where data = 'spectrum' and activation is null and depth >= 2 and gamma > 0
              and samples > 0 and loss = 'squared_error' and input_scale = 1 and label_noise = 0
              and init_copies = 1 and init_rank = 0
        order by depth, gamma, seed, init_scale
        """
    )
    scales = frame["init_scale"]
    frame["start"] = np.where(scales == scales.max(), "large", "other")
    frame.loc[scales == scales.min(), "start"] = "small"
    runs, excluded = converged(frame, MAX_GRAD_RATIO)
    kept = runs[runs["start"] != "other"].reset_index(drop=True)
    depth = kept["depth"]
    kept["alive"] = kept["weight_largest"] > DEAD * kept["amplitude"] ** (1 / depth)
    for name in ("largest", "smallest"):
        kept[name] = (kept[f"weight_{name}"] ** depth).where(kept["alive"])
    columns = ["depth", "gamma", "seed", "start", "amplitude", "largest", "smallest", "alive"]
    return Measured(kept[columns], excluded)


def spinodal(depth: int, sigma: float) -> float:
    """Return the gamma at which the learned value of `sigma` loses its stable point."""
    if depth == 2:
        return sigma
    learned = sigma * (depth - 2) / (2 * depth - 2)
    power = (2 * depth - 2) / depth
    return float(learned**power * depth / (depth - 2))


def floor_of(depth: int, gamma: ArrayLike) -> Array:
    """Return the smallest singular value that is stable at `gamma`: 0 for two layers."""
    gammas = np.asarray(gamma, float)
    floor: Array = (gammas * (depth - 2) / depth) ** (depth / (2 * depth - 2))
    return floor


@claim(
    title="Deep linear networks learn singular values with a gap",
    statement=(
        "Under weight decay, a linear network of three or more layers learns a singular value "
        "either as 0 or above a floor that grows with the decay: from a large start it collapses "
        "at once, at the spinodal; from a small start nothing is ever learned. Two layers have no "
        "such gap."
    ),
    study="depth_gap",
    reference=(
        "arXiv:2502.05300, quantized capacity; exact: Schatten-2/D quasi-norm, derived in the file"
    ),
    rule=(
        "On runs with a gradient of at most 1e-6 of 1 + objective and no fewer than 3 seeds; a "
        "network has learned something if its largest weight singular value exceeds 0.01 "
        "sigma^(1/D). All must hold, for every depth. Collapse (D >= 3): the geometric middle of "
        "the last gamma with and the first without anything learned from the large start, no more "
        "than 5 % apart, divided by the exact spinodal: its 95 % t interval over seeds lies "
        "within 1 +- 0.03, refuted where it lies outside. Hysteresis (D >= 3): of the runs from "
        "the small start at gammas of at least a tenth of the spinodal at which the large start "
        "of the same seed learns, the share that learns nothing is at least 0.95 by its 95 % t "
        "interval over seeds. Floor (D >= 3): no run has a learned singular value below 0.98 of "
        "s_sp(gamma). Two layers: the share of small starts that learn where the large start does "
        "is at least 0.95, and the smallest learned value is at most 0.05 of the largest singular "
        "value of the target, both by their 95 % t intervals."
    ),
    tests=(
        SeedTest(
            rule=f"within 1 +- {MARGIN}",
            margin=MARGIN,
            unit="gamma of the collapse over the exact one",
        ),
        SeedTest(rule=f"share at least {MEMORY}", unit="share of runs"),
        SeedTest(rule=f"no run below {FLOOR_SHARE}", by_run=True),
        SeedTest(rule=f"at most {SHALLOW} of the target's largest", unit="smallest s / sigma"),
    ),
)
def judge(measured: Measured) -> Finding:
    """Test collapse, hysteresis and floor for each depth, and that two layers have none."""
    parts: list[Part] = []
    worst = None
    seeds = 0
    for depth, runs in measured.runs.groupby("depth"):
        layers = int(depth)
        if layers == 2:
            parts += [judge_recovery(runs, layers), judge_shallow(runs)]
            continue
        collapse = judge_collapse(runs, layers)
        parts += [collapse, judge_recovery(runs, layers), judge_floor(runs, layers)]
        if collapse.effect is not None and collapse.interval is not None:
            deviation = collapse.effect - 1.0
            if worst is None or abs(deviation) > abs(worst.effect - 1.0):
                worst = Worst(collapse.effect, collapse.interval)
            seeds = max(seeds, runs["seed"].nunique())
    verdict = combine(tuple(parts))
    told = [
        f"{part.name}: {part.verdict.label}"
        + (f" ({part.effect:.3g})" if part.effect is not None else "")
        for part in parts
    ]
    return Finding(
        verdict=verdict,
        reason="; ".join(told) + "." if told else "No converged deep linear run.",
        effect=worst.effect if worst else None,
        interval=worst.interval if worst else None,
        unit="gamma of the collapse over the exact one, worst depth",
        seeds=seeds,
        threshold=f"within 1 +- {MARGIN}",
        parts=tuple(parts),
        excluded=measured.excluded,
    )


class Worst(NamedTuple):
    """The collapse that is farthest from the exact one."""

    effect: float
    interval: Interval


def judge_collapse(runs: pd.DataFrame, depth: int) -> Part:
    """Test where the largest singular value is lost from the large start."""
    name = f"collapse over the spinodal, D = {depth}"
    rule = f"within 1 +- {MARGIN}"
    large = runs[runs["start"] == "large"]
    exact = spinodal(depth, float(runs["amplitude"].iloc[0]))
    ratios = []
    for _, sweep in large.groupby("seed"):
        alive = sweep[sweep["alive"]]["gamma"]
        last = alive.max() if len(alive) else np.nan
        beyond = sweep[sweep["gamma"] > last]["gamma"]
        if len(beyond) and beyond.min() <= FINEST_STEP * last:
            ratios.append(float(np.sqrt(last * beyond.min())) / exact)
    return seed_part(
        name,
        ratios,
        low=1 - MARGIN,
        high=1 + MARGIN,
        level=0.95,
        rule=rule,
        unit="gamma of the collapse over the exact one",
        min_seeds=MIN_SEEDS,
        too_few=Verdict.INCONCLUSIVE,
    )


def judge_recovery(runs: pd.DataFrame, depth: int) -> Part:
    """Test whether small starts learn what large starts keep: never at D >= 3, always at D = 2."""
    remembers = depth > 2
    name = f"small starts that {'stay at 0' if remembers else 'learn'}, D = {depth}"
    rule = f"share at least {MEMORY}"
    least = SMALLEST_SHARE * spinodal(depth, float(runs["amplitude"].iloc[0]))
    table = runs[runs["gamma"] >= least].pivot_table(
        index=["seed", "gamma"], columns="start", values="alive", aggfunc="first"
    )
    if not {"large", "small"} <= set(table.columns):
        return Part(name=name, verdict=Verdict.INCONCLUSIVE, rule=rule)
    pairs = table.dropna().astype(bool)
    kept = pairs[pairs["large"]]
    as_said = ~kept["small"] if remembers else kept["small"]
    shares = as_said.groupby(level="seed").mean()
    return seed_part(
        name,
        shares,
        low=MEMORY,
        level=0.95,
        rule=rule,
        unit="share of runs",
        min_seeds=MIN_SEEDS,
        too_few=Verdict.INCONCLUSIVE,
    )


def judge_floor(runs: pd.DataFrame, depth: int) -> Part:
    """Check that no learned singular value lies in the gap."""
    name = f"smallest learned value over the floor, D = {depth}"
    rule = f"no run below {FLOOR_SHARE}"
    alive = runs[runs["alive"]]
    if alive["seed"].nunique() < MIN_SEEDS:
        return Part(name=name, verdict=Verdict.INCONCLUSIVE, rule=rule)
    worst = float((alive["smallest"] / floor_of(depth, alive["gamma"])).min())
    verdict = Verdict.SUPPORTED if worst >= FLOOR_SHARE else Verdict.REFUTED
    return Part(
        name=name, verdict=verdict, rule=rule, effect=worst, unit="smallest s / s_sp of all runs"
    )


def judge_shallow(runs: pd.DataFrame) -> Part:
    """Test that two layers learn values as small as the sweep of gamma lets them."""
    name = "smallest learned value, D = 2"
    rule = f"at most {SHALLOW} of the target's largest"
    alive = runs[runs["alive"] & (runs["start"] == "large")]
    least = (alive["smallest"] / alive["amplitude"]).groupby(alive["seed"]).min()
    return seed_part(
        name,
        least,
        high=SHALLOW,
        level=0.95,
        rule=rule,
        unit="smallest s / sigma",
        min_seeds=MIN_SEEDS,
        too_few=Verdict.INCONCLUSIVE,
    )


def draw(measured: Measured) -> Figure:
    """Draw learned singular values against gamma, with the exact branches, a panel a depth."""
    import matplotlib.pyplot as plt

    depths = sorted(measured.runs["depth"].unique().tolist())
    canvas, axes = plt.subplots(
        1,
        len(depths),
        figsize=(3.6 * len(depths) + 1.2, 3.6),
        sharey=True,
        squeeze=False,
        layout="constrained",
    )
    drawn = []
    for axis, depth in zip(axes[0], depths, strict=True):
        runs = measured.runs[measured.runs["depth"] == depth]
        drawn += [draw_branch(axis, runs, depth), draw_points(axis, runs, depth)]
        axis.set(xlabel="weight decay gamma", title=f"{depth} layers", ylim=(-0.04, 1.04))
    axes[0, 0].set_ylabel("learned singular value / largest of the target")
    legend_beside(axes[0, -1], "")
    return Figure(
        canvas,
        pd.concat(drawn),
        "Learned singular values of deep linear networks after convergence, all seeds: the "
        "largest from a large and from a small start, and the smallest that is not zero. Lines: "
        "the exact critical points of the largest one, stable and unstable; grey: values that no "
        "minimum has.",
    )


def draw_branch(axes: "Axes", runs: pd.DataFrame, depth: int) -> pd.DataFrame:
    """Draw the exact critical points of the largest singular value, and the gap below them."""
    sigma = float(runs["amplitude"].iloc[0])
    value = np.linspace(0.001, 1.0, 400)[:-1] * sigma
    gamma = (sigma - value) * value ** ((depth - 2) / depth)
    is_stable = value >= sigma * (depth - 2) / (2 * depth - 2)
    axes.plot(
        gamma[is_stable], value[is_stable] / sigma, color="0.25", linewidth=1.2, label="stable"
    )
    if depth > 2:
        axes.plot(
            gamma[~is_stable],
            value[~is_stable] / sigma,
            color="0.25",
            linewidth=1.0,
            linestyle=":",
            label="unstable",
        )
        grid = np.linspace(0.0, runs["gamma"].max(), 200)
        axes.fill_between(
            grid, floor_of(depth, grid) / sigma, color="0.9", linewidth=0, label="gap"
        )
    return pd.DataFrame(
        {
            "panel": f"{depth} layers",
            "mark": np.where(is_stable, "stable", "unstable"),
            "gamma": gamma,
            "value": value / sigma,
        }
    )


def draw_points(axes: "Axes", runs: pd.DataFrame, depth: int) -> pd.DataFrame:
    """Draw what the runs learned; nothing learned is drawn at 0."""
    rows = []
    for mark, start, name, style, color in (
        ("largest, large start", "large", "largest", "o", PALETTE[0]),
        ("smallest, large start", "large", "smallest", "v", PALETTE[2]),
        ("largest, small start", "small", "largest", "x", PALETTE[3]),
    ):
        chosen = runs[runs["start"] == start]
        share = (chosen[name] / chosen["amplitude"]).fillna(0.0)
        axes.plot(
            chosen["gamma"],
            share,
            style,
            color=color,
            markersize=4,
            linestyle="none",
            fillstyle="none",
            label=mark,
        )
        rows.append(
            pd.DataFrame(
                {
                    "panel": f"{depth} layers",
                    "mark": mark,
                    "gamma": chosen["gamma"],
                    "value": share,
                    "seed": chosen["seed"],
                }
            )
        )
    return pd.concat(rows)
