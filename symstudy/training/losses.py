"""The losses, batched over runs.

Shapes: K runs, B samples, O outputs. Targets of a class are one-hot rows.
"""

from jaxtyping import Float
from torch import Tensor

from symstudy.losses import AbstractLoss

__all__ = ["accuracy", "data_loss"]


def data_loss(
    loss: AbstractLoss,
    output_KBO: Float[Tensor, "runs batch outputs"],
    target_KBO: Float[Tensor, "runs batch outputs"],
) -> Float[Tensor, " runs"]:
    """Return the mean loss of each run; gradients flow."""
    loss_K = loss.per_sample(output_KBO, target_KBO).mean(dim=1)
    divisor = loss.divisor(output_KBO.shape[2])
    return loss_K if divisor == 1.0 else loss_K / divisor


def accuracy(
    output_KBO: Float[Tensor, "runs batch outputs"],
    target_KBO: Float[Tensor, "runs batch outputs"],
) -> Float[Tensor, " runs"]:
    """Return the share of samples whose largest output is the target's."""
    return (output_KBO.argmax(dim=2) == target_KBO.argmax(dim=2)).double().mean(dim=1)
