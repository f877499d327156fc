"""Weaker inputs leave a smaller network, at minima under weight decay."""

from symstudy.findings import All, Evidence, claim

from ..shared.capacity_sweeps import capacity_rules, minima


@claim(
    title="Weaker inputs leave a smaller network",
    statement=(
        "The weaker its inputs, the fewer distinct neurons a network keeps: symmetry is restored "
        "where the signal is weak."
    ),
    study="adaptive_capacity",
    reference="arXiv:2502.05300, Fig. 10 (first row)",
)
def adaptive_capacity_input_scale(runs: Evidence) -> All:
    """The count grows with the scale of the inputs in the median seed."""
    return All(*capacity_rules(minima(runs, "input_scale"), "input_scale", sign=1))
