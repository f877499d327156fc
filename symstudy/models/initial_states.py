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

__all__ = ["copy_neurons", "share_rank"]


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
