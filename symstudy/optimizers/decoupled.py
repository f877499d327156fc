"""What optimisers share that decay parameters beside their step: the decay itself."""

from typing import TYPE_CHECKING

from symstudy.optimizers.config import StepNumbers

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["decayed"]


def decayed(theta_KP: "Tensor", pulled_KP: "Tensor", numbers: StepNumbers) -> "Tensor":
    """Return theta - rate 2 gamma D (theta - theta_0): theta (1 - rate 2 gamma) where none pulls.

    Args:
        theta_KP: Parameters.
        pulled_KP: Gradient of the penalty over 2 gamma; theta itself for gamma |theta|^2.
        numbers: Of the step.
    """
    shrink_K1 = numbers.rate_K1 * numbers.decay_K1
    if pulled_KP is theta_KP:
        return theta_KP * (1.0 - shrink_K1)
    return theta_KP - shrink_K1 * pulled_KP
