"""Mean squared error."""

from typing import TYPE_CHECKING, ClassVar, Literal

from symstudy.components import component
from symstudy.kernels.codes import SQUARED
from symstudy.losses.config import AbstractLoss

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Mse"]


@component
class Mse(AbstractLoss):
    """The mean of (f - y)^2 over outputs and samples, as torch's MSELoss."""

    kernel_code: ClassVar[int | None] = SQUARED

    kind: Literal["mse"] = "mse"
    """Squared error, averaged over outputs and samples."""

    def per_sample(self, output_KBO: "Tensor", target_KBO: "Tensor") -> "Tensor":
        """Return sum_o (f - y)^2, which the number of outputs divides."""
        return (output_KBO - target_KBO).square().sum(dim=2)

    def divisor(self, outputs: int) -> float:
        """Return the number of outputs."""
        return float(outputs)
