"""Fig. 15: linear and tanh networks of two widths, the second behind a Gaussian matrix.

For tanh networks no theorem says that they align; the threshold is lower.
"""

from symstudy.findings import All, Evidence, claim

from ..shared.alignment import middle_rises, middles_of_networks


@claim(
    title="Networks of different widths align in training, linear and tanh",
    statement=(
        "The middle layers of two networks of different widths, of which the second sees the "
        "images through a Gaussian matrix, become alike in training, for linear and for tanh "
        "activations."
    ),
    study="universal_alignment_widths",
    reference="arXiv:2502.05300, Fig. 15",
)
def universal_alignment_widths(runs: Evidence) -> All:
    """At 0.9 at least for linear layers and 0.8 for tanh, and above start and inputs for both."""
    pairs = middles_of_networks(runs).where("width_a != width_b")
    return All(
        *middle_rises(pairs.at("activation", "linear"), at_least=0.9).rules,
        *middle_rises(pairs.at("activation", "tanh"), at_least=0.8).rules,
    )
