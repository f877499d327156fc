"""Alignment of two layers of two runs, on the same samples: measures of pairs.

Shapes: K comparisons, B samples.
"""

from torch import Tensor

from symstudy.measures.declare import measure
from symstudy.measures.pair_view import PairView
from symstudy.theory.alignment import as_it_is, centred, cosines_apart


@measure(
    on="pair",
    kind="number",
    meaning="cosine of the Gram matrices of the two layers",
    source="arXiv:2502.05300, Eq. 6",
)
def gram_cosine(view: PairView) -> Tensor:
    """Return the cosine of uncentred Gram matrices: 1 where the layers agree up to a rotation."""
    return view.alignment(as_it_is)


@measure(
    on="pair",
    kind="number",
    meaning="linear centred kernel alignment of the two layers",
    source="Kornblith et al. 2019, Eq. 3",
)
def cka(view: PairView) -> Tensor:
    """Return the linear centred kernel alignment."""
    return view.alignment(centred)


@measure(
    on="pair",
    kind="number",
    meaning="correlation of the cosines between samples in the two layers",
    source="arXiv:2502.05300, Eq. 5",
)
def gram_correlation(view: PairView) -> Tensor:
    """Return the Pearson correlation of the cosines between samples."""
    return view.alignment(cosines_apart)
