"""Samples as a reader of files returns them, before they are split, checked and standardised."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Part", "Parts"]


class Part(NamedTuple):
    """Samples of one file, or of several that belong together.

    Attributes:
        x: Inputs, a row a sample, with all their axes.
        y: Classes, numbers or text, a sample each; or targets `[samples, outputs]`.
    """

    x: NDArray[Any]
    y: NDArray[Any]

    def rows(self, chosen: NDArray[Any]) -> "Part":
        """Return the samples `chosen`, by index or mask."""
        return Part(self.x[chosen], self.y[chosen])


class Parts(NamedTuple):
    """Training and test samples.

    Attributes:
        train: Training samples; all of them where `test` is None.
        test: Test samples; None where they are split off the others.
    """

    train: Part
    test: Part | None = None


def joined(parts: list[Part]) -> Part:
    """Return the samples of several files, one after another."""
    if len(parts) == 1:
        return parts[0]
    return Part(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))
