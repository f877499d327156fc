"""Noise on the targets lowers the degree of attention."""

from symstudy.findings import All, Evidence, claim

from ..shared.attention_sweeps import degree_rules


@claim(
    title="Noise on the targets lowers the degree of attention",
    statement=(
        "The stronger the noise on the targets, drawn anew at every step, the fewer directions a "
        "small transformer keeps in its attention."
    ),
    study="adaptive_capacity_transformer",
    reference="arXiv:2502.05300, Fig. 10 (second row)",
)
def adaptive_capacity_transformer_noise(runs: Evidence) -> All:
    """The degree falls with the noise on the targets in the median seed."""
    return degree_rules(runs, "label_noise", sign=-1)
