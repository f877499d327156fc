"""The losses, batched over runs.

Shapes: K runs, B samples, O outputs. Targets of a class are one-hot rows.
"""

from typing import Any

from jaxtyping import Float
from torch import Tensor

from symstudy.losses import AbstractLoss

__all__ = ["accuracy", "data_loss"]


def data_loss(
    loss: AbstractLoss,
    output_KBO: Any,
    target_KBO: Float[Tensor, "runs batch outputs"],
) -> Float[Tensor, " runs"]:
    """Return the mean loss of each run; gradients flow.

    Args:
        loss: Of a sample.
        output_KBO: Outputs `[runs, samples, outputs]`; for a loss of the user's own whatever its
            module returns, with a leading run axis.
        target_KBO: Targets.
    """
    loss_K = loss.per_sample(output_KBO, target_KBO).mean(dim=1)
    divisor = loss.divisor(target_KBO.shape[2])
    return loss_K if divisor == 1.0 else loss_K / divisor


def accuracy(
    output_KBO: Float[Tensor, "runs batch outputs"],
    target_KBO: Float[Tensor, "runs batch outputs"],
) -> Float[Tensor, " runs"]:
    """Return the share of samples whose largest output is the target's."""
    return (output_KBO.argmax(dim=2) == target_KBO.argmax(dim=2)).double().mean(dim=1)
