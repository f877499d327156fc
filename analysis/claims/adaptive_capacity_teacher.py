"""A simpler teacher leaves a smaller network, at minima under weight decay."""

from symstudy.findings import All, Evidence, claim

from ..shared.capacity_sweeps import capacity_rules, minima


@claim(
    title="A simpler teacher leaves a smaller network",
    statement=(
        "The simpler its teacher, the fewer distinct neurons a student keeps: it ends in the "
        "symmetry class that the task asks for."
    ),
    study="adaptive_capacity",
    reference="arXiv:2502.05300, Fig. 10 (first row)",
)
def adaptive_capacity_teacher(runs: Evidence) -> All:
    """The count grows with the teacher's width in the median seed."""
    return All(*capacity_rules(minima(runs, "teacher_width"), "teacher_width", sign=1))
