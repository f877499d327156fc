"""Functional dimension: how many directions in parameter space change the function to first order.

Shapes: P parameters, R rows of the Jacobian, S samples.
"""

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.func import jacrev, vmap

__all__ = ["FunctionalDimension", "functional_dimension", "jacobian_chunks", "rank_over"]

OVERSAMPLING = 2
"""How many outputs there must be for each parameter, samples times outputs of one."""

CLEAR_GAP = 100.0
"""A rank is clear if the singular values fall by at least this factor behind it."""


class FunctionalDimension(NamedTuple):
    """The rank of the Jacobian of the outputs by the parameters, and how clear it is.

    Attributes:
        rank: Functional dimension.
        gap: Singular value number `rank` over the next one, or over the rounding floor.
        values_P: Singular values, largest first.
    """

    rank: int
    gap: float
    values_P: Float[Tensor, " parameters"]

    @property
    def is_clear(self) -> bool:
        """Whether the gap is at least 100, so that the rank does not hang on a threshold."""
        return self.gap >= CLEAR_GAP


def functional_dimension(
    outputs: Callable[[Tensor, Tensor], Tensor],
    theta_P: Float[Tensor, " parameters"],
    samples_S: Float[Tensor, "samples ..."],
    *,
    chunk: int | None = None,
) -> FunctionalDimension:
    """Return the rank of d outputs / d theta at `theta_P` over all samples.

    A symmetry group of dimension g makes the rank at most P - g at a generic point; at a symmetric
    state, where the gradient of every output lies in the invariant subspace, it falls to at most
    rank(P_G). Rows are folded into a triangular factor chunk by chunk, so memory is O(P^2) and time
    O(rows P^2), and the singular values keep the full precision of float64, which those of a Gram
    matrix do not. The rank is read at the largest ratio of neighbouring singular values, where
    values below the rounding floor eps max(rows, P) s_1 count as the floor.

    Args:
        outputs: Maps parameters and one sample (a row of `samples_S`, of any shape) to outputs of
            any shape; traced by `torch.func`.
        theta_P: Where to take the Jacobian, float64.
        samples_S: Generic inputs, such as normal numbers; a rank over special inputs is a lower
            bound.
        chunk: Samples whose rows are in memory at once; by default enough for P rows.

    Returns:
        Rank, gap and singular values.

    Raises:
        ValueError: If `theta_P` is not float64 or the outputs are fewer than twice the parameters.
        ArithmeticError: If the Jacobian is not finite.

    References:
        Grigsby, Lindsey, Meyerhoff and Wu 2022, "Functional dimension of feedforward ReLU neural
        networks", arXiv:2209.04036. A ReLU network may lose more than its rescalings on an open set
        of parameters (Grigsby, Lindsey and Rolnick 2023, arXiv:2306.06179), so its rank is at most
        P - h and is so only where every neuron's kink shows.
    """
    if theta_P.dtype != torch.float64:
        raise ValueError(
            f"theta_P must be float64, since a rank is read far below float32's rounding, but got "
            f"{theta_P.dtype}. Convert it: theta.double()."
        )
    size = len(theta_P)
    per_sample = outputs(theta_P.detach(), samples_S[0]).numel()
    rows = per_sample * len(samples_S)
    if rows < OVERSAMPLING * size:
        raise ValueError(
            f"samples times outputs must be at least {OVERSAMPLING} times the {size} parameters, "
            f"but got {len(samples_S)} samples of {per_sample} outputs. Take "
            f"{math.ceil(OVERSAMPLING * size / per_sample)} samples or more."
        )
    return rank_over(outputs, theta_P, samples_S, chunk=chunk)


def rank_over(
    outputs: Callable[[Tensor, Tensor], Tensor],
    theta_P: Float[Tensor, " parameters"],
    samples_S: Float[Tensor, "samples ..."],
    *,
    chunk: int | None = None,
) -> FunctionalDimension:
    """Return the rank of d outputs / d theta over these samples, however few there are.

    The arguments are those of `functional_dimension`.

    Raises:
        ArithmeticError: If the Jacobian is not finite.
    """
    size = len(theta_P)
    per_sample = outputs(theta_P.detach(), samples_S[0]).numel()
    triangle_RP = torch.zeros(0, size, dtype=torch.float64)
    for rows_RP in jacobian_chunks(
        outputs, theta_P, samples_S, chunk or math.ceil(size / per_sample)
    ):
        if not rows_RP.isfinite().all():
            raise ArithmeticError(
                "the Jacobian must be finite, but got entries that are not. Look for roots or "
                "norms of zero in the outputs."
            )
        triangle_RP = torch.linalg.qr(torch.cat([triangle_RP, rows_RP.cpu()]), mode="r").R
    return read_rank(torch.linalg.svdvals(triangle_RP), per_sample * len(samples_S))


def jacobian_chunks(
    outputs: Callable[[Tensor, Tensor], Tensor],
    theta_P: Float[Tensor, " parameters"],
    samples_S: Float[Tensor, "samples ..."],
    chunk: int,
) -> Iterator[Tensor]:
    """Yield the rows of the Jacobian of `chunk` samples after `chunk` samples, `[rows, P]`.

    What vmap cannot do, as with a recurrent layer of torch, is taken row by row.
    """
    single = jacrev(lambda theta, sample: outputs(theta, sample).flatten())
    theta_P = theta_P.detach()
    together = vmap(single, in_dims=(None, 0))
    can_vmap = does_vmap(together, theta_P, samples_S[:1])
    for first in range(0, len(samples_S), chunk):
        part = samples_S[first : first + chunk]
        if can_vmap:
            yield together(theta_P, part).detach().flatten(0, 1)
        else:
            yield torch.cat([rows_one_by_one(outputs, theta_P, sample) for sample in part])


def does_vmap(
    jacobian: Callable[[Tensor, Tensor], Tensor], theta_P: Tensor, samples_S: Tensor
) -> bool:
    """Return whether torch.func can take a Jacobian on these samples."""
    try:
        jacobian(theta_P, samples_S)
    except Exception:  # noqa: BLE001  # torch raises errors of many kinds
        return False
    return True


def rows_one_by_one(
    outputs: Callable[[Tensor, Tensor], Tensor], theta_P: Tensor, sample: Tensor
) -> Float[Tensor, "rows parameters"]:
    """Return the rows of the Jacobian on one sample, each by a backward pass of its own."""
    moving_P = theta_P.clone().requires_grad_()
    with torch.enable_grad():
        values = outputs(moving_P, sample).flatten()
        rows = [
            torch.autograd.grad(value, moving_P, retain_graph=True, materialize_grads=True)[0]
            for value in values
        ]
    return torch.stack(rows)


def read_rank(values_P: Tensor, rows: int) -> FunctionalDimension:
    """Return the rank where the singular values fall most."""
    size = len(values_P)
    largest = float(values_P[0])
    if largest == 0.0:
        return FunctionalDimension(0, math.inf, values_P)
    floor = torch.finfo(torch.float64).eps * max(rows, size) * largest
    held = torch.cat([values_P, values_P.new_tensor([floor])]).clamp(min=floor)
    ratios = held[:-1] / held[1:]
    place = int(ratios.argmax())
    return FunctionalDimension(place + 1, float(ratios[place]), values_P)
