"""AdamW: Adam with decoupled weight decay."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

from symstudy.components import component
from symstudy.kernels.steps import KernelStep
from symstudy.optimizers.adaptive import AbstractAdam, adam_in_kernels, adam_move
from symstudy.optimizers.config import StepNumbers
from symstudy.optimizers.decoupled import decayed
from symstudy.width_rules import WidthRule

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["AdamW"]


@component
class AdamW(AbstractAdam):
    """Adam with the penalty beside the step: theta shrinks by rate x 2 gamma.

    References:
        Loshchilov and Hutter 2019.
    """

    is_decoupled: ClassVar[bool] = True
    kernel_step: ClassVar[KernelStep | None] = adam_in_kernels
    width_rule: ClassVar[WidthRule] = "normalised"
    no_polish: ClassVar[str] = "does not go down the objective that has the penalty in it"

    kind: Literal["adamw"] = "adamw"
    """Adam, with the penalty beside the step."""

    @classmethod
    def step(
        cls,
        theta_KP: "Tensor",
        gradient_KP: "Tensor",
        pulled_KP: "Tensor",
        moments: Sequence["Tensor"],
        numbers: StepNumbers,
    ) -> "Tensor":
        """Return theta - rate 2 gamma D (theta - theta_0), less the step of Adam."""
        shrunk_KP = decayed(theta_KP, pulled_KP, numbers)
        return shrunk_KP - adam_move(gradient_KP, moments, numbers)

    def effective_rate(self, rate: float) -> float:
        """Return the rate: decay does not pass through the moments."""
        return rate
