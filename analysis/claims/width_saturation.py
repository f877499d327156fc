"""Capacity saturates independently of width, but only under regularisation.

Judged at the largest weight decay at which networks still learn, by runs whose neurons have merged:
a decay budget of 6 covers the death of a neuron without a signal, and not the merging of a pair.
"""

from symstudy.findings import All, Evidence, Flat, Grows, Ratio, claim

FLAT = 0.1
GROWING = 0.5
MIN_BUDGET = 6.0
"""By then a neuron without a signal has shrunk to exp(-6), a quarter of a percent."""


@claim(
    title="Capacity saturates independently of width",
    statement=(
        "Past some width, the rank of the representation, the number of distinct neurons and the "
        "test error no longer depend on the width under weight decay; without it the rank keeps "
        "growing."
    ),
    study="width_saturation",
    reference="arXiv:2502.05300, Fig. 3 (middle) and Fig. 9",
)
def width_saturation(runs: Evidence) -> All:
    """Flat at the largest weight decay, growing without; where noise varies, at its base slice."""
    networks = runs.where("width is not null and depth > 1")
    decayed = networks.where("gamma > 0").budget(MIN_BUDGET).learned().alive().merged()
    settled = base(decayed.complete("width", "gamma", "label_noise", "lr_over_batch"))
    strongest = settled.at_largest("gamma", over="width", places=3)
    free = base(networks.where("gamma = 0").done().alive())
    return All(
        Flat(strongest, "rank", along="width", within=FLAT),
        Flat(strongest, "distinct_neurons", along="width", within=FLAT),
        Ratio(strongest, "test_loss", along="width", within=0.1),
        Grows(free, "rank", along="width", at_least=GROWING),
    )


def base(runs: Evidence) -> Evidence:
    """Return the runs with the least label noise and, of them, the largest lr / batch."""
    return runs.at_smallest("label_noise").at_largest("lr_over_batch")
