"""Which runs may share a pack although their widths differ.

A neuron whose incoming weights, bias and outgoing weights are zero is in the symmetric state of its
own (arXiv:2502.05300, Theorem 3, for the group that multiplies it by -1 or by any number): where
f(0) = 0 its activation is 0, so the gradient of its outgoing weights is 0; what it sends back is 0,
so the gradient of its incoming weights and its bias is 0. Products with an exact 0 are exact in
floating point, so such neurons can widen a network and change nothing but the order of its sums.
"""

import json

from symstudy.identity import canonical_json
from symstudy.models.configs import CustomConfig, PretrainedConfig, TransformerConfig
from symstudy.study.cells import Cell

__all__ = ["can_pad", "padded_shape"]

SMALLEST_EPSILON = 1e-30
"""Least epsilon of Adam with which 0 / (0 + epsilon) is 0 in float32 too, not 0 / 0."""


def can_pad(cell: Cell) -> bool:
    """Return whether neurons of zero weights stay exactly there when `cell` is trained.

    They do under sgd, with momentum and penalty, and under adam and adamw, whose moments of a zero
    gradient are zero. Not so where the penalty pulls weights to a point other than zero (syre) or
    draws its factors by place (syre_anisotropy), nor where weights are products of factors, of
    which not all are zero. lbfgs, also as polish, shares scalars between all weights of a run, the
    entropic term takes second derivatives, the residual stream of a transformer is normalised over
    its width, and a module of the user's own may do anything: none of these is padded either. Every
    activation of the built-in models has f(0) = 0.
    """
    train = cell.train
    return (
        not isinstance(cell.model, CustomConfig | PretrainedConfig | TransformerConfig)
        and cell.model.reparametrise == "none"
        and train.optimizer != "lbfgs"
        and train.polish == 0
        and train.syre == 0.0
        and train.syre_anisotropy == 0.0
        and train.entropic == 0.0
        and train.epsilon >= SMALLEST_EPSILON
    )


def padded_shape(shape: str) -> str:
    """Return what runs that are padded to one width must have in common: all of `shape` else.

    Args:
        shape: Of a cell that can be padded.
    """
    tables = json.loads(shape)
    del tables["model"]["width"]
    return canonical_json(tables)
