"""The contract of a schedule of the learning rate."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Annotated, ClassVar

import numpy as np
from annotated_types import Ge, Le, Lt
from numpy.typing import NDArray

from symstudy.components import Component, Role, component

__all__ = ["AbstractFall", "AbstractSchedule", "AbstractWarmed"]


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

    def misfits(self, total: int) -> Iterator[tuple[str, str]]:
        """Yield the key and what must hold where it cannot go over `total` steps."""
        del total
        yield from ()


@component
class AbstractWarmed(AbstractSchedule):
    """A schedule that may climb to its peak before it goes its way over the steps that are left."""

    warmup: Annotated[float, Ge(0), Role.LANE] = 0.0
    """Steps in which the learning rate climbs to its peak in a line; below 1 a share of the steps.
    What else a schedule says is of the steps after."""

    def __post_init__(self) -> None:
        """Check that a number of steps is whole.

        Raises:
            ValueError: If it is not.
        """
        if self.warmup > 1 and self.warmup != int(self.warmup):
            raise ValueError(
                "`train.warmup` must be a share of the steps below 1 or a whole number of steps, "
                f"but got {self.warmup!r}"
            )

    def warmup_steps(self, total: int) -> int:
        """Return in how many of `total` steps the rate climbs."""
        return int(self.warmup) if self.warmup >= 1 else round(self.warmup * total)

    def misfits(self, total: int) -> Iterator[tuple[str, str]]:
        """Yield the key and what must hold where `total` steps are too few."""
        climbs = self.warmup_steps(total)
        if climbs and climbs >= total:
            what = f"must be less than the {total} steps of train.steps, but got {self.warmup!r}"
            yield "warmup", f"{what}: the learning rate would never reach its peak"

    @abstractmethod
    def after_warmup(self, steps: NDArray[np.int64], total: int) -> NDArray[np.float64]:
        """Return the shares at `steps` of the `total` steps after the warm-up."""

    def shares(self, steps: NDArray[np.int64], total: int) -> NDArray[np.float64]:
        """Return (s + 1) / (W + 1) at a step s of the W first; then the schedule from its start."""
        climbs = self.warmup_steps(total)
        if not climbs:
            return self.after_warmup(steps, total)
        later = self.after_warmup(np.maximum(steps - climbs, 0), total - climbs)
        return np.where(steps < climbs, (steps + 1) / (climbs + 1), later)


@component
class AbstractFall(AbstractWarmed):
    """A schedule that is constant at first and then falls to a last value."""

    decay_start: Annotated[float, Ge(0), Lt(1), Role.LANE] = 0.0
    """Share of the steps after which the schedule begins to fall."""
    lr_final: Annotated[float, Ge(0), Le(1), Role.LANE] = 0.0
    """Learning rate at the last step, as a share of the peak."""

    @abstractmethod
    def left(self, fallen: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return from 1 to 0 how much is left of the fall, where `fallen` goes from 0 to 1."""

    def after_warmup(self, steps: NDArray[np.int64], total: int) -> NDArray[np.float64]:
        """Return 1 up to `decay_start`, then what falls to `lr_final` at the last step."""
        start = self.decay_start * total
        fallen = np.clip((steps - start) / max(total - 1 - start, 1.0), 0.0, 1.0)
        shares: NDArray[np.float64] = self.lr_final + (1.0 - self.lr_final) * self.left(fallen)
        return shares
