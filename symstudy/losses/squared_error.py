"""Squared error, summed over outputs."""

from typing import TYPE_CHECKING, ClassVar, Literal

from symstudy.components import component
from symstudy.kernels.codes import SQUARED
from symstudy.losses.config import AbstractLoss

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["SquaredError"]


@component
class SquaredError(AbstractLoss):
    """(1/B) sum_b sum_o (f - y)^2: summed over outputs, averaged over samples."""

    kernel_code: ClassVar[int | None] = SQUARED

    kind: Literal["squared_error"] = "squared_error"
    """Squared error, summed over outputs and averaged over samples."""

    def per_sample(self, output_KBO: "Tensor", target_KBO: "Tensor") -> "Tensor":
        """Return sum_o (f - y)^2."""
        return (output_KBO - target_KBO).square().sum(dim=2)
