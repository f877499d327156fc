"""Initial states with a symmetry: neurons that are copies, and hidden layers of low rank.

Training by gradients starts in the states that some symmetry of the network leaves as they are, and
stays there: arXiv:2502.05300, Theorem 3. The states made here are symmetric by construction.

Shapes: P parameters, N neurons.
"""

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from symstudy.layout import Layout
from symstudy.streams import Stream

__all__ = ["align_balanced", "copy_neurons", "share_rank"]


def copy_neurons(
    layout: Layout, row_P: Float[np.ndarray, " parameters"], copies: int
) -> Float[np.ndarray, " parameters"]:
    """Return `row_P` with every block of `copies` consecutive neurons equal to its first.

    The copies have the same bits, incoming and outgoing. A last, shorter block is one too.

    Args:
        layout: Of the model.
        row_P: Parameters of one run.
        copies: Neurons of a block, at least 1.
    """
    firsts = {group.name: np.arange(group.size) // copies * copies for group in layout.groups}
    result_P = row_P.copy()
    for block in layout.blocks:
        values = row_P[block.offset : block.stop].reshape(block.shape)
        for axis, label in enumerate(block.axes):
            if label in firsts:
                values = values.take(firsts[label], axis=axis)
        result_P[block.offset : block.stop] = values.reshape(-1)
    return result_P


def share_rank(
    layout: Layout, row_P: Float[np.ndarray, " parameters"], seed: int, rank: int
) -> Float[np.ndarray, " parameters"]:
    """Return `row_P` projected on a random subspace of `rank` dimensions of each hidden layer.

    With P the projection, W_in becomes P W_in and W_out becomes W_out P: what a rotation of the
    hidden layer around the subspace leaves as it is. Activations that are not linear have no such
    symmetry, but may start there.

    Args:
        layout: Of the model.
        row_P: Parameters of one run.
        seed: Of the run; the subspace comes from its stream `initial_rank`.
        rank: Dimensions of the subspaces, at least 1.
    """
    bases: dict[str, NDArray[np.float64]] = {}
    for group in layout.groups:
        draws = Stream(seed, "initial_rank").normal(group.size, rank, block=group.layer)
        bases[group.name], _ = np.linalg.qr(draws)
    result_P = row_P.copy()
    for block in layout.blocks:
        values = row_P[block.offset : block.stop].reshape(block.shape)
        for axis, label in enumerate(block.axes):
            if label in bases:
                basis = bases[label]
                along = np.moveaxis(values, axis, -1)
                values = np.moveaxis((along @ basis) @ basis.T, -1, axis)
        result_P[block.offset : block.stop] = values.reshape(-1)
    return result_P


def align_balanced(layout: Layout, seed: int) -> Float[np.ndarray, " parameters"]:
    """Return weights with singular values of 1 that are balanced and aligned with the axes.

    Layer l is R_l E R_(l-1)^T with E the identity, cut or padded with zeros to its shape, R_l a
    random orthogonal matrix of hidden layer l from the stream `initial_frame`, and no rotation of
    inputs and outputs; all E have the rank of the smallest layer, so that W_l W_l^T =
    W_(l+1)^T W_(l+1), and the product of all layers is E. On a linear target
    that is diagonal, gradient flow moves each mode by itself (Saxe et al. 2014, arXiv:1312.6120).

    Args:
        layout: Of a stack of dense layers.
        seed: Of the run.
    """
    frames: dict[str, NDArray[np.float64]] = {}
    for group in layout.groups:
        draws = Stream(seed, "initial_frame").normal(group.size, group.size, block=group.layer)
        q, r = np.linalg.qr(draws)
        frames[group.name] = q * np.sign(np.diag(r))
    row_P = np.zeros(layout.size)
    modes = min(min(block.shape) for block in layout.blocks if block.role == "weight")
    for block in layout.blocks:
        if block.role != "weight":
            continue
        sides = [
            frames.get(label, np.eye(size))[:, :modes]
            for label, size in zip(block.axes, block.shape, strict=True)
        ]
        row_P[block.offset : block.stop] = (sides[0] @ sides[1].T).reshape(-1)
    return row_P
