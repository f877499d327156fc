"""Cross-entropy of classes."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar, Literal

from symstudy.components import DataShape, component
from symstudy.kernels.codes import CROSS_ENTROPY
from symstudy.losses.config import AbstractLoss

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["CrossEntropy"]


@component
class CrossEntropy(AbstractLoss):
    """(1/B) sum_b (log sum_o exp f_o - sum_o y_o f_o)."""

    kernel_code: ClassVar[int | None] = CROSS_ENTROPY

    kind: Literal["cross_entropy"] = "cross_entropy"
    """Cross-entropy of the softmax of the outputs."""

    def per_sample(self, output_KBO: "Tensor", target_KBO: "Tensor") -> "Tensor":
        """Return log sum_o exp f_o - sum_o y_o f_o."""
        fit_KB = (target_KBO * output_KBO).sum(dim=2)
        return output_KBO.logsumexp(dim=2) - fit_KB

    def misfits(self, data: DataShape) -> Iterator[tuple[str, str]]:
        """Yield a mistake where targets are no classes."""
        if not data.is_classification:
            yield (
                "loss",
                "must be squared_error or mse for regression, but got 'cross_entropy'",
            )
