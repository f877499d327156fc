"""NAdam: Adam that looks ahead, with Nesterov's momentum."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from annotated_types import Ge

from symstudy.components import Role, component
from symstudy.optimizers.adaptive import AbstractAdam
from symstudy.optimizers.config import StepNumbers
from symstudy.width_rules import WidthRule

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["NAdam"]

TERMS = 60
"""Terms of the series of `momentum_product`: the next is below 2^-60 of the first."""


@component
class NAdam(AbstractAdam):
    """Adam with Nesterov's momentum; the penalty joins the gradient, as `torch.optim.NAdam`.

    Its step does not scale with the gradient, so the penalty has no decay budget.

    References:
        Dozat 2016. The momentum of step t is beta1 (1 - 0.96^(t momentum_decay) / 2).
    """

    width_rule: ClassVar[WidthRule] = "normalised"

    kind: Literal["nadam"] = "nadam"
    """Adam with Nesterov's momentum, with the penalty in the gradient."""
    momentum_decay: Annotated[float, Ge(0), Role.LANE] = 4e-3
    """How fast the momentum of nadam rises from half of beta1 to beta1."""

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
    return beta1 * (1.0 - 0.5 * (math.log(0.96) * time * psi).exp())


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
    slopes = math.log(0.96) * psi * powers
    # A momentum that does not rise has q = 1: every term of its series is 1.
    safe = slopes.where(slopes < 0.0, -1.0)
    geometric = safe.exp() * (time * safe).expm1() / safe.expm1()
    sums = geometric.where(slopes < 0.0, time)
    total = (sums / (powers * 2.0**powers)).sum(dim=1, keepdim=True)
    return beta1**time * (-total).exp()
