"""Simpler tasks leave attention of a lower degree."""

from symstudy.findings import All, Evidence, claim

from ..shared.attention_sweeps import degree_rules


@claim(
    title="Simpler tasks leave attention of a lower degree",
    statement=(
        "The fewer dimensions the tasks of in-context regression have, the fewer directions a "
        "small transformer keeps in its attention."
    ),
    study="adaptive_capacity_transformer",
    reference="arXiv:2502.05300, Fig. 10 (second row)",
)
def adaptive_capacity_transformer_task(runs: Evidence) -> All:
    """The degree grows with the dimension of the tasks in the median seed."""
    return degree_rules(runs, "task_dimension", sign=1)
