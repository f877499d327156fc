"""A constant learning rate."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from symstudy.components import component
from symstudy.schedules.config import AbstractWarmed

__all__ = ["Constant"]


@component
class Constant(AbstractWarmed):
    """The peak learning rate at every step."""

    kind: Literal["constant"] = "constant"
    """The peak learning rate at every step."""

    def after_warmup(self, steps: NDArray[np.int64], total: int) -> NDArray[np.float64]:
        """Return 1 for every step."""
        del total
        return np.ones(len(steps))
