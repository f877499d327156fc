"""What data sets of images have in common: pixels, standardisation, and classes as targets."""

from abc import abstractmethod
from collections.abc import Sequence

from symstudy.components import component
from symstudy.datasets.readers.places import Source
from symstudy.datasets.readers.samples import Parts
from symstudy.datasets.readers.split import (
    Arrays,
    Scaling,
    class_names,
    finished_inputs,
    finished_targets,
)
from symstudy.datasets.stored import AbstractStoredConfig

__all__ = ["AbstractImagesConfig"]


@component
class AbstractImagesConfig(AbstractStoredConfig):
    """Images of classes, `[channels, rows, columns]`, with pixels from 0 to 1 in float32.

    Contract: `images` returns bytes and labels; those of the training part tell all classes.
    """

    standardise: Scaling = "channels"
    """What is given mean 0 and variance 1 over the training part: nothing, each pixel ("inputs"),
    or each channel."""

    @abstractmethod
    def images(self, sources: Sequence[Source]) -> Parts:
        """Return the images as bytes, and their labels.

        Raises:
            DataError: If the files hold something else.
        """

    @abstractmethod
    def divided(self, parts: Parts) -> Parts:
        """Return the images with a test part, if need be of the training images."""

    def read(self, sources: Sequence[Source]) -> Arrays:
        """Return the arrays of the files."""
        parts = self.images(sources)
        names = class_names(parts.train.y, ())
        parts = self.divided(parts)
        done = finished_targets(parts, is_classification=True, declared=names)
        assert done.test is not None, "samples have been split"
        x_train, x_test = finished_inputs(done, self.standardise, is_integer=False, divisor=255.0)
        shape = parts.train.x.shape[1:]
        return Arrays(x_train, done.train.y, x_test, done.test.y, shape, len(names))
