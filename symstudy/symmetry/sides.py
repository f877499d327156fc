"""The two sides of an axis: reading them out of flat parameters, and writing them back.

Shapes: K runs, P parameters, N positions along the axis, D numbers of a position.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from symstudy.layout import Layout

__all__ = ["read_side", "side_index", "write_side"]


def side_index(
    layout: Layout,
    names: Sequence[str],
    axis: str,
    *,
    within: str = "",
    place: int = 0,
    reads: bool = False,
) -> Int64[Tensor, "positions numbers"]:
    """Return where the numbers of each position along `axis` lie in the flat vector.

    Args:
        layout: Of the model.
        names: Blocks of one side, each with `axis`.
        axis: Label of the axis; if empty, all numbers of the blocks are those of one position.
        within: Label of another axis of each block, of which only one place is meant, or empty.
        place: Which place along `within`.
        reads: Whether of a block that has `axis` twice the last is meant, that of its columns.

    Returns:
        Places in the flat vector, block after block; no columns where there are no blocks.
    """
    pieces = []
    for block in (layout.block(name) for name in names):
        places = torch.arange(block.offset, block.stop).reshape(block.shape)
        labels = list(block.axes)
        if within:
            places = places.select(labels.index(within), place)
            labels.remove(within)
        if axis:
            length = block.length(axis)
            at = len(labels) - 1 - labels[::-1].index(axis) if reads else labels.index(axis)
            pieces.append(places.movedim(at, 0).reshape(length, -1))
        else:
            pieces.append(places.reshape(1, -1))
    return torch.cat(pieces, dim=1) if pieces else torch.empty(0, 0, dtype=torch.int64)


def read_side(
    theta_KP: Float[Tensor, "runs parameters"], index_ND: Int64[Tensor, "positions numbers"]
) -> Float[Tensor, "runs positions numbers"]:
    """Return the numbers at `index_ND`; gradients flow."""
    return theta_KP[:, index_ND.to(theta_KP.device)]


def write_side(
    theta_KP: Float[Tensor, "runs parameters"],
    index_ND: Int64[Tensor, "positions numbers"],
    values_KND: Float[Tensor, "runs positions numbers"],
) -> Float[Tensor, "runs parameters"]:
    """Return `theta_KP` with `values_KND` at `index_ND`; the argument is left as it is."""
    return theta_KP.index_copy(1, index_ND.flatten().to(theta_KP.device), values_KND.flatten(1))
