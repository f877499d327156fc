"""Real images without a download: the digits bundled with scikit-learn."""

import functools
import importlib.util
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from annotated_types import Ge, Gt, Le
from numpy.typing import NDArray

from symstudy.components import DataShape, Role, component
from symstudy.datasets.base import Task, one_hot
from symstudy.datasets.config import NoiseMode
from symstudy.datasets.mapped import AbstractMappedConfig
from symstudy.streams import Stream

__all__ = ["DigitsConfig"]

TRAIN = 1400


@component
class DigitsConfig(AbstractMappedConfig):
    """The 1,797 real 8x8 digits that come with scikit-learn; no download.

    Pixels are divided by 16 and centred; the split into training and test images is the same for
    every seed.
    """

    kind: Literal["digits"] = "digits"
    """Classification of real images of handwritten digits."""
    samples: Annotated[int, Ge(1), Le(1400)] = 1400
    """Number of training images, of the 1,400 set aside for training."""
    patch: Literal[0, 1, 2, 4] = 0
    """Side of the square patches, in pixels, that an image is given as tokens of, row by row; 0 for
    its 64 pixels as one row."""
    input_scale: Annotated[float, Gt(0), Role.DATA] = 1.0
    """Factor on the pixels."""
    label_noise: Annotated[float, Ge(0), Le(1), Role.LANE] = 0.0
    """Probability that a training label is replaced by another class."""
    noise_mode: NoiseMode = "fixed"
    """Whether labels are flipped once, or at every step."""

    @property
    def shape(self) -> DataShape:
        """The sizes of this data."""
        tokens = 64 // self.patch**2 if self.patch else 0
        return DataShape(64, 10, self.samples, 397, True, tokens)

    def build(self, seed: int) -> Task:
        """Return the digits; the images are the same for every seed."""
        x, labels = load()
        y = one_hot(labels, 10)
        x = self.input_scale * x
        if self.patch:
            x = x[:, patch_order(self.patch)]
        return Task(
            seed=seed,
            is_classification=True,
            x_train=x[: self.samples],
            y_train=y[: self.samples],
            x_test=x[TRAIN:],
            y_test=y[TRAIN:],
        )


@functools.cache
def load() -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the images `[1797, 64]`, scaled to [0, 1] and centred, and their labels.

    They come in a fixed random order: the first 1,400 are for training.
    """
    table = np.loadtxt(bundled_file(), delimiter=",")
    order = Stream(0, "digits_split").permutation(len(table))
    x = table[order, :-1] / 16.0
    return x - x[:TRAIN].mean(axis=0), table[order, -1].astype(np.int64)


def bundled_file() -> Path:
    """Return scikit-learn's file of digits, found without the seconds that importing it takes."""
    spec = importlib.util.find_spec("sklearn")
    assert spec is not None, "scikit-learn is a dependency"
    assert spec.origin is not None, "scikit-learn is a package of files"
    return Path(spec.origin).parent / "datasets" / "data" / "digits.csv.gz"


def patch_order(side: int) -> NDArray[np.int64]:
    """Return the pixels of an 8x8 image patch by patch, row by row in and among patches."""
    across = 8 // side
    pixels = np.arange(64).reshape(across, side, across, side)
    return pixels.transpose(0, 2, 1, 3).reshape(-1)
