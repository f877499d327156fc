"""The contract of a schedule of the learning rate."""

from abc import ABC, abstractmethod
from typing import Annotated, ClassVar

import numpy as np
from annotated_types import Ge, Le, Lt
from numpy.typing import NDArray

from symstudy.components import Component, Role, component

__all__ = ["AbstractFall", "AbstractSchedule"]


class AbstractSchedule(Component, ABC):
    """How the learning rate goes over the steps of a run.

    Contract: `shares` is a pure function; a step's share does not depend on which others are asked
    for.

    Attributes:
        kind: Name of the schedule.
    """

    table: ClassVar[str] = "train"
    kind: str

    @abstractmethod
    def shares(self, steps: NDArray[np.int64], total: int) -> NDArray[np.float64]:
        """Return the learning rate at each of `steps`, of `total`, as a share of its peak."""


@component
class AbstractFall(AbstractSchedule):
    """A schedule that is constant at first and then falls to a last value."""

    decay_start: Annotated[float, Ge(0), Lt(1), Role.LANE] = 0.0
    """Share of the steps after which the schedule begins to fall."""
    lr_final: Annotated[float, Ge(0), Le(1), Role.LANE] = 0.0
    """Learning rate at the last step, as a share of the peak."""

    @abstractmethod
    def left(self, fallen: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return from 1 to 0 how much is left of the fall, where `fallen` goes from 0 to 1."""

    def shares(self, steps: NDArray[np.int64], total: int) -> NDArray[np.float64]:
        """Return 1 up to `decay_start`, then what falls to `lr_final` at the last step."""
        start = self.decay_start * total
        fallen = np.clip((steps - start) / max(total - 1 - start, 1.0), 0.0, 1.0)
        shares: NDArray[np.float64] = self.lr_final + (1.0 - self.lr_final) * self.left(fallen)
        return shares
