"""The loss that fits the data."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Literal

from annotated_types import Ge, Lt

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
    label_smoothing: Annotated[float, Ge(0), Lt(1)] = 0.0
    """Share of each target of cross_entropy that is spread evenly over all classes. Every loss that
    is recorded, that of the test data too, is measured with it."""

    def per_sample(self, output_KBO: "Tensor", target_KBO: "Tensor") -> "Tensor":
        """Raise: a study that was read names a loss."""
        raise AssertionError(f"auto is settled when a study is read: {output_KBO} {target_KBO}")

    def resolved(self, data: DataShape) -> AbstractLoss:
        """Return cross-entropy for classes, else squared error."""
        if data.is_classification:
            return CrossEntropy(label_smoothing=self.label_smoothing)
        return SquaredError()

    def misfits(self, data: DataShape) -> Iterator[tuple[str, str]]:
        """Yield a mistake where there are no labels to smooth."""
        if self.label_smoothing > 0 and not data.is_classification:
            what = f"must be 0 for regression, but got {self.label_smoothing!r}"
            yield "label_smoothing", f"{what}: only labels of classes can be smoothed"
