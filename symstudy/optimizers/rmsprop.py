"""RMSprop."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from annotated_types import Ge, Gt, Lt

from symstudy.components import Role, component
from symstudy.kernels.steps import KernelStep, LaneNumbers
from symstudy.optimizers.adaptive import SMALLEST_EPSILON
from symstudy.optimizers.config import AbstractStepOptimizer, KernelNumbers, StepNumbers
from symstudy.width_rules import WidthRule

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["RmsProp"]


@KernelStep
def rmsprop_in_kernels(
    theta: Any, first: Any, second: Any, gradient: Any, numbers: LaneNumbers
) -> None:
    """Take off rate v, v = momentum v + g / (sqrt(mean of squares) + epsilon)."""
    kind = theta.dtype.type
    rate, decay, epsilon = numbers.rate, numbers.coupled, numbers.epsilon
    momentum, alpha = numbers.beta1, numbers.beta2
    keep = kind(1.0) - alpha
    has_velocity = second.size > 0
    for i in range(theta.size):
        g = gradient[i] + decay * theta[i]
        v = alpha * first[i] + keep * g * g
        first[i] = v
        move = g / (math.sqrt(v) + epsilon)
        if has_velocity:
            move += momentum * second[i]
            second[i] = move
        theta[i] -= rate * move


@component
class RmsProp(AbstractStepOptimizer):
    """Steps along the gradient over the root of a mean of its square; the penalty joins it.

    Its step does not scale with the gradient, so the penalty has no decay budget.

    References:
        Tieleman and Hinton 2012; Graves 2013 (arXiv:1308.0850) for `centred`. The arithmetic is
        that of `torch.optim.RMSprop`, but that a variance below 0 by rounding counts as 0.
    """

    counts_on_device: ClassVar[bool] = True
    kernel_step: ClassVar[KernelStep | None] = rmsprop_in_kernels
    width_rule: ClassVar[WidthRule] = "normalised"

    kind: Literal["rmsprop"] = "rmsprop"
    """Gradient over the root of a running mean of its square."""
    alpha: Annotated[float, Ge(0), Lt(1), Role.LANE] = 0.99
    """Decay of the mean of squares of rmsprop."""
    epsilon: Annotated[float, Gt(0), Role.LANE] = 1e-8
    """Added to the root in adaptive optimisers."""
    momentum: Annotated[float, Ge(0), Lt(1), Role.LANE] = 0.0
    """Momentum of sgd, rmsprop and muon."""
    centred: bool = False
    """Whether rmsprop divides by a standard deviation: the square of the mean is taken off."""

    @property
    def can_pad(self) -> bool:
        """Means of a zero gradient are zero, and their ratio is where epsilon counts."""
        return self.epsilon >= SMALLEST_EPSILON

    @property
    def is_in_kernels(self) -> bool:
        """The compiled step knows no mean: `centred` would keep three moments with momentum."""
        return not self.centred and super().is_in_kernels

    def kernel_numbers(self) -> KernelNumbers:
        """Return momentum, the decay of squares and epsilon."""
        return KernelNumbers(self.momentum, self.alpha, self.epsilon)

    @classmethod
    def num_moments(cls, lanes: Sequence[Self]) -> int:
        """Return 1, the mean of squares; the mean where `centred`; a velocity with momentum."""
        return 1 + int(lanes[0].centred) + int(any(lane.momentum for lane in lanes))

    @classmethod
    def step(
        cls,
        theta_KP: "Tensor",
        gradient_KP: "Tensor",
        pulled_KP: "Tensor",
        moments: Sequence["Tensor"],
        numbers: StepNumbers,
    ) -> "Tensor":
        """Return theta - rate v, with v = momentum v + g / (sqrt(variance) + epsilon)."""
        del pulled_KP
        keys, (squares, *others) = numbers.keys, moments
        keep = 1.0 - keys["alpha"]
        squares.mul_(keys["alpha"]).add_(keep * gradient_KP.square())
        variance_KP = squares
        if numbers.shared.value("centred"):
            mean, *others = others
            mean.lerp_(gradient_KP, keep)
            variance_KP = (squares - mean.square()).clamp(min=0.0)
        move_KP = gradient_KP / (variance_KP.sqrt() + keys["epsilon"])
        if others:
            move_KP = others[0].mul_(keys["momentum"]).add_(move_KP)
        return theta_KP - numbers.rate_KP * move_KP
