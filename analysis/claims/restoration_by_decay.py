"""Stronger weight decay restores more symmetry: fewer distinct neurons at minima.

The paper's count of sorted pairs and the rank are reported beside.
"""

from symstudy.findings import All, Evidence, Monotone, Reported, claim

COLLAPSED = 1e-4
"""A layer none of whose neurons has a larger norm has no neurons."""


@claim(
    title="Weight decay restores symmetry",
    statement="The stronger the weight decay, the fewer distinct neurons a network keeps.",
    study="restoration_by_decay",
    reference="arXiv:2502.05300, Fig. 3 (right)",
)
def restoration_by_decay(runs: Evidence) -> All:
    """The count falls with gamma in every seed, at the largest width."""
    minima = (
        runs.where(
            "data = 'teacher_student' and optimizer = 'lbfgs' and depth = 2 and gamma > 0 "
            "and activation = 'tanh' and label_noise = 0 and input_scale = 1"
        )
        .define(
            count=unless_collapsed("distinct_neurons"),
            sorted=unless_collapsed("breaking_sorted"),
            kept_rank=unless_collapsed("rank"),
        )
        .converged(grad_ratio=1e-6)
        .at_largest("width")
    )
    pairs, rank = "broken pairs of sorted neighbours", "rank of the representation"
    return All(
        Monotone(minima, "count", along="gamma", sign=-1, name="distinct neurons"),
        Reported(Monotone(minima, "sorted", along="gamma", sign=-1, name=pairs)),
        Reported(Monotone(minima, "kept_rank", along="gamma", sign=-1, name=rank)),
    )


def unless_collapsed(column: str) -> str:
    """Return the SQL of a column that is 0 where the layer has collapsed."""
    return f"case when max_norm < {COLLAPSED} then 0 else {column} end"
