"""Stronger weight decay restores more symmetry: fewer distinct neurons at minima.

A gamma at which networks collapse has no neurons to count and is left out. The paper's count of
sorted pairs and the rank are reported beside.
"""

from symstudy.findings import All, Evidence, Monotone, Reported, claim


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
        .converged(grad_ratio=1e-6)
        .merged()
        .alive()
        .complete("gamma", "width")
        .at_largest("width")
    )
    pairs, rank = "broken pairs of sorted neighbours", "rank of the representation"
    return All(
        Monotone(minima, "distinct_neurons", along="gamma", sign=-1, name="distinct neurons"),
        Reported(Monotone(minima, "breaking_sorted", along="gamma", sign=-1, name=pairs)),
        Reported(Monotone(minima, "rank", along="gamma", sign=-1, name=rank)),
    )
