"""Stronger weight decay restores more symmetry: fewer distinct neurons at minima.

A gamma at which networks collapse has no neurons to count and is left out, and so is a seed that
keeps every neuron distinct at every gamma: its count is at its ceiling, the width, and cannot show
on what it depends. Where more than a fifth of the seeds are so, the others do not speak for all and
nothing is decided. The paper's count of sorted pairs and the rank are reported beside.
"""

from symstudy.findings import All, Evidence, Monotone, Reported, claim

ABOUT = """
    data = 'teacher_student' and optimizer = 'lbfgs' and depth = 2 and gamma > 0
    and activation = 'tanh' and label_noise = 0 and input_scale = 1
"""
MEASURES = ("distinct_neurons", "breaking_sorted", "rank")


@claim(
    title="Weight decay restores symmetry",
    statement="The stronger the weight decay, the fewer distinct neurons a network keeps.",
    study="restoration_by_decay",
    reference="arXiv:2502.05300, Fig. 3 (right)",
)
def restoration_by_decay(runs: Evidence) -> All:
    """The count falls with gamma in the median seed, at the largest width."""
    minima = at_minima(runs).complete("gamma", "width").at_largest("width")
    pairs, rank = "broken pairs of sorted neighbours", "rank of the representation"
    return All(
        Monotone(minima, "distinct_neurons", along="gamma", sign=-1, name="distinct neurons"),
        Reported(Monotone(minima, "breaking_sorted", along="gamma", sign=-1, name=pairs)),
        Reported(Monotone(minima, "rank", along="gamma", sign=-1, name=rank)),
    )


def at_minima(runs: Evidence) -> Evidence:
    """Return the living minima of seeds whose count is below the width at one of theirs at least.

    A run that is no evidence by itself says nothing of the seed either: the count of a collapsed
    layer is below the width whatever the others are.
    """
    minima = runs.converged(grad_ratio=1e-6).merged().alive()
    met = " and ".join(f"coalesce({item.condition}, false)" for item in minima.exclusions)
    shown = ", ".join(f"mean_{name} as {name}" for name in MEASURES)
    counts = f"""
        select *, {shown},
               min(mean_distinct_neurons) filter (where {met})
                   over (partition by study, seed, width) < width as can_fall
        from runs where {ABOUT}
    """
    return minima.of(counts).where("can_fall", why="every neuron distinct at all gammas")
