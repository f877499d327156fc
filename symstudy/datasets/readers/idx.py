"""The idx format of MNIST: a magic number, the axes, then the numbers, packed by gzip or not."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from symstudy.datasets.readers.places import Source
from symstudy.datasets.readers.samples import Part, Parts
from symstudy.datasets.readers.unpacked import open_unpacked

__all__ = ["idx_part", "idx_parts", "read_idx", "unpacked_idx"]

TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
"""Types of numbers by their code."""


def read_idx(path: Path) -> NDArray[Any]:
    """Return the array of a file.

    Raises:
        ValueError: If it is no such file, or cut short.
    """
    with open_unpacked(path) as file:
        content = file.read()
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] not in TYPES:
        raise ValueError("it does not begin as an idx file does")
    axes = content[3]
    head = 4 + 4 * axes
    shape = [int(size) for size in np.frombuffer(content[4:head], ">u4")]
    kind = np.dtype(TYPES[content[2]])
    size = math.prod(shape) * kind.itemsize
    if len(content) != head + size:
        raise ValueError(f"it must have {head + size} bytes for its axes {shape}: {len(content)}")
    values = np.frombuffer(content, kind, offset=head).reshape(shape)
    return values.astype(kind.newbyteorder("="))


def idx_part(images: NDArray[Any], labels: NDArray[Any]) -> Part:
    """Return images `[samples, 1, rows, columns]` with their labels.

    Raises:
        ValueError: If they do not belong together.
    """
    if images.ndim != 3 or labels.ndim != 1 or len(images) != len(labels):
        raise ValueError(
            f"images [samples, rows, columns] and labels [samples] must belong together, but their "
            f"axes are {list(images.shape)} and {list(labels.shape)}"
        )
    if images.dtype != np.uint8:
        raise ValueError(f"images must be of bytes, but got {images.dtype}")
    return Part(images[:, None], labels.astype(np.int64))


def unpacked_idx(names: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Return the names of idx files without .gz, as torchvision leaves them."""
    return {name: (name.removesuffix(".gz"),) for name in names}


def idx_parts(sources: Sequence[Source]) -> Parts:
    """Return the training and test images of four idx files: images, labels, images, labels.

    Raises:
        ValueError: If they do not belong together.
    """
    x_train, y_train, x_test, y_test = (read_idx(source.path) for source in sources)
    return Parts(idx_part(x_train, y_train), idx_part(x_test, y_test))
