"""The engine of any model on any device: torch operations with a leading run axis.

Shapes: K runs, P parameters.
"""

from typing import final

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from symstudy.models.base import Buffers
from symstudy.theory.noise import CHUNK_NUMBERS
from symstudy.training.checkpoints import State, read_array
from symstudy.training.data import Split
from symstudy.training.engines.base import AbstractEngine, LoadedPack, Losses, pick_device
from symstudy.training.engines.evaluators import TorchEvaluator
from symstudy.training.engines.lanes import initial_parameters, make_lanes, num_moments
from symstudy.training.engines.torch_lanes import TorchLanes
from symstudy.training.engines.torch_steps import train_lanes
from symstudy.training.gpu import pin_precision

__all__ = ["TorchEngine"]


@final
class TorchEngine(AbstractEngine):
    """Trains a pack by automatic differentiation of the summed loss: runs do not mix in it.

    Parameters, moments and gradient are matrices with a flat row a run. On the CPU the optimiser's
    step is the compiled kernels', one pass over memory; on a GPU it is a handful of operations.

    Runs that are not alive are first masked, and left out of the batch at the next probe where they
    are half of it or more. On the CPU that has left the bits of their mates in every network that
    we have tried; a library's product of many matrices promises no such thing, least on a GPU, so
    the mates are equal to rounding, as runs of this engine are to the run alone.

    Attributes:
        lanes: Parameters, moments and status of the runs.
        active: The runs in the batch, in order.
    """

    def __init__(
        self, pack: LoadedPack, start: Float[Tensor, "runs parameters"] | None = None
    ) -> None:
        """Initialise the runs of `pack`.

        Args:
            pack: The runs.
            start: Their initial parameters; those of the model if None.
        """
        self.pack = pack
        self.device = pick_device(pack.config)
        if self.device.type == "cpu":
            torch.set_num_threads(pack.config.cpus)
        else:
            pin_precision()
        theta = initial_parameters(pack) if start is None else start
        lanes = make_lanes(pack, np.ascontiguousarray(theta.numpy()))
        self.lanes = TorchLanes(pack, lanes, self.device, num_moments(pack))
        self.active: Int64[np.ndarray, " active"] = np.arange(len(pack.runs))
        # Of the whole pack's size, so that sums over samples are cut alike with fewer runs.
        self.entropic_chunk = max(1, CHUNK_NUMBERS // self.lanes.theta.numel())
        self.evaluator = TorchEvaluator(pack, self.device)

    @property
    def theta_KP(self) -> Float[Tensor, "runs parameters"]:
        """Parameters as they are now."""
        return self.lanes.theta.detach()

    @property
    def buffers(self) -> Buffers:
        """What the runs hold beside their parameters."""
        return self.lanes.buffers

    @property
    def diverged_K(self) -> Int64[np.ndarray, " runs"]:
        """Step at which each run diverged, or -1."""
        return self.lanes.diverged.cpu().numpy()

    @property
    def is_frozen_K(self) -> Bool[np.ndarray, " runs"]:
        """Whether each run was frozen."""
        return self.lanes.is_frozen.cpu().numpy()

    @property
    def name(self) -> str:
        """Torch, the device, and whether runs go one by one."""
        return self.evaluator.name

    def advance(self, first: int, steps: int) -> None:
        """Train every run that is alive through `steps` steps from step `first` on."""
        if len(self.active) == len(self.pack.runs):
            train_lanes(self.lanes, first, steps, self.entropic_chunk)
            return
        batch = self.lanes.copy_of(self.active)
        train_lanes(batch, first, steps, self.entropic_chunk)
        self.lanes.put(self.active, batch)

    def freeze(self, lanes: Int64[np.ndarray, " chosen"]) -> None:
        """Train the runs `lanes` no more; they keep their parameters."""
        self.lanes.is_frozen[torch.from_numpy(lanes).to(self.device)] = True

    def drop_dead(self) -> None:
        """Leave runs that are not alive out of the batch, if they are half of it or more."""
        alive = self.active[self.is_alive_K[self.active]]
        if 2 * len(alive) <= len(self.active):
            self.active = alive

    def state(self) -> State:
        """Return parameters, moments, and how each run stands."""
        return {**self.lanes.state(), "active": self.active}

    def restore(self, state: State) -> None:
        """Take over a `state`."""
        self.lanes.restore(state)
        self.active = read_array(state, "active").copy()

    def evaluate(self, split: Split) -> Losses:
        """Return the data loss on `split`; NaN for a run that is not alive."""
        losses = self.evaluator.evaluate(self.theta_KP, split, self.active, self.buffers)
        return losses.without(~self.is_alive_K)

    def gradient(self, split: Split) -> Float[Tensor, "runs parameters"]:
        """Return the gradient of the data loss on `split`, without the penalty."""
        return self.evaluator.gradient(self.theta_KP, split, self.active, self.buffers)
