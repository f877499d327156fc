"""Capacity follows the teacher and not the student: a two-way table of distinct neurons.

Students of tanh neurons learn from teachers of tanh neurons at the best of several minima found by
L-BFGS, at the middle of the values of gamma. In a wide student many copies carry one weak
direction, each of them below the threshold of 0.02 of the largest neuron; the count at 0.003 is
reported beside.
"""

from symstudy.findings import All, Evidence, claim

from ..shared.two_way import table_rules, with_room

MAX_GRAD_RATIO = 1e-6
TASK, CAPACITY = "teacher_width", "width"
QUERY = f"""
    select runs.*, mean_distinct_neurons as count, finer.at_0003 as fine,
           coalesce(outcome = 'done' and grad_ratio <= {MAX_GRAD_RATIO}, false) as is_evidence
    from runs left join (
        select study, run_id, distinct_neurons as at_0003
        from count_curve
        where is_final and threshold = 0.003
    ) as finer using (study, run_id)
    where data = 'teacher_student' and optimizer = 'lbfgs' and depth = 2 and gamma > 0
          and activation = 'tanh' and label_noise = 0 and input_scale = 1
          and teacher_depth = 2 and teacher_activation = 'tanh'
"""


@claim(
    title="Capacity follows the teacher, not the student",
    statement=(
        "The same student lands in different symmetry classes for different teachers, and students "
        "of different width in the same class for the same teacher."
    ),
    study="teacher_student_table",
    reference="arXiv:2502.05300, App. A.5",
)
def teacher_student_table(runs: Evidence) -> All:
    """Distinct neurons at minima grow with the teacher, and are flat in the student's width."""
    query = with_room(QUERY, "count", TASK, CAPACITY)
    query = with_room(query, "fine", TASK, CAPACITY)
    query = f"""
        with runs_with_room as ({query})
        select *, gamma = (select quantile_disc(distinct gamma, 0.5) from runs_with_room)
               as is_at_middle_gamma
        from runs_with_room
    """
    table = runs.of(query).where("is_at_middle_gamma").converged(grad_ratio=MAX_GRAD_RATIO)
    table = table.merged().alive().complete(TASK, CAPACITY)
    fine_name = "distinct neurons at 0.003"
    return table_rules(table, TASK, CAPACITY, name="distinct neurons", fine_name=fine_name)
