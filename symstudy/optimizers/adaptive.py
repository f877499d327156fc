"""What Adam and AdamW share: two moments, and a step of their ratio."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self

from annotated_types import Ge, Gt, Lt

from symstudy.components import Role
from symstudy.components.component import component
from symstudy.kernels.steps import KernelStep, LaneNumbers
from symstudy.optimizers.config import AbstractStepOptimizer, KernelNumbers, StepNumbers

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["AbstractAdam", "adam_in_kernels", "adam_move"]

SMALLEST_EPSILON = 1e-30
"""Least epsilon with which 0 / (0 + epsilon) is 0 in float32 too, not 0 / 0."""


@component
class AbstractAdam(AbstractStepOptimizer):
    """Steps along the mean of the gradient over the root of the mean of its square.

    References:
        Kingma and Ba 2015.
    """

    counts_on_device: ClassVar[bool] = True

    beta1: Annotated[float, Ge(0), Lt(1), Role.LANE] = 0.9
    """Decay of the first moment of adaptive optimisers."""
    beta2: Annotated[float, Ge(0), Lt(1), Role.LANE] = 0.999
    """Decay of the second moment of adaptive optimisers; of lion that of its mean."""
    epsilon: Annotated[float, Gt(0), Role.LANE] = 1e-8
    """Added to the root in adaptive optimisers."""

    @property
    def can_pad(self) -> bool:
        """Moments of a zero gradient are zero, and their ratio is where epsilon counts."""
        return self.epsilon >= SMALLEST_EPSILON

    @classmethod
    def num_moments(cls, lanes: Sequence[Self]) -> int:
        """Return 2: running means of the gradient and of its square."""
        del lanes
        return 2

    def kernel_numbers(self) -> KernelNumbers:
        """Return decays and epsilon."""
        return KernelNumbers(self.beta1, self.beta2, self.epsilon)


def adam_move(gradient_KP: "Tensor", moments: Sequence["Tensor"], numbers: StepNumbers) -> "Tensor":
    """Return what a step of Adam subtracts; the moments are updated in place.

    The corrections of the moments are taken in float64, as the compiled kernels do.
    """
    first, second = moments
    beta1, beta2, epsilon = (numbers.keys[key] for key in ("beta1", "beta2", "epsilon"))
    first.mul_(beta1).add_((1.0 - beta1) * gradient_KP)
    second.mul_(beta2).add_((1.0 - beta2) * gradient_KP.square())
    rate = numbers.rate_KP.double() / (1.0 - beta1.double() ** numbers.time)
    root = 1.0 / (1.0 - beta2.double() ** numbers.time).sqrt()
    kind = gradient_KP.dtype
    move: Tensor = rate.to(kind) * first / (second.sqrt() * root.to(kind) + epsilon)
    return move


@KernelStep
def adam_in_kernels(
    theta: Any, first: Any, second: Any, gradient: Any, numbers: LaneNumbers
) -> None:
    """Take a step of Adam (`shrink` 1) or AdamW (`coupled` 0), the same as `adam_move`'s."""
    kind = theta.dtype.type
    coupled, shrink = numbers.coupled, numbers.shrink
    beta1, beta2, epsilon = numbers.beta1, numbers.beta2, numbers.epsilon
    keep1 = kind(1.0) - beta1
    keep2 = kind(1.0) - beta2
    rate = kind(float(numbers.rate) / (1.0 - float(beta1) ** numbers.time))
    root = kind(1.0 / math.sqrt(1.0 - float(beta2) ** numbers.time))
    for i in range(theta.size):
        w = theta[i] * shrink
        g = gradient[i] + coupled * theta[i]
        m = beta1 * first[i] + keep1 * g
        v = beta2 * second[i] + keep2 * g * g
        first[i] = m
        second[i] = v
        theta[i] = w - rate * m / (math.sqrt(v) * root + epsilon)
