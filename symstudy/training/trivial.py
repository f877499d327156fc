"""Test loss and accuracy of a constant answer: what a network that has learned nothing gets.

A network has learned where it does clearly better. Shapes: K runs, G groups of targets.
"""

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray

from symstudy.losses import AbstractLoss
from symstudy.training.engines.base import LoadedPack
from symstudy.training.losses import data_loss

__all__ = ["constant_loss", "trivial_measures"]

RAREST = 1e-12
"""Share of a class that never occurs, so that its logarithm is finite."""


def trivial_measures(pack: LoadedPack) -> dict[str, NDArray[np.float64]]:
    """Return the least test loss of a constant answer, and the share of the largest class.

    Returns:
        `trivial_loss` and `trivial_accuracy`, an entry a run; the second is NaN in regression. The
        first is NaN where the loss is given something else than outputs of the targets' shape, or
        holds samples against each other, so that no constant answer is known. Nothing where there
        are no data.
    """
    if pack.data.is_absent:
        return {}
    split = pack.data.test
    targets_GBO = torch.from_numpy(split.y).double()
    loss_G = accuracy_G = np.full(len(targets_GBO), np.nan)
    if not (pack.model.returns or pack.train.loss.compares_samples):
        loss_G = constant_loss(pack.train.loss, targets_GBO).numpy()
    if pack.data.tasks[0].is_classification:
        accuracy_G = targets_GBO.mean(dim=1).amax(dim=1).numpy()
    return {"trivial_loss": loss_G[split.lane_y], "trivial_accuracy": accuracy_G[split.lane_y]}


def constant_loss(
    loss: AbstractLoss, targets_GBO: Float[torch.Tensor, "groups samples outputs"]
) -> Float[torch.Tensor, " groups"]:
    """Return the least loss of three constant answers: 0, the mean target, and its logarithm.

    The mean is the best constant of the squared error, the logarithm of the shares of the classes
    that of the cross-entropy. For a loss of the user's own it is an upper bound of the best.
    """
    mean_G1O = targets_GBO.mean(dim=1, keepdim=True)
    answers = (torch.zeros_like(mean_G1O), mean_G1O, mean_G1O.clamp_min(RAREST).log())
    losses = [data_loss(loss, answer.expand_as(targets_GBO), targets_GBO) for answer in answers]
    least_G: torch.Tensor = (
        torch.stack([each.detach() for each in losses]).nan_to_num(nan=torch.inf).amin(dim=0)
    )
    return least_G.where(least_G.isfinite(), torch.nan)
