"""NAdam: Adam that looks ahead, with Nesterov's momentum."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from annotated_types import Ge

from symstudy.components import Role, component
from symstudy.kernels.steps import KernelStep, LaneNumbers
from symstudy.optimizers.adaptive import AbstractAdam
from symstudy.optimizers.config import KernelNumbers, StepNumbers
from symstudy.width_rules import WidthRule

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["NAdam"]

TERMS = 60
"""Terms of the series of `momentum_product`: the next is below 2^-60 of the first."""
LOG_BASE = math.log(0.96)


@KernelStep
def nadam_in_kernels(
    theta: Any, first: Any, second: Any, gradient: Any, numbers: LaneNumbers
) -> None:
    """Take the step of `NAdam.step`; the product of momenta is that of `momentum_product`."""
    kind = theta.dtype.type
    coupled, epsilon, time = numbers.coupled, numbers.epsilon, numbers.time
    beta1, beta2 = numbers.beta1, numbers.beta2
    keep1, keep2 = kind(1.0) - beta1, kind(1.0) - beta2
    top, slope = float(beta1), LOG_BASE * float(numbers.extra)
    total = 0.0
    for j in range(1, TERMS + 1):
        geometric = float(time)
        if slope < 0.0:
            geometric = math.exp(j * slope) * math.expm1(time * j * slope) / math.expm1(j * slope)
        total += geometric / (j * 2.0**j)
    product = top**time * math.exp(-total)
    now = top * (1.0 - 0.5 * math.exp(time * slope))
    after = top * (1.0 - 0.5 * math.exp((time + 1) * slope))
    of_gradient = kind(float(numbers.rate) * (1.0 - now) / (1.0 - product))
    of_mean = kind(float(numbers.rate) * after / (1.0 - product * after))
    root = kind(1.0 / math.sqrt(1.0 - float(beta2) ** time))
    for i in range(theta.size):
        g = gradient[i] + coupled * theta[i]
        m = beta1 * first[i] + keep1 * g
        v = beta2 * second[i] + keep2 * g * g
        first[i] = m
        second[i] = v
        theta[i] -= (of_gradient * g + of_mean * m) / (math.sqrt(v) * root + epsilon)


@component
class NAdam(AbstractAdam):
    """Adam with Nesterov's momentum; the penalty joins the gradient, as `torch.optim.NAdam`.

    Its step does not scale with the gradient, so the penalty has no decay budget.

    References:
        Dozat 2016. The momentum of step t is beta1 (1 - 0.96^(t momentum_decay) / 2).
    """

    kernel_step: ClassVar[KernelStep | None] = nadam_in_kernels
    width_rule: ClassVar[WidthRule] = "normalised"

    kind: Literal["nadam"] = "nadam"
    """Adam with Nesterov's momentum, with the penalty in the gradient."""
    momentum_decay: Annotated[float, Ge(0), Role.LANE] = 4e-3
    """How fast the momentum of nadam rises from half of beta1 to beta1."""

    def kernel_numbers(self) -> KernelNumbers:
        """Return decays, epsilon, and how fast the momentum rises."""
        return KernelNumbers(self.beta1, self.beta2, self.epsilon, self.momentum_decay)

    @classmethod
    def step(
        cls,
        theta_KP: "Tensor",
        gradient_KP: "Tensor",
        pulled_KP: "Tensor",
        moments: Sequence["Tensor"],
        numbers: StepNumbers,
    ) -> "Tensor":
        """Return theta - rate (a g + b m) / (sqrt(v) + epsilon), with corrected moments."""
        del pulled_KP
        first, second = moments
        keys, time, kind = numbers.keys, numbers.time, gradient_KP.dtype
        beta1, beta2, psi = (keys[key] for key in ("beta1", "beta2", "momentum_decay"))
        first.mul_(beta1).add_((1.0 - beta1) * gradient_KP)
        second.mul_(beta2).add_((1.0 - beta2) * gradient_KP.square())
        now, after = (momentum_at(beta1.double(), psi.double(), at) for at in (time, time + 1))
        product = momentum_product(beta1.double(), psi.double(), time)
        rate = numbers.rate_KP.double()
        of_gradient = rate * (1.0 - now) / (1.0 - product)
        of_mean = rate * after / (1.0 - product * after)
        root = 1.0 / (1.0 - beta2.double() ** time).sqrt()
        move_KP = of_gradient.to(kind) * gradient_KP + of_mean.to(kind) * first
        return theta_KP - move_KP / (second.sqrt() * root.to(kind) + keys["epsilon"])


def momentum_at(beta1: "Tensor", psi: "Tensor", time: "int | Tensor") -> "Tensor":
    """Return the momentum beta1 (1 - 0.96^(t psi) / 2) of step `time`."""
    return beta1 * (1.0 - 0.5 * (LOG_BASE * time * psi).exp())


def momentum_product(beta1: "Tensor", psi: "Tensor", time: "int | Tensor") -> "Tensor":
    """Return the product of the momenta of the steps 1 to `time`, in float64.

    The logarithm of 1 - q^s / 2, with q = 0.96^psi, is the series -sum_j q^(s j) / (j 2^j); its sum
    over steps s is a sum of geometric series. So nothing is kept from step to step.

    Args:
        beta1: Column `[K, 1]`.
        psi: `momentum_decay`, a column too.
        time: Number of steps.
    """
    import torch

    powers = torch.arange(1, TERMS + 1, dtype=beta1.dtype, device=beta1.device)
    slopes = LOG_BASE * psi * powers
    # A momentum that does not rise has q = 1: every term of its series is 1.
    safe = slopes.where(slopes < 0.0, -1.0)
    geometric = safe.exp() * (time * safe).expm1() / safe.expm1()
    sums = geometric.where(slopes < 0.0, time)
    total = (sums / (powers * 2.0**powers)).sum(dim=1, keepdim=True)
    return beta1**time * (-total).exp()
