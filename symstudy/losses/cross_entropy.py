"""Cross-entropy of classes."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from annotated_types import Ge, Lt

from symstudy.components import DataShape, component
from symstudy.kernels.codes import CROSS_ENTROPY
from symstudy.losses.config import AbstractLoss

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["CrossEntropy"]


@component
class CrossEntropy(AbstractLoss):
    """(1/B) sum_b (log sum_o exp f_o - sum_o y_o f_o), as torch's, label smoothing included."""

    kernel_code: ClassVar[int | None] = CROSS_ENTROPY

    kind: Literal["cross_entropy"] = "cross_entropy"
    """Cross-entropy of the softmax of the outputs."""
    label_smoothing: Annotated[float, Ge(0), Lt(1)] = 0.0
    """Share of each target of cross_entropy that is spread evenly over all classes. Every loss that
    is recorded, that of the test data too, is measured with it."""

    def per_sample(self, output_KBO: "Tensor", target_KBO: "Tensor") -> "Tensor":
        """Return log sum_o exp f_o - sum_o y_o f_o, with y smoothed."""
        fit_KB = (target_KBO * output_KBO).sum(dim=2)
        if self.label_smoothing > 0:
            evenly_KB = output_KBO.mean(dim=2)
            fit_KB = (1.0 - self.label_smoothing) * fit_KB + self.label_smoothing * evenly_KB
        return output_KBO.logsumexp(dim=2) - fit_KB

    def misfits(self, data: DataShape) -> Iterator[tuple[str, str]]:
        """Yield a mistake where targets are no classes."""
        if not data.is_classification:
            yield (
                "loss",
                "must be squared_error or mse for regression, but got 'cross_entropy'",
            )
