"""The capacity of attention follows the task and not the head: a two-way table of degrees.

Two attention layers learn linear regression in context. The degree of breaking of a pair of
matrices, averaged over the pairs W_Q W_K^T and W_V W_O and over heads and layers, is the number of
directions that a head uses.
"""

from symstudy.findings import All, Evidence, claim

from ..shared.two_way import table_rules, with_room

TASK, CAPACITY = "task_dimension", "head_dim"
QUERY = """
    select *, case when task_dim = 0 then token_dim - 1 else task_dim end as task_dimension,
           (mean_query_key_breaking + mean_value_output_breaking) / (2.0 * heads) as count,
           outcome = 'done' as is_evidence
    from runs
    where model = 'transformer' and data = 'in_context' and optimizer = 'adam' and gamma > 0
          and label_noise = 0 and input_scale = 1
"""


@claim(
    title="The capacity of attention follows the task, not the head",
    statement=(
        "The same small transformer lands in different symmetry classes for tasks of different "
        "dimension, and transformers with heads of different size in the same class for one task."
    ),
    study="teacher_student_transformer",
    reference="arXiv:2502.05300, App. A.5",
)
def teacher_student_transformer(runs: Evidence) -> All:
    """Degrees after Adam at the largest gamma grow with the task, and are flat in the head."""
    table = runs.of(with_room(QUERY, "count", TASK, CAPACITY)).done().at_largest("gamma")
    return table_rules(table, TASK, CAPACITY, name="mean degree")
