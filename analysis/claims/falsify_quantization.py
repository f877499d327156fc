"""A search for minima that break the separation of neurons, and what becomes of what it finds.

Conjecture 1 of arXiv:2502.05300 says that non-identical neurons are at least c gamma apart, with
one c. What is tested is the statement for c = 0.1; its refutation says nothing of a smaller c, and
no finite hunt refutes "some c". The least ratio that was found is an upper bound of every c and is
reported. A universal statement is not shown by examples: here Optuna hunts for its exception, over
width, depth, weight decay, label noise and lr / batch, at the certified minima beside which SGD
ends. What it finds counts if a new
seed, trained to a gradient a thousand times smaller, breaks the bound as well.

Two statements beside it are theorems, so they test the program and not the conjecture: points at
pairwise distance r number at most 1 + 2 sum |w|^2 / r^2, and at a global minimum no two neurons are
better merged.

It is no declared rule because a search chose the runs: its finds count only where new seeds,
trained again, confirm them, and how many it looked at is part of the verdict.
"""

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
)
from symstudy.findings.conclude import describe
from symstudy.plots.labels import typeset
from symstudy.plots.lines import legend_of
from symstudy.plots.page import panel_axes
from symstudy.plots.scales import label_log_axis, log_limits, spread_of
from symstudy.store import Store

SMALLEST_RATIO = 0.1
"""c of the bound: a third of the least median distance over gamma of the published studies, which
was 0.3, for networks trained by SGD at gamma = 0.3."""
MAX_GRAD_RATIO = 1e-8
CONFIRMED_GRAD_RATIO = 1e-10
MERGE_TOLERANCE = 1e-9
LIVING_NORM = 0.01
MIN_MINIMA = 100
MIN_CONVERGED = 0.8
MARKS = (
    ("hunt", "o", PALETTE[0], "minimum of the hunt"),
    ("again", "^", PALETTE[1], "find trained again"),
)
"""Panel, marker, colour and name of what is drawn."""


class Measured(NamedTuple):
    """What the claim is judged by.

    Attributes:
        runs: One row a run that ended as planned: activation, depth, width, gamma, label_noise,
            lr_over_batch, seed, number of its trial and of the one that it confirms, ratio (least
            distance over gamma), least_norm (of the largest neuron of a layer), excess over the
            count bound of geometry, fill (count over the count bound of the conjecture),
            grad_ratio, merge_gain.
        failed: Runs that did not end as planned.
    """

    runs: pd.DataFrame
    failed: int


def measure(db: Store) -> Measured:
    """Return distances, norms and certificates of every minimum."""
    runs = db.df(
        f"""
        with hidden as (
            select study, run_id, min(min_distance / gamma) as ratio, min(max_norm) as least_norm,
                   max(distinct_neurons - 1 - 2 * squared_norm / min_distance ** 2) as excess,
                   max(distinct_neurons
                       / (1 + 2 * squared_norm / ({SMALLEST_RATIO} * gamma) ** 2)) as fill
            from layers
            where is_final and gamma > 0
            group by all
        )
        select runs.activation, runs.depth, runs.width, runs.gamma, runs.label_noise,
               runs.lr_over_batch, runs.seed,
               (planned.trial ->> 'number')::int as number,
               (planned.trial ->> 'confirms')::int as confirms,
               ratio, least_norm, excess, fill, coalesce(runs.grad_ratio, 1) as grad_ratio,
               runs.merge_gain
        from runs
        join hidden using (study, run_id)
        left join planned using (study, run_id)
        where runs.outcome = 'done' and (runs.optimizer = 'lbfgs' or runs.polish > 0)
              and runs.activation is not null
        order by all
        """
    )
    ((failed,),) = db.sql("select count(*) from runs where outcome <> 'done'").rows
    return Measured(runs, int(failed))


@claim(
    title="Hunting minima that break the separation of neurons",
    statement=(
        "At minima under weight decay, living neurons that are not identical are at least c gamma "
        "apart with c = 0.1 (a smaller c is not tested), whatever the width, depth, activation, "
        "weight decay, label noise and ratio of learning rate and batch."
    ),
    study="falsify_quantization",
    reference="arXiv:2502.05300, Conjecture 1 in the form that can fail",
    rule=(
        "The statement for c = 0.1 alone is judged; a refutation says nothing of a smaller c. On "
        "runs with a gradient of at most 1e-8 of 1 + objective, no merge that gains more than "
        "1e-9 of the objective, and a neuron of norm above 0.01 in every layer; for each "
        "activation: refuted where a run breaks the bound that trained a find again with a new "
        "seed, to a gradient of at most 1e-10; inconclusive where there are finds that no new seed "
        "breaks again, fewer than 100 minima, or less than 80 % of the runs of the hunt converged; "
        "supported otherwise: no violation in this space with this budget. All activations must "
        "hold."
    ),
    tests=(SeedTest(rule=f"no distance below {SMALLEST_RATIO:g} gamma", by_run=True),),
)
def judge(measured: Measured) -> Finding:
    """Test each activation; report what theorems say beside."""
    runs = measured.runs
    parts: list[Part] = []
    for name, rows in runs.groupby("activation"):
        parts.append(judge_hunt(str(name), rows))
    parts += report_theorems(runs)
    verdict = combine(tuple(parts))
    told = min(
        (part for part in parts if part.decides and part.effect is not None),
        key=lambda part: (part.verdict is not Verdict.REFUTED, part.effect),
        default=None,
    )
    return Finding(
        verdict=verdict,
        reason=of_one_bound(describe(parts, verdict), verdict),
        effect=told.effect if told else None,
        unit="least distance over gamma",
        seeds=int(runs["seed"].nunique()) if len(runs) else 0,
        threshold=f">= {SMALLEST_RATIO:g}",
        parts=tuple(parts),
        excluded=count_excluded(measured),
    )


def of_one_bound(reason: str, verdict: Verdict) -> str:
    """Return a reason with what a refutation of one c does not say."""
    if verdict is not Verdict.REFUTED:
        return reason
    return f"{reason} This refutes c = {SMALLEST_RATIO:g}, not that there is some smaller c."


def is_minimum(runs: pd.DataFrame, max_grad_ratio: float) -> pd.Series:
    """Return which runs are certified, as far as their gradient and their merges tell."""
    return (runs["grad_ratio"] <= max_grad_ratio) & (runs["merge_gain"] <= MERGE_TOLERANCE)


def evidence(runs: pd.DataFrame, max_grad_ratio: float) -> pd.DataFrame:
    """Return the minima that the claim is about: certified, alive, and with a distance."""
    is_alive = (runs["least_norm"] > LIVING_NORM) & runs["ratio"].notna()
    return runs[is_minimum(runs, max_grad_ratio) & is_alive]


def judge_hunt(name: str, runs: pd.DataFrame) -> Part:
    """Test one activation."""
    rule = f"no distance below {SMALLEST_RATIO:g} gamma"
    hunts = runs[runs["confirms"].isna()]
    minima = evidence(hunts, MAX_GRAD_RATIO)
    again = evidence(runs[runs["confirms"].notna()], CONFIRMED_GRAD_RATIO)
    is_new = ~again["seed"].isin(hunts["seed"].unique())
    finds = minima[minima["ratio"] < SMALLEST_RATIO]
    is_broken = again["ratio"] < SMALLEST_RATIO
    broken = again[is_broken & is_new]
    converged = float(is_minimum(hunts, MAX_GRAD_RATIO).mean()) if len(hunts) else 0.0
    if len(broken):
        verdict = Verdict.REFUTED
    elif len(finds) or len(minima) < MIN_MINIMA or converged < MIN_CONVERGED:
        verdict = Verdict.INCONCLUSIVE
    else:
        verdict = Verdict.SUPPORTED
    least = broken if len(broken) else minima
    return Part(
        name=name,
        verdict=verdict,
        rule=rule,
        effect=float(least["ratio"].min()) if len(least) else None,
        unit="least distance over gamma",
        note=(
            f"{len(minima)} minima hunted, {len(finds)} finds; trained again, "
            f"{int((is_broken & ~is_new).sum())} of {int((~is_new).sum())} old seeds and "
            f"{len(broken)} of {int(is_new.sum())} new ones break the bound"
        ),
    )


def report_theorems(runs: pd.DataFrame) -> list[Part]:
    """Report what is true whatever the conjecture says, and its count bound, which is weaker."""
    if runs.empty:
        return []
    minima = evidence(runs, MAX_GRAD_RATIO)
    converged = runs[runs["grad_ratio"] <= MAX_GRAD_RATIO]
    parts = [
        (
            "least distance over gamma found: an upper bound of every c",
            minima["ratio"].min(),
            "least distance over gamma",
        ),
        (
            "count within 1 + 2 sum |w|^2 / r^2 (a theorem: tests the program)",
            minima["excess"].max(),
            "largest excess",
        ),
        (
            "count over 1 + 2 sum |w|^2 / (0.1 gamma)^2 (follows from the separation)",
            minima["fill"].max(),
            "largest share",
        ),
        (
            "minima that a merge would lower (no global minima)",
            float((converged["merge_gain"] > MERGE_TOLERANCE).sum()),
            f"of {len(converged)}",
        ),
    ]
    return [
        Part(
            name=name,
            verdict=Verdict.INCONCLUSIVE,
            rule="reported, not decided",
            effect=None if pd.isna(value) else float(value),
            unit=unit,
            decides=False,
        )
        for name, value, unit in parts
    ]


def count_excluded(measured: Measured) -> tuple[tuple[str, int], ...]:
    """Return how many runs are no evidence, by why."""
    runs = measured.runs
    counts = [("did not end as planned", measured.failed)]
    if len(runs):
        limit = np.where(runs["confirms"].isna(), MAX_GRAD_RATIO, CONFIRMED_GRAD_RATIO)
        moving = runs["grad_ratio"] > limit
        merged = ~moving & (runs["merge_gain"] > MERGE_TOLERANCE)
        silent = (runs["least_norm"] <= LIVING_NORM) | runs["ratio"].isna()
        counts += [
            ("gradient not small enough", int(moving.sum())),
            ("a merge lowers the objective", int(merged.sum())),
            ("fewer than two living neurons", int((silent & ~moving & ~merged).sum())),
        ]
    return tuple((why, count) for why, count in counts if count)


def draw(measured: Measured) -> Figure:
    """Draw the least distance over gamma of every minimum, and of what was trained again.

    There is a panel for each activation, with its verdict and the region that the bound forbids.
    """
    runs = measured.runs
    hunts = evidence(runs[runs["confirms"].isna()], MAX_GRAD_RATIO).assign(panel="hunt")
    again = evidence(runs[runs["confirms"].notna()], CONFIRMED_GRAD_RATIO).assign(panel="again")
    drawn = pd.concat([hunts, again]).drop(columns=["excess", "fill"])
    names = sorted(runs["activation"].unique().tolist())
    canvas, axes = panel_axes(len(names), height=0.9)
    ends = spread_of([*drawn["ratio"], SMALLEST_RATIO]) or (SMALLEST_RATIO, SMALLEST_RATIO)
    least, most = log_limits(*ends)
    for name, axis in zip(names, axes, strict=True):
        for panel, mark, color, label in MARKS:
            rows = drawn[(drawn["activation"] == name) & (drawn["panel"] == panel)]
            axis.plot(
                rows["gamma"], rows["ratio"], mark, color=color, alpha=0.6, label=label,
                fillstyle="none",
            )  # fmt: skip
        axis.axhspan(least, SMALLEST_RATIO, color=PALETTE[3], alpha=0.12, linewidth=0)
        axis.axhline(SMALLEST_RATIO, color="0.1", linestyle="--", linewidth=0.9)
        verdict = judge_hunt(name, runs[runs["activation"] == name]).verdict.label
        axis.set(xscale="log", yscale="log", title=typeset(f"{name}: {verdict}"))
        axis.set(ylim=(least, most), xlabel=typeset("weight decay gamma"))
        label_log_axis(axis.xaxis, *axis.get_xlim())
        label_log_axis(axis.yaxis, least, most)
    axes[0].set_ylabel(r"least distance / $\gamma$")
    legend_of(axes)
    return Figure(
        canvas,
        drawn,
        "Smallest distance of two living, non-identical neurons over gamma, one mark a minimum; "
        "triangles are finds trained again with new seeds to a smaller gradient. The dashed line "
        f"is the bound, {SMALLEST_RATIO:g}; what it forbids is shaded.",
    )
