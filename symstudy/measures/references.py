"""Alignment of hidden layers with what does not depend on the network: inputs and the closed form.

Shapes: K runs, B samples, I inputs.
"""

from torch import Tensor

from symstudy.measures.declare import measure
from symstudy.measures.views import LayerView
from symstudy.theory.alignment import (
    Alignment,
    centred_kernel_alignment,
    gram,
    gram_correlation,
    gram_cosine,
)


def against(view: LayerView, reference_KBI: Tensor | None, alignment: Alignment) -> Tensor:
    """Return the alignment of a layer with a reference; NaN without one a sample."""
    if reference_KBI is None or not view.has_hidden:
        return view.none()
    if reference_KBI.shape[1] != view.hidden_KBN.shape[1]:
        return view.none()
    return alignment(gram(view.hidden_KBN), gram(reference_KBI)).double()


@measure(
    kind="number",
    meaning="cosine of the Gram matrices of the layer and of the network's inputs, on test inputs",
    source="arXiv:2502.05300, Fig. 6",
    invariant=("permutation", "sign_flip"),
)
def input_gram_cosine(view: LayerView) -> Tensor:
    """Return the cosine of uncentred Gram matrices with the inputs."""
    return against(view, view.references.inputs_KBI, gram_cosine)


@measure(
    kind="number",
    meaning="linear centred kernel alignment of the layer and the network's inputs, on test inputs",
    source="Kornblith et al. 2019, Eq. 3",
    invariant=("permutation", "sign_flip"),
)
def input_cka(view: LayerView) -> Tensor:
    """Return the centred kernel alignment with the inputs."""
    return against(view, view.references.inputs_KBI, centred_kernel_alignment)


@measure(
    kind="number",
    meaning="correlation of the cosines between samples in the layer and in the network's inputs",
    source="arXiv:2502.05300, Eq. 5",
    invariant=("permutation", "sign_flip"),
)
def input_gram_correlation(view: LayerView) -> Tensor:
    """Return the correlation of the cosines with those of the inputs."""
    return against(view, view.references.inputs_KBI, gram_correlation)


@measure(
    kind="number",
    meaning="cosine of the Gram matrix of the layer and that of the closed form for linear "
    "networks under gradient noise",
    source="arXiv:2502.05300, Theorem 2",
    invariant=("permutation", "sign_flip"),
)
def universal_gram_cosine(view: LayerView) -> Tensor:
    """Return the cosine of uncentred Gram matrices with the universal kernel."""
    return against(view, view.references.universal_KBI, gram_cosine)


@measure(
    kind="number",
    meaning="linear centred kernel alignment of the layer and the closed form for linear networks "
    "under gradient noise",
    source="arXiv:2502.05300, Theorem 2",
    invariant=("permutation", "sign_flip"),
)
def universal_cka(view: LayerView) -> Tensor:
    """Return the centred kernel alignment with the universal kernel."""
    return against(view, view.references.universal_KBI, centred_kernel_alignment)


@measure(
    kind="number",
    meaning="correlation of the cosines between samples in the layer and in the closed form for "
    "linear networks under gradient noise",
    source="arXiv:2502.05300, Theorem 2 and Eq. 5",
    invariant=("permutation", "sign_flip"),
)
def universal_gram_correlation(view: LayerView) -> Tensor:
    """Return the correlation of the cosines with those of the universal kernel."""
    return against(view, view.references.universal_KBI, gram_correlation)
