"""A deep linear network leaves zero after a time that is a power of its start.

With L layers whose weights have the singular value w_0 along the largest mode sigma of the target,
gradient flow gives dw/dt = 2 sigma w^(L - 1) near zero. For L = 2 the product grows exponentially
and reaches half of sigma at ln(sigma / w_0^2 - 1) / (4 sigma); for L >= 3 it stays near zero and
then escapes at once, at t = w_0^-(L - 2) / (2 sigma (L - 2)), with t = lr times steps.
"""

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pandas as pd

from symstudy.findings import (
    Figure,
    Finding,
    Part,
    SeedTest,
    claim,
    color_ramp,
    combine,
    log_slope,
    seed_part,
)
from symstudy.store import Store

from .mode_timing import half_time, judge_times

MARGIN = 0.15
SHALLOW = 0.02
MIN_STARTS = 3
MIN_SEEDS = 3


class Measured(NamedTuple):
    """What the claim is judged by.

    Attributes:
        escapes: One row a run: start (`aligned` or `random`), depth, init_scale, seed, `expected`
            time of an aligned start, and `measured` time at which the product of the layers'
            largest singular values passes half of sigma; NaN where it does not.
        excluded: Runs left out, by why.
    """

    escapes: pd.DataFrame
    excluded: tuple[tuple[str, int], ...]


def measure(db: Store) -> Measured:
    """Return when every deep linear run left zero.

    The layers of a network that is learning from a balanced start have the same singular values,
    so those of the product are their powers; those of a random start become so as it escapes.
    """
    frame = db.df(
        """
        select run_id, seed, depth, lr, init_scale, init_balanced, amplitude, outcome, step,
               exp(avg(depth * ln(weight_largest))) as product
        from layers
        where data = 'spectrum' and axes and depth >= 2 and activation is null and samples > 0
              and optimizer = 'sgd' and full_batch and momentum = 0 and schedule = 'constant'
              and gamma = 0 and loss = 'squared_error' and input_scale = 1 and label_noise = 0
              and syre = 0 and entropic = 0 and init_copies = 1 and init_rank = 0
              and reparametrise = 'none'
        group by all
        order by init_balanced desc, depth, init_scale, seed, run_id, step
        """
    )
    rows = []
    excluded = 0
    for _, run in frame.groupby("run_id", sort=False):
        first = run.iloc[0]
        if first["outcome"] != "done":
            excluded += 1
            continue
        rows.append(
            {
                "start": "aligned" if first["init_balanced"] else "random",
                "depth": int(first["depth"]),
                "init_scale": float(first["init_scale"]),
                "seed": int(first["seed"]),
                "expected": escape_time(first["depth"], first["init_scale"], first["amplitude"]),
                "measured": half_time(
                    run["step"].to_numpy(float) * first["lr"],
                    run["product"].to_numpy(float) / first["amplitude"],
                ),
            }
        )
    columns = ["start", "depth", "init_scale", "seed", "expected", "measured"]
    told = (("did not end as planned", excluded),) if excluded else ()
    return Measured(pd.DataFrame(rows, columns=columns), told)


def escape_time(depth: float, start: float, sigma: float) -> float:
    """Return the exact time of escape from an aligned start, to leading order for depth >= 3."""
    if depth == 2:
        return float(np.log(sigma / start**2 - 1.0) / (4.0 * sigma))
    return float(start ** (2.0 - depth) / (2.0 * sigma * (depth - 2.0)))


@claim(
    title="Deep networks stay near zero for a power of their start",
    statement=(
        "A linear network of L >= 3 layers that starts at weights of size w_0 leaves the symmetric "
        "state at zero after a time proportional to w_0^-(L - 2); two layers after one "
        "proportional to ln(1 / w_0)."
    ),
    study="depth_escape",
    reference=(
        "arXiv:2502.05300, symmetry-to-symmetry learning; exact: gradient flow of one mode, "
        "derived in the file (cf. arXiv:1312.6120)"
    ),
    rule=(
        "The time of escape is when the product of the layers' largest singular values passes "
        "half of the target's largest. From aligned starts, L >= 3: the slope of its logarithm "
        "against ln w_0, a number a seed, over no fewer than 3 starts, has a 90 % t interval "
        "within -(L - 2) +- 0.15, for every depth, refuted where outside. L = 2: the time of every "
        "run is within 2 % of ln(sigma / w_0^2 - 1) / (4 sigma). At least 3 seeds. Random starts "
        "have the same slopes and decide nothing."
    ),
    tests=(
        SeedTest(rule=f"within -* +- {MARGIN}", level=0.9, margin=MARGIN, unit="slope"),
        SeedTest(rule="every run within *", by_run=True),
    ),
)
def judge(measured: Measured) -> Finding:
    """Test the slope of each depth, and the times of two layers."""
    escapes = measured.escapes
    parts: list[Part] = []
    for start in ("aligned", "random"):
        rows = escapes[escapes["start"] == start]
        for depth, group in rows.groupby("depth"):
            if int(depth) == 2:
                if start == "aligned":
                    name = "time of escape, 2 layers, aligned starts"
                    parts.append(
                        judge_times(name, group, SHALLOW, f"every run within {SHALLOW:.0%}")
                    )
            else:
                parts.append(judge_slope(group, int(depth), start))
    deep = [part for part in parts if part.decides and part.interval is not None]
    told = [
        f"{part.name}: {part.verdict.label}"
        + (f" ({part.effect:.3g})" if part.effect is not None else "")
        for part in parts
        if part.decides
    ]
    return Finding(
        verdict=combine(tuple(parts)),
        reason="; ".join(told) + "." if told else "No deep linear run over time.",
        effect=deep[-1].effect if deep else None,
        interval=deep[-1].interval if deep else None,
        unit="slope of ln time of escape against ln w_0, deepest network",
        seeds=int(escapes["seed"].nunique()),
        threshold=f"within {MARGIN} of -(L - 2)",
        parts=tuple(parts),
        excluded=measured.excluded,
    )


def judge_slope(rows: pd.DataFrame, depth: int, start: str) -> Part:
    """Test how the time of escape grows as the start shrinks; a run that stays is no number."""
    slopes = [
        log_slope(run["init_scale"], run["measured"])
        for _, run in rows.groupby("seed")
        if len(run) >= MIN_STARTS and run["measured"].notna().all()
    ]
    exact = 2 - depth
    part = seed_part(
        f"slope of the time of escape, {depth} layers, {start} starts",
        slopes,
        low=exact - MARGIN,
        high=exact + MARGIN,
        rule=f"within {exact} +- {MARGIN}",
        unit="slope of ln time against ln w_0",
        decides=start == "aligned",
        min_seeds=MIN_SEEDS,
    )
    # Seeds of an aligned start differ in the frame of the hidden layers alone: no chance in it.
    return replace(part, p_value=None) if start == "aligned" else part


def draw(measured: Measured) -> Figure:
    """Draw the time of escape against the initial weights, a line for each depth."""
    import matplotlib.pyplot as plt

    escapes = measured.escapes
    depths = sorted(escapes["depth"].unique().tolist())
    canvas, axis = plt.subplots(figsize=(6.6, 4.2), layout="constrained")
    for depth, color in zip(depths, color_ramp(len(depths)), strict=True):
        rows = escapes[escapes["depth"] == depth]
        exact = rows.groupby("init_scale")["expected"].first()
        axis.plot(exact.index, exact, color=color, linewidth=1.2, label=f"exact, {depth} layers")
        for start, marker in (("aligned", "o"), ("random", "^")):
            part = rows[rows["start"] == start]
            axis.plot(
                part["init_scale"],
                part["measured"],
                linestyle="none",
                marker=marker,
                markersize=5,
                color=color,
                markerfacecolor=color if start == "aligned" else "none",
                label=f"{start} start" if depth == depths[-1] else None,
            )
    axis.set(
        xscale="log",
        yscale="log",
        xlabel="singular value of each layer at the start, w_0",
        ylabel="time of escape, lr x steps",
    )
    canvas.legend(*axis.get_legend_handles_labels(), loc="outside right upper")
    return Figure(
        canvas,
        escapes.assign(panel="times"),
        "When a deep linear network has learned half of the largest singular value of its target, "
        "every run. Lines: ln(1 / w_0^2 - 1) / 4 for two layers, w_0^-(L - 2) / (2 (L - 2)) for "
        "L layers. Open: random weights of the same scale, which are aligned by chance only.",
    )
