"""Symmetries that hold on given inputs alone: what a training set does not tell apart.

A change of parameters that leaves the outputs on all training inputs, to first order, is a
direction in the kernel of the Jacobian over these inputs. There are at least as many as over
generic inputs; the others are data-dependent symmetries.

Shapes: P parameters, N inputs.
"""

import warnings
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from symstudy.symmetry.derivation import Derivation
from symstudy.theory.explained_symmetry import rank_point
from symstudy.theory.functional_dimension import rank_over

__all__ = ["DataRank", "rank_on_data"]


class DataRank(NamedTuple):
    """The rank of the Jacobian over given inputs, beside that over generic ones.

    Attributes:
        inputs: Number of inputs N.
        rank: Rank over these inputs.
        gap: Singular value number `rank` over the next.
        directions: Rank over generic inputs less this one: directions that change nothing on these
            inputs and something on others.
        reason: Why the rank is in doubt; empty if it is clear.
    """

    inputs: int
    rank: int
    gap: float
    directions: int
    reason: str = ""


def rank_on_data(derivation: Derivation, inputs: Tensor, generic_rank: int) -> DataRank:
    """Return the rank over given inputs, at the parameters where the generic one was taken.

    Args:
        derivation: Of the module.
        inputs: `[inputs, ...]`, at least as many as a batch of the derivation; each is used.
        generic_rank: Rank over generic inputs, from `count_dimensions`.

    References:
        Zhao, Walters and Yu 2025, arXiv:2506.13018, on data-dependent symmetries.
    """
    function = derivation.function
    size = len(function.inputs)
    # The last batch overlaps the one before, so that each has the same size.
    firsts = [*range(0, len(inputs) - size, size), len(inputs) - size]
    batches = torch.stack([inputs[first : first + size] for first in firsts])
    if batches.is_floating_point():
        batches = batches.double()

    def outputs(theta_P: Tensor, batch: Tensor) -> Tensor:
        return function.flat(theta_P, batch, epsilon=False)

    with warnings.catch_warnings(), sdpa_kernel(SDPBackend.MATH):
        warnings.filterwarnings("ignore", message="There is a performance drop")
        found = rank_over(outputs, rank_point(function), batches)
    reason = ""
    if not found.is_clear:
        reason = f"the rank is in doubt: singular values fall by {found.gap:.2g} there, not by 100"
    elif found.rank > generic_rank:
        reason = "the rank over generic inputs is smaller, and thus a lower bound: type --samples"
    return DataRank(len(inputs), found.rank, found.gap, generic_rank - found.rank, reason)
