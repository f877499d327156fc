"""Do representations, gradients and weights of a hidden layer align (CRH)?

The canonical representation hypothesis says that in a trained network, on both sides of a weight
matrix, three matrices of the neurons are proportional: H, the second moment of what the neurons
pass forward, G, that of the gradient of the loss which they are passed back, and Z, the Gram matrix
of the weights. A hidden layer has both sides: the incoming one has the sums that the activation
is taken of with the weights that make them, and the outgoing one the activations with the weights
that read them. Three pairs on two sides are six alignments.

An alignment is Pearson's correlation of the entries of two matrices (arXiv:2410.03006). It is no
evidence by itself: two matrices near the unit matrix have one near 1 however they are turned. So
each has a score beside it. Of A and B the traceless parts A_0 = A - (Tr A / N) 1 and B_0 are taken,
and of these the cosine c = <A_0, B_0> / (|A_0| |B_0|). Under a random rotation Q B Q^T, which keeps
the spectrum, c has mean 0 and variance 2 / ((N - 1)(N + 2)), whatever the spectra: traceless
symmetric matrices are an irreducible representation of O(N) of dimension (N - 1)(N + 2) / 2, so
that by Schur's lemma the mean of B_0 (x) B_0 over rotations is |B_0|^2 / dimension times the unit
matrix. The score is c in these standard deviations. (derivation: docs/alignment.md)

All are taken on test inputs. They are NaN where the model does not tell the signals, for fewer than
two neurons, and where a matrix has no part that could be aligned.

Shapes: K runs, B samples, N neurons.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from symstudy.measures.declare import measure
from symstudy.measures.views import LayerView

__all__ = ["Moments", "alignment", "incoming_moments", "outgoing_moments", "rotation_score"]

SMALLEST = 1e-12
"""Share of a matrix's norm below which what is left of it is round-off."""


class Moments(NamedTuple):
    """The three matrices of one side of a layer's neurons, each up to a factor.

    Attributes:
        forward_KNN: H, the mean of h h^T over samples, uncentred.
        backward_KNN: G, the mean of g g^T over samples, g the gradient of the loss.
        weight_KNN: Z, the inner products of the neurons' weights on this side, without biases.
    """

    forward_KNN: Float[Tensor, "runs neurons neurons"]
    backward_KNN: Float[Tensor, "runs neurons neurons"]
    weight_KNN: Float[Tensor, "runs neurons neurons"]


def incoming_moments(view: LayerView) -> Moments | None:
    """Return H and G of the sums that the activations are taken of, and W W^T of what makes them.

    None where the model does not tell these sums.
    """
    return moments_of(view, is_incoming=True)


def outgoing_moments(view: LayerView) -> Moments | None:
    """Return H and G of the activations, and W^T W of the weights that read them.

    None where the model does not tell the gradient of its activations.
    """
    return moments_of(view, is_incoming=False)


def moments_of(view: LayerView, *, is_incoming: bool) -> Moments | None:
    """Return the matrices of one side, kept with the pass that they come from."""
    if view.backward is None:
        return None
    kept: dict[tuple[str, bool], Moments | None] = view.backward.kept
    key = (view.group.name, is_incoming)
    if key not in kept:
        of_side = view.backward.preactivations if is_incoming else view.backward.activations
        signal = of_side(view.group.name)
        incoming, outgoing = view.sides
        weights = incoming[:, :, : incoming.shape[2] - view.biases] if is_incoming else outgoing
        kept[key] = signal and Moments(
            second_moment(signal.forward_KBN.transpose(1, 2)),
            second_moment(signal.backward_KBN.transpose(1, 2)),
            second_moment(weights),
        )
    return kept[key]


def second_moment(rows_KNB: Tensor) -> Float[Tensor, "runs neurons neurons"]:
    """Return R R^T over its norm: 0 where that is 0.

    The norm is taken off first, since gradients of a network that fits its data are tiny.
    """
    size_K11 = rows_KNB.abs().amax(dim=(1, 2), keepdim=True)
    unit_KNB = rows_KNB / torch.where(size_K11 > 0, size_K11, 1.0)
    product_KNN = unit_KNB @ unit_KNB.transpose(1, 2)
    norm_K11 = torch.linalg.matrix_norm(product_KNN)[:, None, None]
    moment_KNN: Tensor = product_KNN / torch.where(norm_K11 > 0, norm_K11, 1.0)
    return moment_KNN


def alignment(
    a_KNN: Float[Tensor, "runs neurons neurons"], b_KNN: Float[Tensor, "runs neurons neurons"]
) -> Float[Tensor, " runs"]:
    """Return Pearson's correlation of the entries of two matrices, from -1 to 1.

    References:
        Ziyin, Chuang, Galanti and Poggio 2024, arXiv:2410.03006.
    """
    return cosine((a_KNN, b_KNN), lambda each: each - each.mean(dim=(1, 2), keepdim=True))


def rotation_score(
    a_KNN: Float[Tensor, "runs neurons neurons"], b_KNN: Float[Tensor, "runs neurons neurons"]
) -> Float[Tensor, " runs"]:
    """Return the cosine of the traceless parts in standard deviations of random rotations.

    Over rotations of either matrix it has mean 0 and variance 1, exactly and for every spectrum.
    """
    neurons = a_KNN.shape[1]
    score: Tensor = cosine((a_KNN, b_KNN), traceless)
    return score * math.sqrt((neurons - 1) * (neurons + 2) / 2)


def traceless(a_KNN: Tensor) -> Tensor:
    """Return matrices less the multiple of the unit matrix that has their trace."""
    unit_NN = torch.eye(a_KNN.shape[1], dtype=a_KNN.dtype, device=a_KNN.device)
    left: Tensor = a_KNN - a_KNN.diagonal(dim1=1, dim2=2).mean(dim=1)[:, None, None] * unit_NN
    return left


def cosine(both: tuple[Tensor, Tensor], part: Callable[[Tensor], Tensor]) -> Tensor:
    """Return the cosine of a part of two matrices; NaN where one has no more than round-off."""
    a_KNN, b_KNN = (part(each) for each in both)
    norms = [torch.linalg.matrix_norm(each) for each in (a_KNN, b_KNN)]
    whole = [torch.linalg.matrix_norm(each) for each in both]
    is_known_K = (norms[0] > SMALLEST * whole[0]) & (norms[1] > SMALLEST * whole[1])
    found_K = (a_KNN * b_KNN).sum(dim=(1, 2)) / torch.where(is_known_K, norms[0] * norms[1], 1.0)
    return torch.where(is_known_K, found_K.clamp(-1.0, 1.0), torch.nan)


def pair(
    view: LayerView,
    of: Callable[[Tensor, Tensor], Tensor],
    *,
    is_incoming: bool,
    first: str,
    second: str,
) -> Tensor:
    """Return what `of` makes of two of the matrices of a side; NaN where they are not known."""
    moments = moments_of(view, is_incoming=is_incoming)
    if moments is None:
        return view.none()
    found_K: Tensor = of(getattr(moments, first), getattr(moments, second))
    return found_K


@measure(
    kind="number",
    meaning="correlation of the entries of E[z z'] and E[g g'], z the sums before the "
    "activation, g their gradient",
    source="CRH, Ziyin et al. 2024, arXiv:2410.03006",
)
def incoming_forward_backward_alignment(view: LayerView) -> Tensor:
    """Return the alignment of H and G on the incoming side."""
    return pair(view, alignment, is_incoming=True, first="forward_KNN", second="backward_KNN")


@measure(
    kind="number",
    meaning="the same without traces, above random rotations in their standard deviations: "
    "incoming_forward_backward_alignment",
    source="exact null of CRH, arXiv:2410.03006",
    invariant=("permutation", "sign_flip"),
)
def incoming_forward_backward_score(view: LayerView) -> Tensor:
    """Return how far the alignment of H and G is above that of random rotations."""
    return pair(view, rotation_score, is_incoming=True, first="forward_KNN", second="backward_KNN")


@measure(
    kind="number",
    meaning="correlation of the entries of E[z z'] and W W', z = W h + b the sums "
    "before the activation",
    source="CRH, Ziyin et al. 2024, arXiv:2410.03006",
)
def incoming_forward_weight_alignment(view: LayerView) -> Tensor:
    """Return the alignment of H and Z on the incoming side."""
    return pair(view, alignment, is_incoming=True, first="forward_KNN", second="weight_KNN")


@measure(
    kind="number",
    meaning="the same without traces, above random rotations in their standard deviations: "
    "incoming_forward_weight_alignment",
    source="exact null of CRH, arXiv:2410.03006",
    invariant=("permutation", "sign_flip"),
)
def incoming_forward_weight_score(view: LayerView) -> Tensor:
    """Return how far the alignment of H and Z is above that of random rotations."""
    return pair(view, rotation_score, is_incoming=True, first="forward_KNN", second="weight_KNN")


@measure(
    kind="number",
    meaning="correlation of the entries of E[g g'] and W W', g the gradient of the "
    "sums W h + b before the activation",
    source="CRH, Ziyin et al. 2024, arXiv:2410.03006",
)
def incoming_backward_weight_alignment(view: LayerView) -> Tensor:
    """Return the alignment of G and Z on the incoming side."""
    return pair(view, alignment, is_incoming=True, first="backward_KNN", second="weight_KNN")


@measure(
    kind="number",
    meaning="the same without traces, above random rotations in their standard deviations: "
    "incoming_backward_weight_alignment",
    source="exact null of CRH, arXiv:2410.03006",
    invariant=("permutation", "sign_flip"),
)
def incoming_backward_weight_score(view: LayerView) -> Tensor:
    """Return how far the alignment of G and Z is above that of random rotations."""
    return pair(view, rotation_score, is_incoming=True, first="backward_KNN", second="weight_KNN")


@measure(
    kind="number",
    meaning="correlation of the entries of E[h h'] and E[g g'], h the activations, "
    "g their gradient",
    source="CRH, Ziyin et al. 2024, arXiv:2410.03006",
)
def outgoing_forward_backward_alignment(view: LayerView) -> Tensor:
    """Return the alignment of H and G on the outgoing side."""
    return pair(view, alignment, is_incoming=False, first="forward_KNN", second="backward_KNN")


@measure(
    kind="number",
    meaning="the same without traces, above random rotations in their standard deviations: "
    "outgoing_forward_backward_alignment",
    source="exact null of CRH, arXiv:2410.03006",
    invariant=("permutation", "sign_flip"),
)
def outgoing_forward_backward_score(view: LayerView) -> Tensor:
    """Return how far the alignment of H and G is above that of random rotations."""
    return pair(view, rotation_score, is_incoming=False, first="forward_KNN", second="backward_KNN")


@measure(
    kind="number",
    meaning="correlation of the entries of E[h h'] and W' W, W the weights that read "
    "the activations h",
    source="CRH, Ziyin et al. 2024, arXiv:2410.03006",
)
def outgoing_forward_weight_alignment(view: LayerView) -> Tensor:
    """Return the alignment of H and Z on the outgoing side."""
    return pair(view, alignment, is_incoming=False, first="forward_KNN", second="weight_KNN")


@measure(
    kind="number",
    meaning="the same without traces, above random rotations in their standard deviations: "
    "outgoing_forward_weight_alignment",
    source="exact null of CRH, arXiv:2410.03006",
    invariant=("permutation", "sign_flip"),
)
def outgoing_forward_weight_score(view: LayerView) -> Tensor:
    """Return how far the alignment of H and Z is above that of random rotations."""
    return pair(view, rotation_score, is_incoming=False, first="forward_KNN", second="weight_KNN")


@measure(
    kind="number",
    meaning="correlation of the entries of E[g g'] and W' W, g the gradient of the "
    "activations, which W reads",
    source="CRH, Ziyin et al. 2024, arXiv:2410.03006",
)
def outgoing_backward_weight_alignment(view: LayerView) -> Tensor:
    """Return the alignment of G and Z on the outgoing side."""
    return pair(view, alignment, is_incoming=False, first="backward_KNN", second="weight_KNN")


@measure(
    kind="number",
    meaning="the same without traces, above random rotations in their standard deviations: "
    "outgoing_backward_weight_alignment",
    source="exact null of CRH, arXiv:2410.03006",
    invariant=("permutation", "sign_flip"),
)
def outgoing_backward_weight_score(view: LayerView) -> Tensor:
    """Return how far the alignment of G and Z is above that of random rotations."""
    return pair(view, rotation_score, is_incoming=False, first="backward_KNN", second="weight_KNN")
