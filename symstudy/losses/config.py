"""The contract of a loss: one number a sample, batched over runs."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from symstudy.components import Component, DataShape

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["AbstractLoss"]


class AbstractLoss(Component, ABC):
    """A loss: what training minimises, averaged over samples.

    Contract: `per_sample` is differentiable, batched over runs and samples, and returns exactly one
    number for each; targets of a class are one-hot rows.

    Attributes:
        kind: Name of the loss.
        kernel_code: Code by which the compiled kernels know it; None where they do not.
        takes_any_output: Whether `per_sample` is meant for whatever a user's own module returns,
            and not for outputs of the targets' shape alone.
        compares_samples: Whether the loss of a sample depends on the others of its batch. It is
            then measured in batches of the training's size, and not on all samples at once.
    """

    table: ClassVar[str] = "train"
    kernel_code: ClassVar[int | None] = None
    takes_any_output: ClassVar[bool] = False
    compares_samples: ClassVar[bool] = False
    kind: str

    @abstractmethod
    def per_sample(self, output_KBO: "Tensor", target_KBO: "Tensor") -> "Tensor":
        """Return the loss of each sample `[runs, batch]`, up to the factor `divisor`."""

    def divisor(self, outputs: int) -> float:
        """Return what the mean over samples is divided by, for a network of so many outputs."""
        del outputs
        return 1.0

    def misfits(self, data: DataShape) -> Iterator[tuple[str, str]]:
        """Yield the key and what must hold where the loss cannot be taken on the data."""
        del data
        yield from ()

    def resolved(self, data: DataShape) -> "AbstractLoss":
        """Return the loss that is meant on data of the given shape."""
        del data
        return self
