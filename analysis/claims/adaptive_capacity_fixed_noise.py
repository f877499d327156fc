"""Noise on the labels of a fixed data set and the size of the network, at minima."""

from symstudy.findings import All, Evidence, claim

from ..shared.capacity_sweeps import capacity_rules, minima


@claim(
    title="Noise on fixed labels leaves a smaller network",
    statement=(
        "The noisier the labels of a fixed data set, the fewer distinct neurons a network keeps."
    ),
    study="adaptive_capacity",
    reference="arXiv:2502.05300, Fig. 10 (first row)",
)
def adaptive_capacity_fixed_noise(runs: Evidence) -> All:
    """The count falls with the noise on the labels in the median seed."""
    return All(*capacity_rules(minima(runs, "label_noise"), "label_noise", sign=-1))
