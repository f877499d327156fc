"""A learning rate that falls along a line."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from symstudy.components import component
from symstudy.schedules.config import AbstractFall

__all__ = ["Linear"]


@component
class Linear(AbstractFall):
    """A learning rate that falls along a line."""

    kind: Literal["linear"] = "linear"
    """A learning rate that falls along a line."""

    def left(self, fallen: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return 1 - fallen."""
        return 1.0 - fallen
