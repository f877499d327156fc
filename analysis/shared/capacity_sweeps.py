"""Does a layer's degree of symmetry follow one property of the task? What four claims share.

Each claim has runs in which one factor changes; at each place the distinct neurons of the first
hidden layer are counted. The paper counts sorted neighbours apart by more than a threshold, and the
rank of the representation should tell the same: both are reported beside.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd

from symstudy.findings import (
    PALETTE,
    Figure,
    Finding,
    Part,
    Verdict,
    combine,
    error_bars,
    student_table,
)
from symstudy.store import Store

from .evidence import converged, seed_table
from .monotone import judge_monotone

__all__ = [
    "FACTORS",
    "Measured",
    "Sweep",
    "draw_sweep",
    "judge_sweep",
    "measure_minima",
]

MAX_GRAD_RATIO = 1e-6
COLLAPSED = 1e-4
FACTORS = ("input_scale", "teacher_width", "label_noise")
MEASURES = {
    "count": "distinct neurons",
    "sorted": "broken pairs of sorted neighbours",
    "rank": "rank of the representation",
}
"""What is counted of a layer; the first decides."""


class Measured(NamedTuple):
    """What a claim about a sweep is judged by.

    Attributes:
        runs: One row a run: place on the sweep, arm (runs that are judged together, `""` if all
            are), seed, width, and count, sorted and rank of the first hidden layer.
        excluded: Runs left out, by why.
    """

    runs: pd.DataFrame
    excluded: tuple[tuple[str, int], ...]


class Sweep(NamedTuple):
    """What is claimed of a sweep.

    Attributes:
        factor: What changes, with its unit.
        sign: 1 if the count is to grow with it, -1 if to fall.
        counted: What the column `count` holds.
        most: Largest place that decides; what lies beyond is reported.
    """

    factor: str
    sign: int
    counted: str = MEASURES["count"]
    most: float = np.inf


def measure_minima(db: Store, factor: str) -> Measured:
    """Return the counts at minima where only `factor` changes.

    The other factors are at scale 1 of the inputs, no noise, and the teacher's width that most runs
    have. Of Adam, whose last step is no minimum, runs count that ended as planned.
    """
    frame = db.df(
        f"""
        select layers.seed, layers.width, layers.input_scale, layers.teacher_width,
               layers.label_noise, layers.rank,
               case when layers.max_norm < {COLLAPSED} then 0
                    else layers.distinct_neurons end as count,
               case when layers.max_norm < {COLLAPSED} then 0
                    else layers.breaking_sorted end as sorted,
               case when layers.optimizer = 'lbfgs' then coalesce(runs.grad_ratio, 1)
                    else 0 end as grad_ratio,
               runs.outcome
        from layers join runs using (study, run_id)
        where layers.data = 'teacher_student' and layers.is_final and layers.layer = 1
              and layers.optimizer in ('lbfgs', 'adam') and layers.gamma > 0
              and layers.noise_mode = 'fixed' and layers.samples > 0
        order by all
        """
    )
    runs, excluded = converged(frame, MAX_GRAD_RATIO)
    if len(runs):
        base = {
            "input_scale": 1.0,
            "teacher_width": runs["teacher_width"].value_counts().idxmax(),
            "label_noise": 0.0,
        }
        for other in FACTORS:
            if other != factor:
                runs = runs[runs[other] == base[other]]
    columns = ["seed", "width", "count", "sorted", "rank"]
    kept = runs[columns].assign(place=runs[factor].astype(float), arm="")
    return Measured(kept.reset_index(drop=True), excluded)


def judge_sweep(measured: Measured, sweep: Sweep) -> Finding:
    """Judge the direction of the count in every arm; report sorted pairs and rank."""
    parts: list[Part] = []
    for arm, runs in measured.runs.groupby("arm"):
        where = f", {arm}" if arm else ""
        for column, label in MEASURES.items():
            name = sweep.counted if column == "count" else label
            decides = column == "count"
            table = seed_table(runs[runs["place"] <= sweep.most], "place", column)
            parts.append(
                judge_monotone(
                    f"{name} against {sweep.factor}{where}",
                    table,
                    sign=sweep.sign,
                    decides=decides,
                )
            )
            if decides and runs["place"].max() > sweep.most:
                parts.append(
                    judge_monotone(
                        f"{name} against {sweep.factor} beyond {sweep.most:g}{where}",
                        seed_table(runs, "place", column),
                        sign=sweep.sign,
                        decides=False,
                    )
                )
    deciding = [part for part in parts if part.decides]
    worst = min(
        (part for part in deciding if part.effect is not None),
        key=lambda part: sweep.sign * (part.effect or 0.0),
        default=None,
    )
    return Finding(
        verdict=combine(tuple(parts)),
        reason=describe(measured.runs, sweep, deciding),
        effect=worst.effect if worst else None,
        interval=worst.interval if worst else None,
        unit=worst.unit if worst else "",
        seeds=measured.runs["seed"].nunique(),
        threshold=deciding[0].rule if deciding else "",
        parts=tuple(parts),
        excluded=measured.excluded,
    )


def describe(runs: pd.DataFrame, sweep: Sweep, deciding: list[Part]) -> str:
    """Return the mean counts along the sweep and the verdict of each arm."""
    if not deciding or all(part.verdict is Verdict.UNTESTED for part in deciding):
        return f"No sweep of {sweep.factor} with enough seeds."
    told = []
    for (arm, group), part in zip(runs.groupby("arm"), deciding, strict=True):
        means = group.groupby("place")["count"].mean()
        counts = ", ".join(f"{mean:.3g}" for mean in means)
        places = ", ".join(f"{place:g}" for place in means.index)
        where = f" ({arm})" if arm else ""
        told.append(
            f"{part.verdict.label}{where}: {counts} {sweep.counted} at {sweep.factor} {places}"
        )
    return "; ".join(told) + "."


def draw_sweep(measured: Measured, sweep: Sweep) -> Figure:
    """Draw count, sorted pairs and rank against the factor, a colour an arm."""
    import matplotlib.pyplot as plt

    runs = measured.runs
    canvas, axes = plt.subplots(1, 3, figsize=(11.0, 3.5), layout="constrained")
    arms = sorted(runs["arm"].unique().tolist())
    places = sorted(runs["place"].unique().tolist())
    drawn = []
    for axis, column in zip(axes, MEASURES, strict=True):
        label = sweep.counted if column == "count" else MEASURES[column]
        for place, arm in enumerate(arms):
            group = runs[runs["arm"] == arm]
            line = student_table(group, "place", column)
            axis.errorbar(
                line["place"],
                line["mean"],
                yerr=error_bars(line["low"], line["mean"], line["high"]),
                fmt="o-",
                capsize=2,
                color=PALETTE[place],
                label=arm or "mean",
            )
            axis.plot(
                group["place"], group[column], ".", color=PALETTE[place], alpha=0.3, markersize=4
            )
            drawn.append(line.assign(panel=label, arm=arm))
        is_log = min(places) > 0
        if is_log:
            axis.set_xscale("log", base=2)
        axis.set_xticks(places, [f"{place:g}" for place in places])
        axis.minorticks_off()
        width = float(runs["width"].max())
        axis.axhline(width, color="0.6", linestyle=":", linewidth=1.0)
        axis.set(xlabel=sweep.factor, ylabel=label, ylim=(0, 1.08 * width))
    if len(arms) > 1:
        axes[0].legend(loc="best")
    return Figure(
        canvas,
        pd.concat(drawn),
        f"First hidden layer against {sweep.factor}: {sweep.counted}, the paper's count of broken "
        "pairs among neurons sorted by norm, and the rank of the representation. Mean over seeds "
        "with 95 % t intervals, and every seed; the dotted line is the width.",
    )
