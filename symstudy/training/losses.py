"""The losses, batched over runs.

Shapes: K runs, B samples, O outputs. Targets of a class are one-hot rows.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from symstudy.study.sections import Loss

__all__ = ["accuracy", "data_loss"]


def data_loss(
    loss: Loss,
    output_KBO: Float[Tensor, "runs batch outputs"],
    target_KBO: Float[Tensor, "runs batch outputs"],
) -> Float[Tensor, " runs"]:
    """Return the mean loss of each run; gradients flow.

    `squared_error` is (1/B) sum_b sum_o (f - y)^2; `mse` divides by the number of outputs too, as
    torch's MSELoss does; `cross_entropy` is (1/B) sum_b (log sum_o exp f_o - sum_o y_o f_o).
    """
    if loss == "cross_entropy":
        fit_KB = (target_KBO * output_KBO).sum(dim=2)
        return (torch.logsumexp(output_KBO, dim=2) - fit_KB).mean(dim=1)
    squares_KB = (output_KBO - target_KBO).square().sum(dim=2)
    share = output_KBO.shape[2] if loss == "mse" else 1
    return squares_KB.mean(dim=1) / share


def accuracy(
    output_KBO: Float[Tensor, "runs batch outputs"],
    target_KBO: Float[Tensor, "runs batch outputs"],
) -> Float[Tensor, " runs"]:
    """Return the share of samples whose largest output is the target's."""
    return (output_KBO.argmax(dim=2) == target_KBO.argmax(dim=2)).double().mean(dim=1)
