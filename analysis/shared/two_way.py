"""Two-way tables of counts: does what is learned follow the task, and not the learner's size?

A claim gives one row a run with the task's complexity, the learner's capacity, the seed and the
count. `judge_table` returns the parts of the rule: the count grows with the task at every capacity,
does not depend on the capacity once that is twice the count, and the task explains the variance of
ln count where the capacity does not.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from symstudy.findings import (
    PALETTE,
    Finding,
    Part,
    SeedTest,
    Verdict,
    combine,
    draw_heat_map,
    seed_part,
    seed_slopes,
)

from .monotone import LEAST, MIN_SEEDS, judge_monotone

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "FLAT",
    "LARGE",
    "SMALL",
    "TESTS",
    "Table",
    "draw_seeds",
    "draw_table",
    "finding_of",
    "judge_flatness",
    "judge_table",
    "variance_shares",
]

FLAT = 0.05
"""Largest |d ln count / d ln capacity| that is called flat."""
LARGE = 0.9
"""Least share of the variance of ln count that the task must explain."""
SMALL = 0.02
"""Largest share of the variance of ln count that the capacity may explain."""
MIN_CAPACITIES = 2
TESTS = (
    SeedTest(
        rule=f"slope of ln count against ln capacity within +-{FLAT} from twice the count on",
        level=0.9,
        margin=FLAT,
        unit="d ln count / d ln capacity",
    ),
    SeedTest(rule=f"share at least {LARGE}", level=0.9, unit="share of the variance"),
    SeedTest(rule=f"share at most {SMALL}", level=0.9, unit="share of the variance"),
)
"""What the rule tests, for the plan of a study."""


class Table(NamedTuple):
    """Runs of a two-way table, and what its axes are called.

    Attributes:
        runs: One row a run: task, capacity, seed, count.
        task: What `task` is, such as `teacher width`.
        capacity: What `capacity` is, such as `student width`.
        counted: What `count` is, such as `distinct neurons`.
    """

    runs: pd.DataFrame
    task: str
    capacity: str
    counted: str


def judge_table(table: Table, *, least: float = LEAST) -> tuple[Part, ...]:
    """Return the parts of the rule; all of them must hold.

    Args:
        table: The runs. A count of 0 has no logarithm: such a run counts in the correlations only.
        least: Spearman's correlation that the count must reach with the task.
    """
    return (
        *judge_growth(table, least),
        *judge_flatness(table),
        *judge_variance(table),
    )


def judge_growth(table: Table, least: float) -> list[Part]:
    """Test at each capacity that the count grows with the task."""
    return [
        judge_monotone(
            f"{table.counted} against {table.task} at {table.capacity} {capacity:g}",
            group.pivot_table(index="seed", columns="task", values="count").dropna(),
            least=least,
        )
        for capacity, group in table.runs.groupby("capacity")
    ]


def judge_flatness(table: Table) -> list[Part]:
    """Test for each task that the count is flat over capacities of at least twice itself.

    The count that the capacity must be twice of is the mean over seeds at the largest capacity.
    """
    parts = []
    rule = f"slope of ln count against ln capacity within +-{FLAT} from twice the count on"
    for task, group in table.runs.groupby("task"):
        name = f"{table.counted} against {table.capacity} at {table.task} {task:g}"
        settled = group.loc[group["capacity"] == group["capacity"].max(), "count"].mean()
        wide = group[(group["capacity"] >= 2 * settled) & (group["count"] > 0)]
        counts = wide.pivot_table(index="seed", columns="capacity", values="count").dropna()
        is_enough = counts.shape[1] >= MIN_CAPACITIES and len(counts) >= MIN_SEEDS
        if not is_enough:
            parts.append(Part(name=name, verdict=Verdict.INCONCLUSIVE, rule=rule))
            continue
        parts.append(
            seed_part(
                name,
                seed_slopes(counts),
                low=-FLAT,
                high=FLAT,
                rule=rule,
                unit="d ln count / d ln capacity",
            )
        )
    return parts


def judge_variance(table: Table) -> list[Part]:
    """Test that the task explains the variance of ln count, and the capacity does not."""
    shares = variance_shares(table.runs)
    return [
        seed_part(
            f"variance of ln count explained by {table.task}",
            shares["task"],
            low=LARGE,
            rule=f"share at least {LARGE}",
            unit="share of the variance",
        ),
        seed_part(
            f"variance of ln count explained by {table.capacity}",
            shares["capacity"],
            high=SMALL,
            rule=f"share at most {SMALL}",
            unit="share of the variance",
        ),
    ]


def variance_shares(runs: pd.DataFrame) -> pd.DataFrame:
    """Return for each seed with a whole table the shares of the variance of ln count.

    The sum of squares of a full two-way table is that of the row means, of the column means and of
    what is left (Fisher 1925, ch. 7).

    Args:
        runs: One row a run: task, capacity, seed, count.

    Returns:
        A row a seed: task, capacity, rest; they sum to 1.
    """
    rows = {}
    cells = runs["task"].nunique() * runs["capacity"].nunique()
    for seed, group in runs[runs["count"] > 0].groupby("seed"):
        logs = np.log(group.pivot_table(index="task", columns="capacity", values="count"))
        if logs.size < cells or logs.isna().to_numpy().any():
            continue
        centred = logs.to_numpy() - logs.to_numpy().mean()
        total = float((centred**2).sum())
        if total == 0:
            continue
        task = float((centred.mean(axis=1) ** 2).sum()) * centred.shape[1] / total
        capacity = float((centred.mean(axis=0) ** 2).sum()) * centred.shape[0] / total
        rows[seed] = (task, capacity, 1.0 - task - capacity)
    return pd.DataFrame.from_dict(rows, orient="index", columns=["task", "capacity", "rest"])


def describe_table(parts: tuple[Part, ...]) -> str:
    """Return which parts stand against the claim, with their numbers."""
    verdict = combine(parts)
    if verdict is Verdict.UNTESTED:
        return "No whole table of tasks and capacities with enough seeds."
    if verdict is Verdict.SUPPORTED:
        return "The count follows the task at every capacity, and not the capacity."
    told = [
        f"{part.name}: {part.verdict.label}"
        + (f" ({part.effect:.3g} {part.interval})" if part.effect is not None else "")
        for part in parts
        if part.decides and part.verdict is not Verdict.SUPPORTED
    ]
    return "; ".join(told) + "."


def finding_of(
    deciding: tuple[Part, ...],
    runs: pd.DataFrame,
    excluded: tuple[tuple[str, int], ...],
    *,
    unit: str,
    beside: Sequence[Part] = (),
) -> Finding:
    """Return the finding of a table, whose effect is the variance that the task explains.

    Args:
        deciding: What `judge_table` returned.
        runs: Of the table.
        excluded: Runs left out, by why.
        unit: Of the effect.
        beside: Parts that decide nothing.
    """
    explained = deciding[-2]
    parts = (*deciding, *beside)
    return Finding(
        verdict=combine(parts),
        reason=describe_table(deciding),
        effect=explained.effect,
        interval=explained.interval,
        unit=unit,
        seeds=runs["seed"].nunique(),
        threshold=f">= {LARGE}",
        parts=parts,
        excluded=excluded,
    )


def draw_table(axes: "Axes", table: Table) -> pd.DataFrame:
    """Draw the mean counts as a heat map; return what was drawn."""
    means = table.runs.groupby(["task", "capacity"], as_index=False)["count"].mean()
    draw_heat_map(
        axes,
        means,
        x="capacity",
        y="task",
        value="count",
        label=f"{table.counted}, mean over seeds",
    )
    axes.set(xlabel=table.capacity, ylabel=table.task)
    axes.set_xticklabels([f"{place:g}" for place in sorted(means["capacity"].unique())])
    return means


def draw_seeds(axes: "Axes", table: Table, means: pd.DataFrame) -> None:
    """Draw the counts of each seed against the capacity, a color a task, and their means.

    Args:
        axes: Where.
        table: The runs.
        means: What `draw_table` returned.
    """
    for place, (task, group) in enumerate(table.runs.groupby("task")):
        color = PALETTE[place % len(PALETTE)]
        for _, one in group.groupby("seed"):
            line = one.sort_values("capacity")
            axes.plot(line["capacity"], line["count"], "o-", color=color, alpha=0.35, lw=0.8)
        line = means[means["task"] == task]
        axes.plot(line["capacity"], line["count"], color=color, lw=2.2, label=f"{task:g}")
    axes.set(xscale="log", xlabel=table.capacity, ylabel=table.counted)
    axes.legend(title=table.task, loc="upper left", bbox_to_anchor=(1.0, 1.02), reverse=True)
