"""The optimiser's steps of the torch engine: by the compiled kernels, by torch, or a run's own.

Shapes: K runs, P parameters, S steps of a block.
"""

from typing import NamedTuple, final

import numpy as np
import torch
from jaxtyping import Bool, Float
from numpy.typing import NDArray
from torch import Tensor

from symstudy.kernels.lanes import Lanes, update_lanes
from symstudy.optimizers import StepNumbers
from symstudy.training.engines.lane_optimizers import LaneOptimizers
from symstudy.training.engines.lanes import compiled_step, lane_keys, stepped
from symstudy.training.engines.rate_factors import RateFactors
from symstudy.training.engines.torch_lanes import TorchLanes
from symstudy.training.resident import send
from symstudy.training.schedule import learning_rates

__all__ = ["Position", "Stepper"]


class Position(NamedTuple):
    """Which step it is: known to the host, or read by the device from a counter of its own.

    Attributes:
        place: Place in its block; a tensor `[1]` on the device.
        step: Steps taken before; a tensor without axes on the device.
    """

    place: int | Tensor
    step: int | Tensor

    def of(self, table: Float[Tensor, "runs steps"]) -> Float[Tensor, "runs 1"]:
        """Return the column of this step."""
        if isinstance(self.place, int):
            return table[:, self.place : self.place + 1]
        return table.index_select(1, self.place)

    @property
    def known(self) -> int:
        """The place in the block, which the host must know."""
        assert isinstance(self.place, int), "a step that the host takes part in is in no graph"
        return self.place


@final
class Stepper:
    """The optimiser's steps of a block: one step of all runs at a time, in place."""

    def __init__(self, state: TorchLanes, first: int, steps: int, *, by_kernels: bool) -> None:
        """Prepare `steps` steps from step `first` on.

        Args:
            state: Parameters, moments and hyperparameters of the runs.
            first: Number of steps taken before.
            steps: Number of steps of the block.
            by_kernels: Whether the compiled kernels take the steps, or torch.
        """
        self.state = state
        self.by_kernels = by_kernels
        pack = state.pack
        self.trains = [run.cell.train for run in pack.runs]
        rates = learning_rates(self.trains, first, steps)
        self.lanes: Lanes = state.lanes._replace(rate=rates.astype(pack.dtype), step=first)
        if by_kernels:
            self.compiled_step = compiled_step(pack)
            return
        self.plain_rates: list[list[float]] = rates.T.tolist() if state.optimizers else []
        self.optimizers = stepped(pack)
        self.keys = {
            name: self.column(values.astype(pack.dtype))
            for name, values in lane_keys(self.optimizers).items()
        }
        factors = RateFactors(self.lanes.stop, self.lanes.factor)
        self.factor = None if factors.are_one else self.column(factors.by_parameter())
        self.rates, self.decay = map(self.column, (self.lanes.rate, self.lanes.decay))
        # A pack without a pulled lane has 0 columns of these.
        self.centre, self.stretch = map(self.column, (self.lanes.centre, self.lanes.stretch))

    def begin(self, first: int, steps: int) -> None:
        """Take over the rates of another block, no longer than the first, where those were."""
        rates = learning_rates(self.trains, first, steps)
        self.plain_rates = rates.T.tolist() if self.state.optimizers else []
        kind = self.state.pack.dtype
        self.rates[:, :steps].copy_(send(rates.astype(kind), self.state.device))

    def column(self, values: NDArray[np.floating]) -> Tensor:
        """Return numbers of the lanes on the device, a row a lane."""
        rows = values if values.ndim > 1 else values[:, None]
        return send(rows, self.state.device)

    def step(
        self,
        gradient: Float[Tensor, "runs parameters"],
        is_sound: Bool[Tensor, " runs"],
        at: Position,
    ) -> None:
        """Move the runs where `is_sound` by the step `at` of the block."""
        if self.by_kernels:
            chosen = np.flatnonzero(is_sound.numpy())
            rows_KP = gradient.contiguous().numpy()
            update_lanes(self.lanes, chosen, at.known, rows_KP, self.compiled_step)
        elif self.state.optimizers is not None:
            self.step_each(self.state.optimizers, gradient, is_sound, at.known)
        else:
            self.step_by_torch(gradient, is_sound, at)

    def step_each(
        self, optimizers: LaneOptimizers, gradient: Tensor, is_sound: Tensor, s: int
    ) -> None:
        """Let each run's own optimiser take the step, in place."""
        theta = self.state.theta
        if not optimizers.take_decay:
            gradient = gradient.addcmul(self.decay, self.pulled())
        moved = optimizers.step(theta, gradient, self.plain_rates[s])
        torch.where(is_sound[:, None], moved, theta, out=theta)

    def pulled(self) -> Tensor:
        """Return the gradient of the penalty over 2 gamma; the parameters where nothing pulls."""
        theta = self.state.theta
        # A pack without a pulled lane has no columns of these.
        return self.stretch * (theta - self.centre) if self.centre.shape[1] > 0 else theta

    def step_by_torch(self, gradient: Tensor, is_sound: Tensor, at: Position) -> None:
        """Take the step with torch operations, in place."""
        theta, pulled = self.state.theta, self.pulled()
        optimizer = type(self.optimizers[0])
        if not optimizer.is_decoupled:
            gradient = gradient.addcmul(self.decay, pulled)
        numbers = StepNumbers(
            rate_K1=at.of(self.rates),
            decay_K1=self.decay,
            time=at.step + 1,
            keys=self.keys,
            shared=self.optimizers[0],
            layout=self.state.pack.model.layout,
            factor_KP=self.factor,
        )
        moved = optimizer.step(theta, gradient, pulled, self.state.moments, numbers)
        torch.where(is_sound[:, None], moved, theta, out=theta)
