"""Fig. 6: two deep linear networks on images, trained by Adam, the second behind a Gaussian matrix.

Adam is outside the theorem, and so is noise that depends on the inputs, as that of images does; so
this is about what is seen, and the exactly solvable case is the claim `universal_alignment`. The
middle layers are compared by centred kernel alignment: images share a mean, with which uncentred
Gram matrices would agree whatever was learned.
"""

from symstudy.findings import All, Evidence, claim

from ..shared.alignment import middle_rises, middles_of_networks


@claim(
    title="Two linear networks on images align in training",
    statement=(
        "The middle layers of two deep linear networks, of which the second sees the images "
        "through a Gaussian matrix, become alike in training: more than they are to their inputs."
    ),
    study="universal_alignment_images",
    reference="arXiv:2502.05300, Fig. 6",
)
def universal_alignment_images(runs: Evidence) -> All:
    """At 0.9 at least in the end, 0.05 above the start and above the alignment with inputs."""
    return middle_rises(middles_of_networks(runs).where("activation = 'linear'"), at_least=0.9)
