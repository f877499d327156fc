"""What data sets that augment their training batches have in common."""

from abc import abstractmethod
from collections.abc import Iterator

from symstudy.datasets.augmentation import Augmentation, augmentation_misfits
from symstudy.datasets.config import AbstractDatasetConfig

__all__ = ["AbstractAugmentedConfig"]


class AbstractAugmentedConfig(AbstractDatasetConfig):
    """A data set of samples that are given, with label noise and augmentation.

    Contract: subclasses declare the fields named here, in the order of their reference.
    """

    label_noise: float
    augment: tuple[str, ...]
    augment_pixels: int
    augment_sources: tuple[str, ...]

    @property
    @abstractmethod
    def axes(self) -> tuple[int, ...]:
        """Axes of one input, known once the data have been read."""

    @property
    def augmentation(self) -> Augmentation | None:
        """What is done to the inputs of training batches; None for nothing."""
        if not self.augment:
            return None
        return Augmentation(self.augment, self.augment_pixels, self.axes)

    @property
    def own_sources(self) -> dict[str, str]:
        """Functions of the user's own that augment, with what identified their source."""
        own = [name for name in self.augment if ":" in name]
        return dict(zip(own, self.augment_sources, strict=True))

    def misfits(self) -> Iterator[tuple[str, str]]:
        """Yield the key and what must hold where augmentation or noise do not fit the data."""
        yield from super().misfits()
        shape = self.shape
        yield from augmentation_misfits(self.augment, self.axes, is_integer=shape.is_integer)
        if shape.is_classification and self.label_noise > 1:
            yield "label_noise", f"must be at most 1, but got {self.label_noise!r}"
