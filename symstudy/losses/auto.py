"""The loss that fits the data."""

from typing import TYPE_CHECKING, Literal

from symstudy.components import DataShape, component
from symstudy.losses.config import AbstractLoss
from symstudy.losses.cross_entropy import CrossEntropy
from symstudy.losses.squared_error import SquaredError

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Auto"]


@component
class Auto(AbstractLoss):
    """Cross-entropy for classes and squared error for numbers; settled when a study is read."""

    kind: Literal["auto"] = "auto"
    """cross_entropy for classes, squared_error for numbers."""

    def per_sample(self, output_KBO: "Tensor", target_KBO: "Tensor") -> "Tensor":
        """Raise: a study that was read names a loss."""
        raise AssertionError(f"auto is settled when a study is read: {output_KBO} {target_KBO}")

    def resolved(self, data: DataShape) -> AbstractLoss:
        """Return cross-entropy for classes, else squared error."""
        return CrossEntropy() if data.is_classification else SquaredError()
