"""The engine of dense networks and transformers on the CPU: compiled, lane after lane."""

from typing import final

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from numpy.typing import NDArray
from torch import Tensor

from symstudy.kernels.lanes import Batches, train_lanes
from symstudy.kernels.passes import AnyNetwork, AnyScratch
from symstudy.training.checkpoints import State, restore_array
from symstudy.training.data import Split, StepBlock
from symstudy.training.engines.base import AbstractEngine, LoadedPack, Losses
from symstudy.training.engines.evaluators import CompiledEvaluator
from symstudy.training.engines.lane_threads import LaneThreads
from symstudy.training.engines.lanes import compiled_step, initial_parameters, make_lanes, stepped
from symstudy.training.schedule import learning_rates

__all__ = ["CompiledEngine"]


@final
class CompiledEngine(AbstractEngine):
    """Trains a pack of networks by `symstudy.kernels.lanes`, spread over `pack.cpus`."""

    def __init__(self, pack: LoadedPack, network: AnyNetwork) -> None:
        """Initialise the runs of `pack`, whose layers and loss the kernels know as `network`."""
        self.pack = pack
        self.data = pack.data
        self.network = network
        # Measures are torch's, of matrices too small for its threads: they would only wait.
        torch.set_num_threads(pack.config.cpus)
        # Contiguous and ours: the kernels write to it.
        self.theta = np.ascontiguousarray(initial_parameters(pack).numpy())
        self.lanes = make_lanes(pack, self.theta)
        self.step = compiled_step(pack) if stepped(pack) else None
        self.is_frozen = np.zeros(len(pack.runs), np.bool_)
        self.threads = LaneThreads(network, pack.dtype, pack.config.cpus)
        self.evaluator = CompiledEvaluator(pack, network, self.threads)

    @property
    def theta_KP(self) -> Float[Tensor, "runs parameters"]:
        """Parameters as they are now."""
        return torch.from_numpy(self.theta)

    @property
    def diverged_K(self) -> Int64[np.ndarray, " runs"]:
        """Step at which each run diverged, or -1."""
        return self.lanes.diverged

    @property
    def is_frozen_K(self) -> Bool[np.ndarray, " runs"]:
        """Whether each run was frozen."""
        return self.is_frozen

    @property
    def name(self) -> str:
        """Compiled kernels on the CPU."""
        return self.evaluator.name

    def advance(self, first: int, steps: int) -> None:
        """Train every run that is alive through `steps` steps from step `first` on."""
        done = 0
        while done < steps and self.is_alive_K.any():
            count = self.data.block_steps(steps - done)
            self.train_block(self.data.block(first + done, count), first + done, count)
            done += count

    def freeze(self, lanes: Int64[np.ndarray, " chosen"]) -> None:
        """Train the runs `lanes` no more; they keep their parameters."""
        self.is_frozen[lanes] = True

    def drop_dead(self) -> None:
        """Draw no more data for runs that are not alive; the kernels pass them over anyway."""
        self.data = self.pack.data.without(~self.is_alive_K)

    def state(self) -> State:
        """Return parameters, moments, and how each run stands."""
        return {
            "theta": self.theta,
            "first": self.lanes.first,
            "second": self.lanes.second,
            "diverged": self.lanes.diverged,
            "is_frozen": self.is_frozen,
        }

    def restore(self, state: State) -> None:
        """Take over a `state`."""
        for name, array in self.state().items():
            restore_array(state, name, array)
        self.drop_dead()

    def train_block(self, block: StepBlock, first: int, steps: int) -> None:
        """Take the `steps` steps of `block`."""
        trains = [run.cell.train for run in self.pack.runs]
        rates = learning_rates(trains, first, steps).astype(self.pack.dtype)
        lanes = self.lanes._replace(rate=rates, step=first)
        batches = Batches(
            x=block.split.x,
            y=block.split.y,
            rows=block.rows,
            noise=block.noise,
            noise_kind=block.noise_kind,
            lane_x=block.split.lane_x,
            lane_y=block.split.lane_y,
            lane_rows=block.lane_rows,
            lane_noise=block.lane_noise,
        )

        def work(chosen: NDArray[np.int64], scratch: AnyScratch) -> None:
            gradient = np.empty_like(self.theta[0])
            train_lanes(self.network, lanes, batches, chosen, scratch, gradient, self.step)

        self.threads.run(np.flatnonzero(self.is_alive_K), work)

    def evaluate(self, split: Split) -> Losses:
        """Return the data loss on `split`; NaN for a run that is not alive."""
        return self.evaluator.evaluate(self.theta_KP, split, np.flatnonzero(self.is_alive_K))

    def gradient(self, split: Split) -> Float[Tensor, "runs parameters"]:
        """Return the gradient of the data loss on `split`, without the penalty."""
        return self.evaluator.gradient(self.theta_KP, split, np.flatnonzero(self.is_alive_K))
