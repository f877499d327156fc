"""The engine of any model on any device: torch operations with a leading run axis.

Shapes: K runs, P parameters.
"""

from collections.abc import Sequence
from typing import final

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from numpy.typing import NDArray
from torch import Tensor

from symstudy.models.base import Buffers
from symstudy.theory.noise import CHUNK_NUMBERS
from symstudy.training.checkpoints import State, read_array
from symstudy.training.data import Split
from symstudy.training.engines.base import AbstractEngine, LoadedPack, Losses, pick_device
from symstudy.training.engines.device_steps import DeviceSteps
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
    step is the compiled kernels', one pass over memory; on a GPU it is a handful of operations, a
    step is a CUDA graph where that can be, and the host waits for the device at probes alone.

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
        self.batch = self.lanes
        self.steps: DeviceSteps | None = None
        self.known_status: NDArray[np.int64] | None = None

    @property
    def theta_KP(self) -> Float[Tensor, "runs parameters"]:
        """Parameters as they are now."""
        return self.lanes.theta.detach()

    @property
    def buffers(self) -> Buffers:
        """What the runs hold beside their parameters."""
        return self.lanes.buffers

    @property
    def status(self) -> Int64[np.ndarray, "2 runs"]:
        """Where each run diverged and whether it was frozen, copied from the device once."""
        if self.known_status is None:
            self.known_status = self.lanes.status()
        return self.known_status

    @property
    def diverged_K(self) -> Int64[np.ndarray, " runs"]:
        """Step at which each run diverged, or -1."""
        diverged_K: NDArray[np.int64] = self.status[0]
        return diverged_K

    @property
    def is_frozen_K(self) -> Bool[np.ndarray, " runs"]:
        """Whether each run was frozen."""
        is_frozen_K: NDArray[np.bool_] = self.status[1] != 0
        return is_frozen_K

    @property
    def name(self) -> str:
        """Torch, the device, and whether runs go one by one."""
        return self.evaluator.name

    def advance(self, first: int, steps: int) -> None:
        """Train every run that is alive through `steps` steps from step `first` on."""
        if not self.is_alive_K.any():
            return
        self.known_status = None
        if self.batch is self.lanes and len(self.active) < len(self.pack.runs):
            self.batch, self.steps = self.lanes.copy_of(self.active), None
        if self.device.type == "cpu":
            train_lanes(self.batch, first, steps, self.entropic_chunk)
        else:
            self.steps = self.steps or DeviceSteps(self.batch, self.entropic_chunk)
            self.steps.advance(first, steps)
        if self.batch is not self.lanes:
            self.lanes.put(self.active, self.batch)

    def freeze(self, lanes: Int64[np.ndarray, " chosen"]) -> None:
        """Train the runs `lanes` no more; they keep their parameters."""
        self.known_status = None
        self.lanes.freeze(lanes)
        if self.batch is not self.lanes:
            self.batch.freeze(np.flatnonzero(np.isin(self.active, lanes)))

    def drop_dead(self) -> None:
        """Leave runs that are not alive out of the batch, if they are half of it or more."""
        alive = self.active[self.is_alive_K[self.active]]
        if 2 * len(alive) <= len(self.active) and len(alive) < len(self.active):
            self.active = alive
            # Of other runs, at other addresses: their step is recorded anew.
            self.batch, self.steps = self.lanes, None

    def state(self) -> State:
        """Return parameters, moments, and how each run stands."""
        return {**self.lanes.state(), "active": self.active}

    def restore(self, state: State) -> None:
        """Take over a `state`."""
        self.lanes.restore(state)
        self.active = read_array(state, "active").copy()
        self.batch, self.steps, self.known_status = self.lanes, None, None

    def evaluate(self, split: Split) -> Losses:
        """Return the data loss on `split`; NaN for a run that is not alive."""
        return self.evaluate_all([split])[0]

    def evaluate_all(self, splits: Sequence[Split]) -> list[Losses]:
        """Return the data loss on each of `splits`, in one copy from the device."""
        found = self.evaluator.evaluate_all(self.theta_KP, splits, self.active, self.buffers)
        return [losses.without(~self.is_alive_K) for losses in found]

    def gradient(self, split: Split) -> Float[Tensor, "runs parameters"]:
        """Return the gradient of the data loss on `split`, without the penalty."""
        return self.evaluator.gradient(self.theta_KP, split, self.active, self.buffers)
