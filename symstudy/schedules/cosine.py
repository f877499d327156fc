"""A learning rate that falls along half a cosine."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from symstudy.components import component
from symstudy.schedules.config import AbstractFall

__all__ = ["Cosine"]


@component
class Cosine(AbstractFall):
    """A learning rate that falls along half a cosine (Loshchilov and Hutter 2017)."""

    kind: Literal["cosine"] = "cosine"
    """A learning rate that falls along half a cosine."""

    def left(self, fallen: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return (1 + cos(pi fallen)) / 2."""
        left: NDArray[np.float64] = 0.5 * (1.0 + np.cos(np.pi * fallen))
        return left
