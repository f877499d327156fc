"""How alike two representations of the same samples are, whatever their widths and coordinates.

A representation enters by its Gram matrix G = H H^T alone, so that no number here changes when the
neurons of a layer are rotated, permuted or all scaled by one factor.

Shapes: K comparisons, B samples, N and M neurons.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

__all__ = [
    "Alignment",
    "Form",
    "as_it_is",
    "centred",
    "centred_kernel_alignment",
    "cosine",
    "cosines_apart",
    "gram",
    "gram_correlation",
    "gram_cosine",
]

Alignment = Callable[[Tensor, Tensor], Tensor]
"""A function of the Gram matrices of two representations, one number a comparison."""
Form = Callable[[Tensor], Tensor]
"""What is made of a Gram matrix before it is compared; permuting samples commutes with it."""
Grams = Float[Tensor, "#comparisons samples samples"]


def gram(hidden_KBN: Float[Tensor, "comparisons samples neurons"]) -> Grams:
    """Return the inner products of every two samples, float64."""
    hidden = hidden_KBN.double()
    return hidden @ hidden.transpose(1, 2)


def gram_cosine(first_KBB: Grams, second_KBB: Grams) -> Float[Tensor, " comparisons"]:
    """Return <G_A, G_B> / (|G_A| |G_B|), within [0, 1]; 1 where one is a multiple of the other.

    NaN where a Gram matrix is 0.
    """
    return cosine(as_it_is(first_KBB), as_it_is(second_KBB))


def centred_kernel_alignment(first_KBB: Grams, second_KBB: Grams) -> Float[Tensor, " comparisons"]:
    """Return the linear centred kernel alignment: `gram_cosine` of activations less their means.

    References:
        Kornblith et al. 2019, arXiv:1905.00414, Eq. 3 (linear CKA, the biased estimate).
    """
    return cosine(centred(first_KBB), centred(second_KBB))


def gram_correlation(first_KBB: Grams, second_KBB: Grams) -> Float[Tensor, " comparisons"]:
    """Return the Pearson correlation of the cosines between every two different samples.

    The entries off the diagonal of the Gram matrices of normalised activations: those of
    arXiv:2502.05300, Eq. 5, agree exactly where all activations are parallel up to a rotation.
    """
    return cosine(cosines_apart(first_KBB), cosines_apart(second_KBB))


def cosine(first_KBB: Grams, second_KBB: Grams) -> Float[Tensor, " comparisons"]:
    """Return the cosine of two matrices, each as one long vector."""
    product = (first_KBB * second_KBB).sum(dim=(1, 2))
    lengths = torch.linalg.vector_norm(first_KBB, dim=(1, 2))
    value: Tensor = product / (lengths * torch.linalg.vector_norm(second_KBB, dim=(1, 2)))
    return value


def as_it_is(gram_KBB: Grams) -> Grams:
    """Return the Gram matrices."""
    return gram_KBB


def centred(gram_KBB: Grams) -> Grams:
    """Return the Gram matrices of the activations less their means over samples."""
    rows = gram_KBB.mean(dim=1, keepdim=True)
    columns = gram_KBB.mean(dim=2, keepdim=True)
    return gram_KBB - rows - columns + rows.mean(dim=2, keepdim=True)


def cosines_apart(gram_KBB: Grams) -> Grams:
    """Return the cosines between different samples less their mean, with 0 on the diagonal."""
    samples = gram_KBB.shape[1]
    lengths = gram_KBB.diagonal(dim1=1, dim2=2).sqrt()
    cosines = gram_KBB / (lengths[:, :, None] * lengths[:, None, :])
    is_apart = 1.0 - torch.eye(samples, dtype=cosines.dtype, device=cosines.device)
    cosines = cosines * is_apart
    mean = cosines.sum(dim=(1, 2), keepdim=True) / (samples * (samples - 1))
    return (cosines - mean) * is_apart
