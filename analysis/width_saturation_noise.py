"""Does the noise of SGD alone keep the rank from growing with width?

Three ways of training one network: gradient descent with nothing, gradient descent with weight
decay, and SGD on a fresh batch at every step without weight decay, at several lr / batch. Noise
acts slowly, and on a task that can be solved exactly ever more slowly, since it vanishes with the
loss. So each number is compared with what it was after half of the steps: one that is still falling
says nothing of where it ends.
"""

import dataclasses
from typing import NamedTuple

import numpy as np
import pandas as pd

from symstudy.findings import (
    PALETTE,
    Figure,
    Finding,
    Part,
    Verdict,
    claim,
    color_ramp,
    combine,
    error_bars,
    legend_beside,
    log_ticks,
    student_table,
)
from symstudy.store import Store

from .evidence import MIN_BUDGET
from .width_saturation import (
    FLAT,
    TESTS,
    judge_flat,
    judge_growth,
    judge_spread,
    upper_table,
)

SETTLED = 0.01
"""Largest fall of ln of a number over the second half of the steps that counts as settled."""
NUMBERS = ("rank", "first_rank", "effective_rank", "distinct_neurons", "test_loss")


class Measured(NamedTuple):
    """What the claim is judged by.

    Attributes:
        runs: One row a run: arm (nothing, decay or noise), gamma, lr_over_batch, width, seed; rank,
            effective_rank and distinct_neurons (means over hidden layers), first_rank (of the
            first layer), test_loss; and each of these under `early_NAME`, after half of the steps.
        excluded: Runs left out, by why.
    """

    runs: pd.DataFrame
    excluded: tuple[tuple[str, int], ...]


def measure(db: Store) -> Measured:
    """Return ranks, neurons and losses at the end and half-way, of plain SGD at a constant rate."""
    frame = db.df(
        """
        with probed as (
            select study, run_id, step, avg(rank) as rank, avg(effective_rank) as effective_rank,
                   avg(rank) filter (layer = 1) as first_rank,
                   avg(distinct_neurons) as distinct_neurons
            from layers
            group by all
        ),
        probes as (
            select probed.*, history.test_loss, history.seed, history.width, history.gamma,
                   history.lr / history.batch_size as lr_over_batch, history.full_batch,
                   history.samples, history.outcome, history.decay_budget,
                   history.step <= history.steps / 2 as is_early,
                   history.step = history.steps as is_final
            from probed join history using (study, run_id, step)
            where history.data = 'identity' and history.optimizer = 'sgd'
                  and history.schedule = 'constant' and history.label_noise = 0
                  and history.depth > 1
        ),
        early as (
            select * from probes where is_early
            qualify step = max(step) over (partition by study, run_id)
        )
        select final.*, early.rank as early_rank, early.first_rank as early_first_rank,
               early.effective_rank as early_effective_rank,
               early.distinct_neurons as early_distinct_neurons,
               early.test_loss as early_test_loss
        from probes as final join early using (study, run_id)
        where final.is_final
        order by all
        """
    )
    failed = int(db.df("select count(*) as runs from runs where outcome != 'done'")["runs"][0])
    done = frame[frame["outcome"] == "done"]
    short = (done["gamma"] > 0) & (done["decay_budget"] < MIN_BUDGET)
    excluded = []
    if failed:
        excluded.append(("did not end as planned", failed))
    if short.any():
        excluded.append((f"decay budget below {MIN_BUDGET:g}", int(short.sum())))
    kept = done[~short].reset_index(drop=True)
    fresh = (kept["samples"] == 0) & (kept["gamma"] == 0)
    kept["arm"] = np.select(
        [fresh, kept["full_batch"] & (kept["gamma"] > 0), kept["full_batch"]],
        ["noise", "decay", "nothing"],
        "other",
    )
    columns = ["arm", "gamma", "lr_over_batch", "width", "seed", *NUMBERS]
    columns += [f"early_{name}" for name in NUMBERS]
    return Measured(
        kept.loc[kept["arm"] != "other", columns].reset_index(drop=True), tuple(excluded)
    )


@claim(
    title="Noise alone keeps capacity from growing with width",
    statement=(
        "Past some width, the rank of the hidden layers and the test error of a network trained by "
        "SGD on fresh batches do not depend on the width, without any weight decay; under gradient "
        "descent the rank keeps growing."
    ),
    study="width_saturation_noise",
    reference="arXiv:2502.05300, Fig. 3 (middle) and Fig. 9",
    rule=(
        "Over the upper half of the widths (at least 3), on no fewer than 3 seeds. For SGD without "
        "decay on fresh batches at the largest lr / batch: the 90 % t interval over seeds of the "
        "slope of ln rank against ln width lies within +-0.1, for the mean over hidden layers and "
        "for the first layer, and the ratio of the test losses of any two widths within 1 +- 0.1; "
        "a part is inconclusive where, at any of these widths, the number has fallen by more than "
        "1 % in the mean over seeds since the last detailed probe of the first half of the steps. "
        "For gradient descent without decay the slope of rank is at least 0.5. All must hold; "
        "refuted where an interval of settled numbers lies wholly on the other side. Other lr / "
        "batch, effective rank and distinct neurons are reported."
    ),
    tests=TESTS,
)
def judge(measured: Measured) -> Finding:
    """Test flatness under noise and growth without."""
    runs = measured.runs
    noisy = runs[runs["arm"] == "noise"]
    ratios = sorted(noisy["lr_over_batch"].unique().tolist())
    strongest = noisy[noisy["lr_over_batch"] == ratios[-1]] if ratios else noisy
    where = f"under noise, lr / batch = {ratios[-1]:.3g}" if ratios else "under noise"
    parts = [
        settled_part(
            judge_flat(strongest, "rank", f"rank against width {where}"), strongest, "rank"
        ),
        settled_part(
            judge_flat(strongest, "first_rank", f"rank of the first layer against width {where}"),
            strongest,
            "first_rank",
        ),
        settled_part(judge_spread(strongest, f"test loss {where}"), strongest, "test_loss"),
        judge_growth(runs[runs["arm"] == "nothing"]),
    ]
    for ratio in ratios:
        group = noisy[noisy["lr_over_batch"] == ratio]
        values = ["effective_rank", "distinct_neurons"]
        for value in values if ratio == ratios[-1] else ["rank", *values]:
            name = f"{value.replace('_', ' ')} against width, lr / batch = {ratio:.3g}"
            parts.append(reported(settled_part(judge_flat(group, value, name), group, value)))
    first = parts[0]
    return Finding(
        verdict=combine(tuple(parts)),
        reason=describe(tuple(parts), "noise alone"),
        effect=first.effect,
        interval=first.interval,
        unit=first.unit,
        seeds=len(upper_table(strongest, "rank")),
        threshold=f"within +-{FLAT}",
        parts=tuple(parts),
        excluded=measured.excluded,
    )


def settled_part(part: Part, runs: pd.DataFrame, value: str) -> Part:
    """Return `part`, inconclusive if `value` still falls at one of the widths that it is about."""
    widths = upper_table(runs, value).columns
    used = runs[runs["width"].isin(widths)]
    if part.verdict is Verdict.UNTESTED or used.empty:
        return part
    falls = np.log(used[f"early_{value}"] / used[value]).groupby(used["width"]).mean()
    told = f"{part.name}, falling by {1 - np.exp(-falls.max()):.0%} in the second half"
    if falls.max() <= -np.log1p(-SETTLED):
        return part
    return dataclasses.replace(part, name=told, verdict=Verdict.INCONCLUSIVE, p_value=None)


def reported(part: Part) -> Part:
    """Return `part` as one that decides nothing."""
    return dataclasses.replace(part, decides=False)


def describe(parts: tuple[Part, ...], under: str) -> str:
    """Return what stands against flatness `under` something, and what would decide it."""
    verdict = combine(parts)
    if verdict is Verdict.UNTESTED:
        return f"No sweep of widths under {under} with enough seeds."
    if verdict is Verdict.SUPPORTED:
        return f"Rank and test loss are flat in width under {under}; rank grows without."
    told = [
        f"{part.name}: {part.verdict.label}"
        + (f" ({part.effect:.3g} {part.interval})" if part.effect is not None else "")
        for part in parts
        if part.decides and part.verdict is not Verdict.SUPPORTED
    ]
    moving = any("falling" in part.name for part in parts if part.decides)
    advice = " More steps would decide, until the ranks stand still." if moving else ""
    return "; ".join(told) + "." + advice


def draw(measured: Measured) -> Figure:
    """Draw the ranks, their fall over training and the test loss, by width."""
    import matplotlib.pyplot as plt

    runs = measured.runs
    canvas, axes = plt.subplots(1, 3, figsize=(11.6, 3.7), layout="constrained")
    widths = sorted(runs["width"].unique().tolist())
    noisy = sorted(runs.loc[runs["arm"] == "noise", "lr_over_batch"].unique().tolist())
    ramp = dict(zip(noisy, color_ramp(len(noisy)), strict=True))
    panels = (
        ("rank", "rank, mean of the hidden layers"),
        ("first_rank", "rank of the first layer"),
        ("test_loss", "test loss"),
    )
    drawn = []
    for axis, (value, label) in zip(axes, panels, strict=True):
        for (arm, gamma, ratio), group in runs.groupby(["arm", "gamma", "lr_over_batch"]):
            is_noise = arm == "noise"
            color = ramp[ratio] if is_noise else PALETTE[7 if arm == "nothing" else 3]
            name = {"nothing": "GD, nothing", "decay": f"GD, gamma = {gamma:g}"}.get(
                arm, f"SGD, lr / batch {ratio:.2g}"
            )
            for moment in ("early", "end"):
                column = value if moment == "end" else f"early_{value}"
                if moment == "early" and not is_noise:
                    continue
                line = student_table(group, "width", column)
                drawn.append(
                    line.assign(panel=value, arm=arm, gamma=gamma, lr_over_batch=ratio, at=moment)
                )
                if moment == "early":
                    axis.plot(line["width"], line["mean"], ":", color=color, lw=1.1)
                    continue
                axis.errorbar(
                    line["width"],
                    line["mean"],
                    yerr=np.minimum(
                        error_bars(line["low"], line["mean"], line["high"]),
                        0.9 * line["mean"].to_numpy(),
                    ),
                    fmt="o-",
                    capsize=2,
                    color=color,
                    label=name,
                )
        axis.set(xscale="log", yscale="log", xlabel="width", ylabel=label)
        log_ticks(axis, widths)
        if value != "test_loss":
            axis.plot(widths, widths, color="0.75", linewidth=1.0, zorder=0)
            log_ticks(axis, [8, 16, 32, 64, 128], "y")
    legend_beside(axes[2], "training", explained=axes[0])
    return Figure(
        canvas,
        pd.concat(drawn),
        "Ranks and test loss after training, mean over seeds with 95 % t intervals; dotted: of SGD "
        "after half of the steps, so a gap below a dotted line is a fall that goes on. The grey "
        "line is the width itself.",
    )
