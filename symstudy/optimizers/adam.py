"""Adam."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

from symstudy.components import component
from symstudy.kernels.steps import KernelStep
from symstudy.optimizers.adaptive import AbstractAdam, adam_in_kernels, adam_move
from symstudy.optimizers.config import StepNumbers
from symstudy.width_rules import WidthRule

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Adam"]


@component
class Adam(AbstractAdam):
    """Adam; the penalty joins the gradient, as torch's weight_decay of Adam does.

    Its step does not scale with the gradient, so a coupled penalty has no decay budget.
    """

    kernel_step: ClassVar[KernelStep | None] = adam_in_kernels
    width_rule: ClassVar[WidthRule] = "normalised"

    kind: Literal["adam"] = "adam"
    """Adam, with the penalty in the gradient."""

    @classmethod
    def step(
        cls,
        theta_KP: "Tensor",
        gradient_KP: "Tensor",
        pulled_KP: "Tensor",
        moments: Sequence["Tensor"],
        numbers: StepNumbers,
    ) -> "Tensor":
        """Return theta - rate m / (sqrt(v) + epsilon), with corrected moments m and v."""
        del pulled_KP
        return theta_KP - adam_move(gradient_KP, moments, numbers)
