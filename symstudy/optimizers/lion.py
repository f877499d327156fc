"""Lion: steps along the sign of a mean of gradients."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

import numpy as np
from annotated_types import Ge, Lt

from symstudy.components import Role, component
from symstudy.kernels.steps import KernelStep, LaneNumbers
from symstudy.optimizers.config import AbstractStepOptimizer, KernelNumbers, StepNumbers
from symstudy.optimizers.decoupled import decayed
from symstudy.width_rules import WidthRule

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Lion"]


@KernelStep
def lion_in_kernels(
    theta: Any,
    first: Any,
    second: Any,  # noqa: ARG001  # the kernels fix the signature
    gradient: Any,
    numbers: LaneNumbers,
) -> None:
    """Shrink theta, take off rate sign(beta1 m + (1 - beta1) g), and bring the mean m forward."""
    kind = theta.dtype.type
    rate, shrink = numbers.rate, numbers.shrink
    beta1, beta2 = numbers.beta1, numbers.beta2
    keep1, keep2 = kind(1.0) - beta1, kind(1.0) - beta2
    for i in range(theta.size):
        g = gradient[i]
        towards = beta1 * first[i] + keep1 * g
        first[i] = beta2 * first[i] + keep2 * g
        theta[i] = shrink * theta[i] - rate * np.sign(towards)


@component
class Lion(AbstractStepOptimizer):
    """Every parameter moves by the rate, along the sign of a mean of gradients; decay is beside.

    References:
        Chen et al. 2023, arXiv:2302.06675, Program 1.
    """

    counts_on_device: ClassVar[bool] = True
    is_decoupled: ClassVar[bool] = True
    kernel_step: ClassVar[KernelStep | None] = lion_in_kernels
    width_rule: ClassVar[WidthRule] = "normalised"
    no_polish: ClassVar[str] = "does not go down the objective that has the penalty in it"

    kind: Literal["lion"] = "lion"
    """Along the sign of a mean of gradients, with the penalty beside the step."""
    beta1: Annotated[float, Ge(0), Lt(1), Role.LANE] = 0.9
    """Decay of the first moment of adaptive optimisers."""
    beta2: Annotated[float, Ge(0), Lt(1), Role.LANE] = 0.99
    """Decay of the second moment of adaptive optimisers; of lion that of its mean."""

    @property
    def can_pad(self) -> bool:
        """The sign of a mean of 0 is 0."""
        return True

    @classmethod
    def num_moments(cls, lanes: Sequence[Self]) -> int:
        """Return 1: a running mean of the gradient."""
        del lanes
        return 1

    def kernel_numbers(self) -> KernelNumbers:
        """Return both decays."""
        return KernelNumbers(self.beta1, self.beta2)

    @classmethod
    def step(
        cls,
        theta_KP: "Tensor",
        gradient_KP: "Tensor",
        pulled_KP: "Tensor",
        moments: Sequence["Tensor"],
        numbers: StepNumbers,
    ) -> "Tensor":
        """Return theta - rate sign(beta1 m + (1 - beta1) g), decayed; then m is brought forward."""
        beta1, beta2 = numbers.keys["beta1"], numbers.keys["beta2"]
        (mean,) = moments
        sign_KP = (beta1 * mean + (1.0 - beta1) * gradient_KP).sign()
        mean.mul_(beta2).add_((1.0 - beta2) * gradient_KP)
        return decayed(theta_KP, pulled_KP, numbers) - numbers.rate_KP * sign_KP

    def effective_rate(self, rate: float) -> float:
        """Return the rate: decay does not pass through the sign."""
        return rate
