"""Weaker tokens leave attention of a lower degree."""

from symstudy.findings import All, Evidence, claim

from ..shared.attention_sweeps import degree_rules


@claim(
    title="Weaker tokens leave attention of a lower degree",
    statement=(
        "The weaker its input, the fewer directions a small transformer keeps in its attention: "
        "symmetry is restored where the signal is weak."
    ),
    study="adaptive_capacity_transformer",
    reference="arXiv:2502.05300, Fig. 10 (second row)",
)
def adaptive_capacity_transformer_input_scale(runs: Evidence) -> All:
    """The degree grows with the scale of the tokens in the median seed."""
    return degree_rules(runs, "input_scale", sign=1)
