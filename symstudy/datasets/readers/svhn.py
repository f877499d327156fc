"""The format of SVHN: a file of Matlab with images `X` and labels `y`, in which 10 stands for 0."""

from pathlib import Path

import numpy as np

from symstudy.datasets.readers.samples import Part

__all__ = ["read_svhn"]


def read_svhn(path: Path) -> Part:
    """Return the images `[samples, 3, rows, columns]` and the digits of a file.

    Raises:
        ValueError: If it holds something else.
    """
    from scipy.io import loadmat

    found = loadmat(path)
    if not {"X", "y"} <= set(found):
        raise ValueError("it must hold images X and labels y")
    images = np.asarray(found["X"])
    labels = np.asarray(found["y"]).reshape(-1).astype(np.int64)
    if images.ndim != 4 or images.dtype != np.uint8 or images.shape[3] != len(labels):
        raise ValueError(
            f"X must be bytes [rows, columns, channels, samples] with {len(labels)} samples, but "
            f"is {images.dtype} {list(images.shape)}"
        )
    # Labels are 1 to 10 for the digits 1 to 9 and 0; other files may count from 0.
    return Part(np.ascontiguousarray(images.transpose(3, 2, 0, 1)), labels % 10)
