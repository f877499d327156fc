"""Theorem 2, exactly: gradient noise gives two deep linear networks one representation.

The second network sees the inputs through an invertible matrix Z, has another width and another
depth, and shares neither initial weights nor noise with the first. Its layers are compared with all
layers of the first by the cosine of Gram matrices, which is 1 where they agree up to a rotation and
a factor (Eq. 6), and with the closed form of the kernel (`symstudy.theory.universal`). Three arms
lack a condition of the theorem: little noise, weight decay in the place of noise, a singular Z.
"""

from symstudy.findings import All, Bound, Evidence, claim

from ..shared.alignment import pairs_of_networks

LITTLE = 5e-4
"""Learning rate over batch size, below which the noise of 60,000 steps is little."""
ARM = f"""
    case when input_rank_b > 0 then 'singular'
         when gamma > 0 then 'decay'
         when lr_over_batch < {LITTLE} then 'little noise'
         else 'noise' end
"""


@claim(
    title="Gradient noise gives two linear networks one representation",
    statement=(
        "SGD with label noise ends with layers whose Gram matrices are those of one kernel, the "
        "same for every layer, width, depth and invertible map of the inputs; with little noise, "
        "with weight decay in its place, or with a singular map it does not."
    ),
    study="universal_alignment",
    reference="arXiv:2502.05300, Fig. 6, Eq. 6 and Theorem 2",
)
def universal_alignment(runs: Evidence) -> All:
    """Every layer with every layer and with the closed form at 0.95 at least; not so elsewhere."""
    pairs = (
        pairs_of_networks(runs)
        .where("model = 'deep_linear' and optimizer = 'sgd'")
        .define(arm=ARM)
        .done()
        .where("input_rank_b > 0 or learned > 0.5", why="not clearly better than a constant answer")
    )
    noise, little, decay, singular = (
        pairs.at("arm", arm) for arm in ("noise", "little noise", "decay", "singular")
    )
    every = "least alignment of two layers"
    return All(
        Bound(noise, "least", at_least=0.95, name=every),
        Bound(noise, "universal", at_least=0.95, name="least alignment with the closed form"),
        Bound(noise, "above_input", at_least=0.05, name="least alignment above that with inputs"),
        Bound(noise, "chance", at_most=0.005, name="share of permuted samples as aligned"),
        Bound(little, "least", at_most=0.8, name=every),
        Bound(decay, "least", at_most=0.9, name=every),
        Bound(singular, "least", at_most=0.8, name=every),
    )
