"""Training cannot leave a symmetric state that it starts in.

The gradient of every batch at a state that an orthogonal symmetry leaves as it is, is left as it is
too: g grad = grad. SGD with any batches, momentum and weight decay therefore stays there. Adam acts
on each parameter by itself, so it commutes with permutations and sign flips, and not with
rotations: it keeps copies of neurons, and leaves a low rank. In floating point, round-off grows
exponentially near a saddle, so that a rank is kept for a limited time.
"""

from typing import TYPE_CHECKING, NamedTuple

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
    legend_beside,
    seed_part,
    student_interval,
)
from symstudy.store import Store

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SHORT = 300
SEEN = 0.9
ADAM_LEAVES = 1.0
MIN_SEEDS = 3


class Measured(NamedTuple):
    """What the claim is judged by.

    Attributes:
        runs: One row a run: seed, activation, width, init_copies, init_rank, optimizer, momentum,
            gamma, lr, batch_size, steps, distinct_exact, product_rank_exact, product_rank,
            train_loss.
        course: One row a probe, over weight decays, learning rates and batch sizes: optimizer,
            momentum, init_copies, init_rank, activation, seed, steps, step, distinct_exact and
            product_rank_exact.
        excluded: Runs left out, by why.
    """

    runs: pd.DataFrame
    course: pd.DataFrame
    excluded: tuple[tuple[str, int], ...]


def measure(db: Store) -> Measured:
    """Return exact counts of neurons and ranks of networks with one hidden layer."""
    frame = db.df(
        """
        select seed, coalesce(activation, 'linear') as activation, width, init_copies, init_rank,
               optimizer, momentum, gamma, lr, batch_size, steps, distinct_exact,
               product_rank_exact, product_rank, train_loss, outcome
        from runs
        where depth = 2 and dtype = 'float64' and init_copies is not null
        order by all
        """
    )
    course = db.df(
        """
        select seed, coalesce(activation, 'linear') as activation, width, init_copies, init_rank,
               optimizer, momentum, steps, step, avg(distinct_exact) as distinct_exact,
               avg(product_rank_exact) as product_rank_exact
        from layers
        where depth = 2 and dtype = 'float64' and init_copies is not null and outcome = 'done'
        group by all
        order by all
        """
    )
    failed = frame["outcome"] != "done"
    excluded = (("did not end as planned", int(failed.sum())),) if failed.any() else ()
    return Measured(frame[~failed].drop(columns="outcome").reset_index(drop=True), course, excluded)


@claim(
    title="Symmetric states trap training",
    statement=(
        "A network that starts with copies of neurons keeps them under SGD with any batches, "
        "momentum and weight decay, and under Adam; a linear network that starts with a low rank "
        "keeps it under SGD but not under Adam."
    ),
    study="symmetric_states_trap",
    reference="arXiv:2502.05300, Theorem 3 and its proof (orthogonal symmetries)",
    rule=(
        "On networks with one hidden layer in float64, no fewer than 3 seeds a part. Copies, for "
        "SGD and for adaptive optimisers: no run that starts with blocks of c copies ends with "
        "more than width / c distinct neurons at 1e-6 of the largest; refuted by one run. Rank, "
        "SGD: no linear run of at most 300 steps that starts with rank r ends with more than r "
        "singular values of the product above 1e-6 of the largest; refuted by one run. Rank, "
        "adaptive: the mean over such runs of the number of singular values above 0.02 of the "
        "largest, less r, is at least 1 by its 95 % t interval over seeds; refuted where it is "
        "below. Control: runs that start as drawn, with an activation that is not linear, end "
        "with at least 0.9 of their neurons distinct by the interval, refuted where below."
    ),
    tests=(
        SeedTest(rule="none gained by any run", by_run=True),
        SeedTest(rule=f"at least {ADAM_LEAVES:g}", unit="singular values"),
        SeedTest(rule=f"at least {SEEN:g}", unit="share of the width"),
    ),
)
def judge(measured: Measured) -> Finding:
    """Test each kind of start under each kind of optimiser, and the control."""
    runs = measured.runs
    sgd = runs["optimizer"] == "sgd"
    copied = (runs["init_copies"] > 1) & (runs["init_rank"] == 0)
    linear = (runs["init_rank"] > 0) & (runs["init_copies"] == 1) & (runs["activation"] == "linear")
    low = linear & (runs["steps"] <= SHORT)
    plain = (runs["init_rank"] == 0) & (runs["init_copies"] == 1) & (runs["activation"] != "linear")
    parts = (
        judge_kept("copies under SGD", runs[copied & sgd], copies_beyond(runs)),
        judge_kept("copies under Adam", runs[copied & ~sgd], copies_beyond(runs)),
        judge_kept(
            "low rank under SGD", runs[low & sgd], runs["product_rank_exact"] - runs["init_rank"]
        ),
        judge_share(
            "low rank under Adam: directions gained",
            (runs["product_rank"] - runs["init_rank"])[low & ~sgd],
            runs["seed"],
            ADAM_LEAVES,
            "singular values",
        ),
        judge_share(
            "control: distinct neurons from a start as drawn",
            (runs["distinct_exact"] / runs["width"])[plain],
            runs["seed"],
            SEEN,
            "share of the width",
        ),
        *report_gains(runs[linear & ~low & sgd], f"low rank under SGD, over {SHORT} steps"),
        *report_others(runs),
    )
    verdict = combine(parts)
    gained = parts[3]
    told = [
        f"{part.name}: {part.verdict.label} ({part.effect:.3g})"
        for part in parts
        if part.decides and part.effect is not None
    ]
    return Finding(
        verdict=verdict,
        reason="; ".join(told) + "." if told else "No run that starts in a symmetric state.",
        effect=gained.effect,
        interval=gained.interval,
        unit="directions that Adam gains",
        seeds=runs["seed"].nunique(),
        threshold=f">= {ADAM_LEAVES:g}, and 0 under SGD",
        parts=parts,
        excluded=measured.excluded,
    )


def copies_beyond(runs: pd.DataFrame) -> pd.Series:
    """Return by how many the distinct neurons of each run exceed its blocks of copies."""
    return runs["distinct_exact"] - np.ceil(runs["width"] / runs["init_copies"])


def judge_kept(name: str, runs: pd.DataFrame, excess: pd.Series) -> Part:
    """Check that no run of `runs` has more than it started with."""
    rule = "none gained by any run"
    if runs["seed"].nunique() < MIN_SEEDS:
        return Part(name=name, verdict=Verdict.UNTESTED, rule=rule)
    worst = float(excess[runs.index].max())
    return Part(
        name=f"{name} ({len(runs)} runs)",
        verdict=Verdict.SUPPORTED if worst <= 0 else Verdict.REFUTED,
        rule=rule,
        effect=worst,
        unit="most gained by a run",
    )


def judge_share(name: str, values: pd.Series, seeds: pd.Series, least: float, unit: str) -> Part:
    """Test that the mean over seeds is at least `least`."""
    rule = f"at least {least:g}"
    means = values.groupby(seeds[values.index]).mean()
    return seed_part(name, means, low=least, level=0.95, rule=rule, unit=unit, min_seeds=MIN_SEEDS)


def report_others(runs: pd.DataFrame) -> list[Part]:
    """Report what the trap costs, and what a low rank does where no symmetry protects it."""
    parts = []
    keys = [
        *("seed", "activation", "width", "optimizer", "momentum"),
        *("gamma", "lr", "batch_size", "steps"),
    ]
    start = np.select(
        [
            (runs["init_copies"] == 1) & (runs["init_rank"] == 0),
            (runs["init_copies"] > 1) & (runs["init_rank"] == 0),
        ],
        ["free", "copied"],
        "low",
    )
    table = runs.assign(start=start).pivot_table(index=keys, columns="start", values="train_loss")
    if {"free", "copied"} <= set(table.columns):
        costs = np.log(table["copied"] / table["free"]).dropna()
        parts.append(
            reported("cost of copies", costs.groupby(level="seed").mean(), "ln loss ratio")
        )
    bent = runs[(runs["init_rank"] > 0) & (runs["activation"] != "linear")]
    is_sgd = bent["optimizer"] == "sgd"
    parts += report_gains(bent[is_sgd], "low rank of a layer that is not linear, SGD")
    parts += report_gains(bent[~is_sgd], "low rank of a layer that is not linear, Adam")
    return parts


def report_gains(runs: pd.DataFrame, name: str) -> list[Part]:
    """Report how many singular values above 1e-6 of the largest the runs have gained."""
    gained = (runs["product_rank_exact"] - runs["init_rank"]).groupby(runs["seed"]).mean()
    return [reported(name, gained, "singular values gained")] if len(gained) else []


def reported(name: str, values: pd.Series, unit: str) -> Part:
    """Return a part that decides nothing."""
    return Part(
        name=name,
        verdict=Verdict.INCONCLUSIVE,
        rule="reported, not decided",
        effect=float(values.mean()),
        interval=student_interval(values),
        unit=unit,
        decides=False,
    )


def draw(measured: Measured) -> Figure:
    """Draw distinct neurons and ranks over the steps, a line an optimiser."""
    import matplotlib.pyplot as plt

    course = measured.course[measured.course["steps"] == measured.course["steps"].max()]
    is_plain = (course["init_copies"] == 1) & (course["init_rank"] == 0)
    is_linear = course["activation"] == "linear"
    canvas, (left, right) = plt.subplots(1, 2, figsize=(9.6, 3.7), layout="constrained")
    drawn = [
        draw_course(left, course[is_plain & ~is_linear], "distinct_exact", ":"),
        draw_course(left, course[course["init_copies"] > 1], "distinct_exact", "-"),
        draw_course(right, course[is_plain & is_linear], "product_rank_exact", ":"),
        draw_course(
            right, course[(course["init_rank"] > 0) & is_linear], "product_rank_exact", "-"
        ),
    ]
    left.set(title="From copies of neurons", ylabel="distinct neurons")
    right.set(title="From a low rank, linear layer", ylabel="rank of outgoing times incoming")
    legend_beside(right, "")
    return Figure(
        canvas,
        pd.concat(drawn),
        "Distinct neurons at 1e-6 of the largest of networks that start with copies, and singular "
        "values above 1e-6 of the largest of linear networks that start with a low rank: means "
        "and range of the longest runs; dotted: the same from starts as drawn. In exact "
        "arithmetic SGD would keep the rank for good; round-off grows exponentially until it does "
        "not.",
    )


def draw_course(axes: "Axes", course: pd.DataFrame, value: str, style: str) -> pd.DataFrame:
    """Draw `value` over the steps for each optimiser; solid from symmetric starts."""
    rows = []
    marks = (("sgd", 0.0, "o", 7), ("sgd", 0.9, "s", 4.5), ("adam", 0.0, "^", 3.5))
    for place, (optimizer, momentum, mark, size) in enumerate(marks):
        group = course[(course["optimizer"] == optimizer) & (course["momentum"] == momentum)]
        if group.empty:
            continue
        line = group.groupby("step")[value].agg(["mean", "min", "max"]).reset_index()
        name = optimizer + (f", momentum {momentum:g}" if momentum else "")
        color = PALETTE[place]
        if style == "-":
            # Open marks of different sizes: the lines lie on each other.
            axes.plot(
                *(line["step"], line["mean"]),
                marker=mark,
                markersize=size,
                fillstyle="none",
                color=color,
                linewidth=1.2,
                label=name,
            )
            axes.fill_between(line["step"], line["min"], line["max"], color=color, alpha=0.15)
        else:
            axes.plot(line["step"], line["mean"], color=color, linestyle=style, linewidth=1.2)
        start = "symmetric" if style == "-" else "as drawn"
        rows.append(line.assign(panel=value, start=start, optimizer=optimizer, momentum=momentum))
    axes.axvline(SHORT, color="0.5", linewidth=1.0, linestyle="--")
    axes.set_xscale("symlog", linthresh=1)
    axes.set_xlim(left=-0.2)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("step (dashed: ranks are judged)")
    return pd.concat(rows) if rows else pd.DataFrame()
