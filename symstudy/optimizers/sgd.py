"""Stochastic gradient descent, with momentum where asked for."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from annotated_types import Ge, Lt

from symstudy.components import Role, component
from symstudy.kernels.steps import KernelStep, LaneNumbers
from symstudy.optimizers.config import AbstractStepOptimizer, KernelNumbers, StepNumbers
from symstudy.width_rules import WidthRule

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Sgd"]


@KernelStep
def descend(
    theta: Any,
    first: Any,
    second: Any,  # noqa: ARG001  # the kernels fix the signature
    gradient: Any,
    numbers: LaneNumbers,
) -> None:
    """Take the step theta -= rate v, with v = momentum v + gradient where there is a velocity v."""
    rate, decay, beta = numbers.rate, numbers.coupled, numbers.beta1
    if first.size == 0:
        for i in range(theta.size):
            theta[i] -= rate * (gradient[i] + decay * theta[i])
    else:
        for i in range(theta.size):
            v = beta * first[i] + (gradient[i] + decay * theta[i])
            first[i] = v
            theta[i] -= rate * v


@component
class Sgd(AbstractStepOptimizer):
    """Stochastic gradient descent; the penalty joins the gradient."""

    counts_on_device: ClassVar[bool] = True
    kernel_step: ClassVar[KernelStep | None] = descend
    width_rule: ClassVar[WidthRule] = "proportional"

    kind: Literal["sgd"] = "sgd"
    """Stochastic gradient descent."""
    momentum: Annotated[float, Ge(0), Lt(1), Role.LANE] = 0.0
    """Momentum of sgd, rmsprop and muon."""

    @property
    def can_pad(self) -> bool:
        """A parameter of 0 without gradient has a velocity of 0."""
        return True

    @classmethod
    def num_moments(cls, lanes: Sequence[Self]) -> int:
        """Return 1, the velocity, where any run has momentum."""
        return int(any(lane.momentum for lane in lanes))

    def kernel_numbers(self) -> KernelNumbers:
        """Return the momentum."""
        return KernelNumbers(beta1=self.momentum)

    @classmethod
    def step(
        cls,
        theta_KP: "Tensor",
        gradient_KP: "Tensor",
        pulled_KP: "Tensor",
        moments: Sequence["Tensor"],
        numbers: StepNumbers,
    ) -> "Tensor":
        """Return theta - rate v, with v = momentum v + gradient."""
        del pulled_KP
        move_KP = gradient_KP
        if moments:
            move_KP = moments[0].mul_(numbers.keys["momentum"]).add_(gradient_KP)
        return theta_KP - numbers.rate_KP * move_KP

    def effective_rate(self, rate: float) -> float:
        """Return rate / (1 - momentum)."""
        return rate / (1.0 - self.momentum)
