"""Ranks of weights and representations, batched over runs."""

import torch
from jaxtyping import Float, Int64
from torch import Tensor

__all__ = [
    "effective_rank",
    "singular_values",
    "smallest_above",
    "stable_rank",
    "threshold_rank",
]


def singular_values(a_KMN: Float[Tensor, "runs rows cols"]) -> Float[Tensor, "runs values"]:
    """Return the singular values, largest first.

    They are roots of the eigenvalues of the smaller Gram matrix, formed in float64: values below
    1e-8 of the largest are round-off.

    Args:
        a_KMN: Finite matrices.

    Returns:
        min(rows, cols) values a run, float64.
    """
    a_KMN = a_KMN.double()
    if a_KMN.shape[1] < a_KMN.shape[2]:
        a_KMN = a_KMN.transpose(1, 2)
    gram_KNN = a_KMN.transpose(1, 2) @ a_KMN
    values_KN: Tensor = torch.linalg.eigvalsh(gram_KNN)
    return values_KN.clamp(min=0.0).sqrt().flip(1)


def threshold_rank(
    values_KR: Float[Tensor, "runs values"], relative: float
) -> Int64[Tensor, " runs"]:
    """Return how many singular values lie above `relative` times the largest."""
    is_above: Tensor = values_KR > relative * values_KR[:, :1]
    return is_above.sum(dim=1)


def smallest_above(
    values_KR: Float[Tensor, "runs values"], relative: float
) -> Float[Tensor, " runs"]:
    """Return the smallest singular value above `relative` times the largest; NaN for zeros."""
    is_above = values_KR > relative * values_KR[:, :1]
    smallest_K = torch.where(is_above, values_KR, torch.inf).amin(dim=1)
    return torch.where(smallest_K.isinf(), torch.nan, smallest_K)


def effective_rank(values_KR: Float[Tensor, "runs values"]) -> Float[Tensor, " runs"]:
    """Return exp of the entropy of the squared singular values, normalised to sum to 1.

    Returns:
        Between 1 and the number of values; 0 for a zero matrix.

    References:
        Roy and Vetterli 2007, "The effective rank"; theirs takes the values, ours their squares, so
        that it is the rank that the variance is spread over.
    """
    power_KR = values_KR.square()
    total_K = power_KR.sum(dim=1)
    share_KR = power_KR / total_K[:, None]
    entropy_K = -torch.special.xlogy(share_KR, share_KR).sum(dim=1)
    return torch.where(total_K > 0, entropy_K.exp(), 0.0)


def stable_rank(values_KR: Float[Tensor, "runs values"]) -> Float[Tensor, " runs"]:
    """Return the sum of the squared singular values over the largest squared.

    Returns:
        Between 1 and the number of values; 0 for a zero matrix.

    References:
        Rudelson and Vershynin 2007, "Sampling from large matrices".
    """
    power_KR = values_KR.square()
    largest_K = power_KR.amax(dim=1)
    return power_KR.sum(dim=1) / torch.where(largest_K > 0, largest_K, 1.0)
