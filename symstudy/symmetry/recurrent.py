"""Neurons of recurrent layers: blocks whose rows and columns are the same neurons.

Exchanging neurons i and j exchanges rows and columns at once, W -> P W P^T. A state is symmetric
under that where W_ii = W_jj and W_ij = W_ji, and rows and columns agree elsewhere: neurons need not
be copies, which would ask for W_ii = W_ij = W_ji = W_jj.

Shapes: K runs, N neurons, D numbers of a neuron outside of square blocks, R squares, P parameters.
"""

from typing import Literal, NamedTuple

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from symstudy.layout import DeclaredSymmetry, Layout
from symstudy.symmetry.sides import write_side

__all__ = [
    "Signs",
    "average_squares",
    "count_components",
    "outside",
    "pair_distances",
    "square_places",
]


class Signs(NamedTuple):
    """The signs that two neurons get when they are exchanged.

    Attributes:
        into: Of what enters them.
        out: Of what leaves them.
    """

    into: Literal[1, -1]
    out: Literal[1, -1]


def square_places(
    layout: Layout, declared: DeclaredSymmetry
) -> Int64[Tensor, "neurons neurons squares"]:
    """Return where the numbers of the blocks lie that a symmetry acts on from both sides."""
    pieces = []
    for name in (name for name in declared.blocks if name in declared.partners):
        block = layout.block(name)
        places = torch.arange(block.offset, block.stop).reshape(block.shape)
        labels = list(block.axes)
        if declared.within:
            places = places.select(labels.index(declared.within), declared.place)
            labels.remove(declared.within)
        rows, columns = (at for at, label in enumerate(labels) if label == declared.axis)
        moved = places.movedim((rows, columns), (0, 1))
        pieces.append(moved.reshape(*moved.shape[:2], -1))
    return torch.cat(pieces, dim=2)


def average_squares(
    theta_KP: Float[Tensor, "runs parameters"],
    averaged_KP: Float[Tensor, "runs parameters"],
    places: Int64[Tensor, "neurons neurons squares"],
    mask_N: Bool[Tensor, " neurons"],
) -> Float[Tensor, "runs parameters"]:
    """Return `averaged_KP` with the square blocks as averaged over permutations of some neurons.

    Among these neurons every number of the diagonal becomes the mean of the diagonal, and every
    other the mean of the others.
    """
    inner = places[mask_N][:, mask_N].to(theta_KP.device)
    values_KMMR = theta_KP[:, inner]
    is_own_MM = torch.eye(len(inner), dtype=torch.bool, device=theta_KP.device)
    own_K1R = values_KMMR[:, is_own_MM].mean(dim=1, keepdim=True)
    others_K1R = values_KMMR[:, ~is_own_MM].mean(dim=1, keepdim=True)
    mean = torch.where(is_own_MM[None, :, :, None], own_K1R[:, None], others_K1R[:, None])
    return write_side(averaged_KP, inner.flatten(1), mean.flatten(2))


def pair_distances(
    into_KND: Float[Tensor, "runs neurons incoming"],
    out_KNE: Float[Tensor, "runs neurons outgoing"],
    square_KNNR: Float[Tensor, "runs neurons neurons squares"],
    signs: Signs,
) -> Float[Tensor, "runs neurons neurons"]:
    """Return how far each pair of neurons is from a state that their exchange leaves as it is.

    Args:
        into_KND: Numbers that enter each neuron, outside of square blocks.
        out_KNE: Numbers that leave it, likewise.
        square_KNNR: Square blocks, rows first.
        signs: Of the exchange: both -1 for neurons of an odd activation, one for an even one.
    """
    own_KNR = square_KNNR.diagonal(dim1=1, dim2=2).transpose(1, 2)
    turned_KNNR = square_KNNR.transpose(1, 2)
    total_KNN = torch.zeros(
        *square_KNNR.shape[:3], dtype=square_KNNR.dtype, device=square_KNNR.device
    )
    sides = (
        (into_KND, signs.into),
        (out_KNE, signs.out),
        (square_KNNR.flatten(2), signs.into),
        (turned_KNNR.flatten(2), signs.out),
    )
    for side, sign in sides:
        total_KNN += (side[:, :, None] - sign * side[:, None]).square().sum(dim=3)
    # Of rows i and j the numbers at i and j are exchanged with each other, and so of columns.
    for each, sign in ((square_KNNR, signs.into), (turned_KNNR, signs.out)):
        crossed = each.transpose(1, 2)
        for pair in (
            own_KNR[:, :, None] - sign * crossed,
            each - sign * own_KNR[:, None],
        ):
            total_KNN -= pair.square().sum(dim=3)
    both = signs.into * signs.out
    total_KNN += (own_KNR[:, :, None] - both * own_KNR[:, None]).square().sum(dim=3)
    total_KNN += (square_KNNR - both * turned_KNNR).square().sum(dim=3)
    return (0.5 * total_KNN).clamp(min=0.0).sqrt()


def count_components(
    is_near_KNN: Bool[Tensor, "runs neurons neurons"],
) -> Int64[Tensor, " runs"]:
    """Return how many sets of neurons there are that no pair joins."""
    count = is_near_KNN.shape[1]
    labels_KN = torch.arange(count, device=is_near_KNN.device).expand(is_near_KNN.shape[:2])
    for _ in range(count):
        joined_KN = torch.where(is_near_KNN, labels_KN[:, None], count).amin(dim=2)
        joined_KN = torch.minimum(joined_KN, labels_KN)
        if torch.equal(joined_KN, labels_KN):
            break
        labels_KN = joined_KN
    own_N = torch.arange(count, device=is_near_KNN.device)
    found_K: Tensor = (labels_KN == own_N).sum(dim=1)
    return found_K


def outside(
    index_ND: Int64[Tensor, "neurons numbers"], places: Int64[Tensor, "neurons neurons squares"]
) -> Int64[Tensor, "neurons others"]:
    """Return the places of a side that are in no square block."""
    return index_ND[:, ~torch.isin(index_ND[0], places)]
