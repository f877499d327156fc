"""A student under weight decay finds its teacher's number of neurons, as far as seeds can tell.

Some combinations of teacher and weight decay are clear after twenty seeds, others are not after
eighty. The study spends its seeds where the interval of the median straddles the claimed range, so
they are looked at again and again. The intervals here are wide enough that all looks at all
combinations together are wrong no more often than the level says.

It is no declared rule because it looks again and again: a sequential test takes the seeds in their
order, and each look its own interval.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd

from symstudy.findings import (
    Evidence,
    Figure,
    Finding,
    Interval,
    LookPlan,
    Part,
    SeedTest,
    Verdict,
    claim,
    combine,
    judge_looks,
    p_of_looks,
    plan_looks,
)
from symstudy.findings.evidence import load
from symstudy.plots.panels import Line, Panel, draw_panels
from symstudy.store import Store

MAX_GRAD_RATIO = 1e-6
ALPHA = 0.05
LOW, HIGH = 0.75, 1.25
LOOKS = (5, 10, 20, 40, 80, 160)

VERDICTS = {
    "inside": Verdict.SUPPORTED,
    "outside": Verdict.REFUTED,
    "": Verdict.INCONCLUSIVE,
}


class Measured(NamedTuple):
    """What the claim is judged by.

    Attributes:
        runs: One row a run that has ended: teacher_width, gamma, seed, and ratio, distinct neurons
            over those of the teacher; NaN where the run is no certified minimum.
        planned: One row a combination: teacher_width, gamma, and seeds, how many of its first seeds
            have all ended.
        excluded: Runs left out, by why.
    """

    runs: pd.DataFrame
    planned: pd.DataFrame
    excluded: tuple[tuple[str, int], ...]


def measure(db: Store) -> Measured:
    """Return the student's neurons over the teacher's at every minimum, and how far seeds go."""
    minima = (
        Evidence()
        .where("optimizer = 'lbfgs' and depth = 2 and teacher_width is not null")
        .define(
            size="coalesce(grad_ratio, 1)",
            ratio=f"case when outcome = 'done' and grad_ratio <= {MAX_GRAD_RATIO} "
            "then distinct_neurons / teacher_width end",
        )
    )
    runs = load(db, minima, ("teacher_width", "gamma", "outcome", "size", "ratio")).frame
    planned = db.df(
        """
        select planned.teacher_width, planned.gamma,
               coalesce(min(planned.seed) filter (runs.run_id is null), max(planned.seed) + 1)
                   as seeds
        from planned left join runs using (study, run_id)
        where planned.optimizer = 'lbfgs' and planned.depth = 2
              and planned.teacher_width is not null
        group by all
        order by all
        """
    )
    failed = int((runs["outcome"] != "done").sum())
    moving = int(((runs["outcome"] == "done") & (runs["size"] > MAX_GRAD_RATIO)).sum())
    counts = (
        ("did not end as planned", failed),
        (f"gradient above {MAX_GRAD_RATIO:g} of 1 + objective", moving),
    )
    columns = runs[["teacher_width", "gamma", "seed", "ratio"]]
    return Measured(columns, planned, tuple((why, count) for why, count in counts if count))


@claim(
    title="A student finds its teacher's number of neurons",
    statement=(
        "At minima under weight decay the median number of distinct neurons of a student is that "
        "of its teacher, to a quarter, for every teacher and weight decay of the study."
    ),
    study="replicate_where_undecided",
    reference="arXiv:2502.05300, adaptive capacity: symmetry follows the target",
    rule=(
        "On minima with a gradient of at most 1e-6 of 1 + objective, by their number of distinct "
        "neurons over the teacher's, for each combination of teacher and gamma: at 5, 10, 20, 40, "
        "80 and 160 seeds the repeated confidence interval of the median (sign tests, Pocock's "
        "spending) is held against 0.75 to 1.25; the first look at which it lies within supports "
        "the combination, the first at which it lies outside refutes it. All looks at all "
        "combinations together have an error of 5 %, each combination an equal share; its p-value "
        "is the least such error at which a look that has happened decides the same. Supported "
        "if all are, refuted if one is."
    ),
    tests=(
        SeedTest(
            rule="median ratio within 0.75 and 1.25", margin=0.25, unit="ratio", method="sign"
        ),
    ),
)
def judge(measured: Measured) -> Finding:
    """Judge each combination at the first look that decides."""
    plan = looks_of(measured.planned)
    parts = tuple(
        judge_combination(measured, plan, teacher, gamma)
        for teacher, gamma in combinations(measured.planned)
    )
    decided = [part for part in parts if part.verdict is not Verdict.INCONCLUSIVE]
    told = max(decided, key=lambda part: abs((part.effect or 1.0) - 1.0), default=None)
    counts = pd.Series([part.verdict.label for part in parts], dtype=str).value_counts()
    return Finding(
        verdict=combine(parts) if parts else Verdict.UNTESTED,
        reason=(
            f"Of {len(parts)} combinations "
            + ", ".join(f"{count} {label}" for label, count in counts.items())
            + f", with {len(measured.runs)} runs."
        )
        if parts
        else "No planned combination of teacher and gamma.",
        effect=told.effect if told else None,
        interval=told.interval if told else None,
        unit="neurons over the teacher's, where furthest from 1",
        seeds=int(measured.planned["seeds"].max()) if parts else 0,
        threshold=f"{LOW:g} to {HIGH:g}",
        parts=parts,
        excluded=measured.excluded,
    )


def combinations(planned: pd.DataFrame) -> list[tuple[int, float]]:
    """Return teacher and gamma of every combination."""
    pairs = zip(planned["teacher_width"].tolist(), planned["gamma"].tolist(), strict=True)
    return [(int(teacher), float(gamma)) for teacher, gamma in pairs]


def looks_of(planned: pd.DataFrame) -> LookPlan:
    """Return the looks at each combination, which has its share of the error."""
    return plan_looks(LOOKS, ALPHA / max(len(planned), 1))


def judge_combination(measured: Measured, plan: LookPlan, teacher: int, gamma: float) -> Part:
    """Judge one combination."""
    here = (measured.planned["teacher_width"] == teacher) & (measured.planned["gamma"] == gamma)
    rows = measured.runs[
        (measured.runs["teacher_width"] == teacher) & (measured.runs["gamma"] == gamma)
    ].dropna(subset="ratio")
    values = dict(zip(rows["seed"].tolist(), rows["ratio"].tolist(), strict=True))
    seeds = int(measured.planned.loc[here, "seeds"].iloc[0])
    decision = judge_looks(values, plan, low=LOW, high=HIGH, seeds=seeds)
    seen, p_value = bool(decision.values), p_of_looks(values, plan, low=LOW, high=HIGH, seeds=seeds)
    return Part(
        name=f"teacher of {teacher}, gamma = {gamma:.3g}",
        verdict=VERDICTS[decision.verdict],
        rule=f"median ratio within {LOW:g} and {HIGH:g}",
        effect=decision.median if seen else None,
        interval=Interval(decision.low, decision.high, 1 - plan.alpha) if seen else None,
        unit="neurons over the teacher's",
        seeds=decision.units,
        note=f"{decision.units} seeds",
        p_value=p_value,
    )


def draw(measured: Measured) -> Figure:
    """Draw the median ratio of each combination with its interval, and the seeds that it took."""
    plan = looks_of(measured.planned)
    rows = []
    for teacher, gamma in combinations(measured.planned):
        part = judge_combination(measured, plan, teacher, gamma)
        ends = part.interval or Interval(np.nan, np.nan)
        rows.append((teacher, gamma, part.effect, ends.low, ends.high, part.seeds))
    names = ["teacher_width", "place", "median", "low", "high", "seeds"]
    drawn = pd.DataFrame(rows, columns=names).astype(float)
    taken = drawn.assign(median=drawn["seeds"], low=np.nan, high=np.nan)
    panels = [
        Panel(
            name=name,
            title=label,
            x="gamma",
            x_label="weight decay gamma",
            y_label=label,
            lines=[
                Line(f"teacher of {teacher:g}", {"teacher": teacher}, some)
                for teacher, some in points.groupby("teacher_width")
            ],
            allowed=(LOW, HIGH) if name == "ratio" else None,
            is_log_y=name == "seeds",
        )
        for name, label, points in (
            ("ratio", "student's neurons over the teacher's", drawn),
            ("seeds", "seeds taken", taken),
        )
    ]
    return draw_panels(
        panels,
        "Left: distinct neurons of the student over those of the teacher, median over seeds with "
        "the repeated confidence interval of the look that decided; the claimed range is shaded. "
        "Right: how many seeds that took.",
    )
