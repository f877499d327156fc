"""A learning rate that climbs to its peak and falls far below where it began."""

import itertools
from typing import Annotated, Literal

import numpy as np
from annotated_types import Gt, Lt
from numpy.typing import NDArray

from symstudy.components import Role, component
from symstudy.schedules.config import AbstractSchedule

__all__ = ["OneCycle"]


@component
class OneCycle(AbstractSchedule):
    """One climb to the peak and one fall, as `torch.optim.lr_scheduler.OneCycleLR`.

    Momentum stays as it is: torch's `cycle_momentum` has no counterpart.

    References:
        Smith and Topin 2019, arXiv:1708.07120.
    """

    kind: Literal["one_cycle"] = "one_cycle"
    """One climb to the peak, and one fall far below where it began."""
    pct_start: Annotated[float, Gt(0), Lt(1), Role.LANE] = 0.3
    """Share of the steps in which one_cycle climbs."""
    div_factor: Annotated[float, Gt(0), Role.LANE] = 25.0
    """Peak of one_cycle over its first learning rate."""
    final_div_factor: Annotated[float, Gt(0), Role.LANE] = 1e4
    """First learning rate of one_cycle over its last."""
    anneal_strategy: Annotated[Literal["cos", "linear"], Role.LANE] = "cos"
    """Whether one_cycle goes along half a cosine or a line."""
    three_phase: Annotated[bool, Role.LANE] = False
    """Whether one_cycle falls to where it began as slowly as it climbed, and then on to its end."""

    def shares(self, steps: NDArray[np.int64], total: int) -> NDArray[np.float64]:
        """Return the share of the peak, phase by phase."""
        first = 1.0 / self.div_factor
        last = first / self.final_div_factor
        climb = self.pct_start * total
        ends, levels = [climb - 1.0, total - 1.0], [first, 1.0, last]
        if self.three_phase:
            ends, levels = [climb - 1.0, 2.0 * climb - 2.0, total - 1.0], [first, 1.0, first, last]
        phase = np.searchsorted(ends[:-1], steps)
        starts = np.array([0.0, *ends[:-1]])
        lengths = np.array([end - start for start, end in itertools.pairwise([0.0, *ends])])
        # A phase without a length is at its end.
        gone = (steps - starts[phase]) / np.where(lengths > 0, lengths, 1.0)[phase]
        gone = np.where(lengths[phase] > 0, gone, 1.0)
        low, high = np.array(levels)[phase], np.array(levels)[phase + 1]
        if self.anneal_strategy == "cos":
            shares: NDArray[np.float64] = high + (low - high) / 2.0 * (np.cos(np.pi * gone) + 1.0)
            return shares
        line: NDArray[np.float64] = (high - low) * gone + low
        return line
