"""Which runs may share a pack although their widths differ.

A neuron whose incoming weights, bias and outgoing weights are zero is in the symmetric state of its
own (arXiv:2502.05300, Theorem 3, for the group that multiplies it by -1 or by any number): where
f(0) = 0 its activation is 0, so the gradient of its outgoing weights is 0; what it sends back is 0,
so the gradient of its incoming weights and its bias is 0. Products with an exact 0 are exact in
floating point, so such neurons can widen a network and change nothing but the order of its sums.
"""

import json

from symstudy.identity import canonical_json
from symstudy.study.cell import Cell

__all__ = ["can_pad", "padded_shape"]


def can_pad(cell: Cell) -> bool:
    """Return whether neurons of zero weights stay exactly there when `cell` is trained.

    They do where the model says that its runs may be padded (every activation of its has f(0) = 0)
    and the optimiser that a parameter of 0 without gradient stays 0. Not so where the penalty pulls
    weights to a point other than zero (syre) or draws its factors by place (syre_anisotropy), nor
    where weights are products of factors, of which not all are zero. lbfgs, also as polish, shares
    scalars between all weights of a run, and the entropic term takes second derivatives. A function
    that clips gradients may ask how many there are.
    """
    train = cell.train
    return bool(
        cell.model.pads
        and cell.model.reparametrise == "none"
        and train.optimizer.can_pad
        and train.polish == 0
        and train.syre == 0.0
        and train.syre_anisotropy == 0.0
        and train.entropic == 0.0
        and not train.clip
    )


def padded_shape(cell: Cell) -> str:
    """Return what runs that are padded to one width must have in common: all of the shape else.

    Args:
        cell: One that can be padded.
    """
    tables = json.loads(cell.shape)
    del tables["model"][cell.model.pads]
    return canonical_json(tables)
