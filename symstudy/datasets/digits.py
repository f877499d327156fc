"""Real images without a download: the digits bundled with scikit-learn."""

import functools
import importlib.util
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from symstudy.datasets.base import Task, one_hot
from symstudy.datasets.configs import DigitsConfig
from symstudy.streams import Stream

__all__ = ["build_digits"]

TRAIN = 1400


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


def build_digits(config: DigitsConfig, seed: int) -> Task:
    """Return the digits; the images are the same for every seed."""
    x, labels = load()
    y = one_hot(labels, 10)
    x = config.input_scale * x
    if config.patch:
        x = x[:, patch_order(config.patch)]
    return Task(
        seed=seed,
        is_classification=True,
        x_train=x[: config.samples],
        y_train=y[: config.samples],
        x_test=x[TRAIN:],
        y_test=y[TRAIN:],
    )
