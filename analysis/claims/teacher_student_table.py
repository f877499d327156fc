"""Capacity follows the teacher and not the student: a two-way table of distinct neurons.

Students of tanh neurons learn from teachers of tanh neurons at the best of several minima found by
L-BFGS. The count of distinct neurons is to grow with the teacher at every width of the student, and
not to depend on the student's width once that is twice the count. In a wide student many copies
carry one weak direction, each of them below the threshold of 0.02 of the largest neuron; the count
at 0.003 is reported beside.
"""

import dataclasses
from typing import NamedTuple

import pandas as pd

from symstudy.findings import Figure, Finding, claim, log_ticks
from symstudy.store import Store

from ..shared.evidence import converged
from ..shared.two_way import (
    TESTS,
    Table,
    draw_seeds,
    draw_table,
    finding_of,
    judge_flatness,
    judge_table,
)

MAX_GRAD_RATIO = 1e-6
COLLAPSED = 1e-4
FINE = 0.003


class Measured(NamedTuple):
    """What the claim is judged by.

    Attributes:
        runs: One row a converged run: task (teacher width), capacity (student width), seed, count
            (at 0.02 of the largest neuron), fine (at 0.003), and the gamma of all of them.
        excluded: Runs left out, by why.
    """

    runs: pd.DataFrame
    excluded: tuple[tuple[str, int], ...]


def measure(db: Store) -> Measured:
    """Return distinct neurons by teacher and student, at the middle of the values of gamma."""
    frame = db.df(
        f"""
        select teacher_width as task, width as capacity, seed, gamma,
               case when max_norm < {COLLAPSED} then 0 else distinct_neurons end as count,
               case when max_norm < {COLLAPSED} then 0 else finer.fine end as fine,
               coalesce(grad_ratio, 1) as grad_ratio, outcome
        from runs left join (
            select study, run_id, distinct_neurons as fine
            from count_curve
            where is_final and threshold = {FINE}
        ) as finer using (study, run_id)
        where data = 'teacher_student' and optimizer = 'lbfgs' and depth = 2 and gamma > 0
              and activation = 'tanh' and label_noise = 0 and input_scale = 1
              and teacher_depth = 2 and teacher_activation = 'tanh'
        order by all
        """
    )
    runs, excluded = converged(frame, MAX_GRAD_RATIO)
    gammas = sorted(runs["gamma"].unique().tolist())
    middle = gammas[(len(gammas) - 1) // 2] if gammas else 0.0
    return Measured(runs[runs["gamma"] == middle].reset_index(drop=True), excluded)


@claim(
    title="Capacity follows the teacher, not the student",
    statement=(
        "The same student lands in different symmetry classes for different teachers, and students "
        "of different width in the same class for the same teacher."
    ),
    study="teacher_student_table",
    reference="arXiv:2502.05300, App. A.5",
    rule=(
        "On minima with a gradient of at most 1e-6 of 1 + objective and no fewer than 3 seeds, at "
        "the middle gamma: (1) at every student width Spearman's correlation of the teacher's "
        "width and the mean count of distinct neurons is at least 0.9, and a shuffle of the "
        "teachers within the seeds reaches as much in at most 5 %; (2) for every teacher the 90 % "
        "t interval over seeds of the slope of ln count against ln student width lies within "
        "+-0.05 over widths of at least twice the count; (3) by 90 % t intervals over seeds the "
        "teacher explains at least 0.9 of the variance of ln count in the two-way table, the "
        "student at most 0.02. All must hold; refuted where one is on the other side. (2) for the "
        "count at 0.003 of the largest neuron is reported beside."
    ),
    tests=TESTS,
)
def judge(measured: Measured) -> Finding:
    """Judge the two-way table."""
    deciding = judge_table(table_of(measured))
    finer = measured.runs.assign(count=measured.runs["fine"])
    table = table_of(measured)._replace(runs=finer, counted=f"distinct neurons at {FINE}")
    beside = [dataclasses.replace(part, decides=False) for part in judge_flatness(table)]
    return finding_of(
        deciding,
        measured.runs,
        measured.excluded,
        unit="share of the variance of ln count explained by the teacher",
        beside=beside,
    )


def table_of(measured: Measured) -> Table:
    """Return the runs with the names of their axes."""
    return Table(measured.runs, "teacher width", "student width", "distinct neurons")


def draw(measured: Measured) -> Figure:
    """Draw the table of mean counts, and the counts of each seed against the student's width."""
    import matplotlib.pyplot as plt

    runs = measured.runs
    canvas, axes = plt.subplots(1, 2, figsize=(10.4, 3.9), layout="constrained")
    means = draw_table(axes[0], table_of(measured))
    draw_seeds(axes[1], table_of(measured), means)
    axes[1].set_yscale("log")
    log_ticks(axes[1], [1, 2, 3, 5, 8, 12, 16, 24], "y")
    log_ticks(axes[1], sorted(runs["capacity"].unique().tolist()))
    gamma = runs["gamma"].iloc[0] if len(runs) else 0.0
    return Figure(
        canvas,
        pd.concat([means.assign(panel="table"), runs.assign(panel="seeds")]),
        "Distinct neurons of tanh students at the best of several minima, by width of the teacher "
        f"and of the student, at gamma = {gamma:g}. Left: mean over seeds. Right: each seed "
        "(thin), and the means.",
    )
