"""The capacity of attention follows the task and not the head: a two-way table of degrees.

Two attention layers learn linear regression in context. The degree of breaking of a pair of
matrices, averaged over the pairs W_Q W_K^T and W_V W_O and over layers, is the number of directions
that a head uses; it is to grow with the dimension of the tasks and not to depend on the size of the
head once that is twice the degree.
"""

from typing import NamedTuple

import pandas as pd

from symstudy.findings import Figure, Finding, claim, log_ticks
from symstudy.store import Store

from ..shared.evidence import converged
from ..shared.two_way import TESTS, Table, draw_seeds, draw_table, finding_of, judge_table


class Measured(NamedTuple):
    """What the claim is judged by.

    Attributes:
        runs: One row a run: task (dimension of the tasks), capacity (size of the head), seed,
            count (mean degree of a pair), and the gamma of all of them.
        excluded: Runs left out, by why.
    """

    runs: pd.DataFrame
    excluded: tuple[tuple[str, int], ...]


def measure(db: Store) -> Measured:
    """Return the mean degree of a head's pairs by task and head, at the largest gamma."""
    frame = db.df(
        """
        select case when task_dim = 0 then token_dim - 1 else task_dim end as task,
               head_dim as capacity, seed, gamma,
               (query_key_breaking + value_output_breaking) / (2.0 * heads) as count,
               0.0 as grad_ratio, outcome
        from runs
        where model = 'transformer' and data = 'in_context' and optimizer = 'adam' and gamma > 0
              and label_noise = 0 and input_scale = 1
        order by all
        """
    )
    runs, excluded = converged(frame, 0.0)
    return Measured(runs[runs["gamma"] == runs["gamma"].max()].reset_index(drop=True), excluded)


@claim(
    title="The capacity of attention follows the task, not the head",
    statement=(
        "The same small transformer lands in different symmetry classes for tasks of different "
        "dimension, and transformers with heads of different size in the same class for one task."
    ),
    study="teacher_student_transformer",
    reference="arXiv:2502.05300, App. A.5",
    rule=(
        "After Adam at the largest gamma, on no fewer than 3 seeds, with the mean degree of "
        "breaking (rank at 0.02 of the largest singular value) of W_Q W_K^T and W_V W_O over heads "
        "and layers: (1) for every size of the head Spearman's correlation of the dimension of the "
        "tasks and the mean degree is at least 0.9, and a shuffle of the tasks within the seeds "
        "reaches as much in at most 5 %; (2) for every task the 90 % t interval over seeds of the "
        "slope of ln degree against ln size of the head lies within +-0.05 over sizes of at least "
        "twice the degree; (3) by 90 % t intervals over seeds the task explains at least 0.9 of "
        "the variance of ln degree in the two-way table, the head at most 0.02. All must hold; "
        "refuted where one is on the other side."
    ),
    tests=TESTS,
)
def judge(measured: Measured) -> Finding:
    """Judge the two-way table."""
    return finding_of(
        judge_table(table_of(measured)),
        measured.runs,
        measured.excluded,
        unit="share of the variance of ln degree explained by the task",
    )


def table_of(measured: Measured) -> Table:
    """Return the runs with the names of their axes."""
    return Table(measured.runs, "dimension of the tasks", "size of the head", "mean degree")


def draw(measured: Measured) -> Figure:
    """Draw the table of mean degrees, and the degrees of each seed against the size of the head."""
    import matplotlib.pyplot as plt

    runs = measured.runs
    canvas, axes = plt.subplots(1, 2, figsize=(10.4, 3.9), layout="constrained")
    means = draw_table(axes[0], table_of(measured))
    draw_seeds(axes[1], table_of(measured), means)
    axes[1].set_ylim(bottom=0)
    log_ticks(axes[1], sorted(runs["capacity"].unique().tolist()))
    gamma = runs["gamma"].iloc[0] if len(runs) else 0.0
    return Figure(
        canvas,
        pd.concat([means.assign(panel="table"), runs.assign(panel="seeds")]),
        "Rank of W_Q W_K^T and of W_V W_O, mean of both over layers, of two attention layers that "
        "learned in-context regression, by dimension of the tasks and size of the head, at gamma = "
        f"{gamma:g}. Left: mean over seeds. Right: each seed (thin), and the means.",
    )
