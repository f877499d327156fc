"""The engine of dense networks on the CPU: the compiled kernels, lane after lane."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from numpy.typing import NDArray
from torch import Tensor

from symstudy.kernels.lanes import Batches, Samples, survey_lanes, train_lanes
from symstudy.kernels.network import CHUNK, Scratch, make_scratch
from symstudy.training.checkpoints import State, restore_array
from symstudy.training.data import Block, Split
from symstudy.training.engines.base import AbstractEngine, LoadedPack, Losses
from symstudy.training.engines.lanes import init_scales, make_lanes
from symstudy.training.engines.networks import kernel_network
from symstudy.training.schedule import learning_rates

__all__ = ["CompiledEngine"]

LaneWork = Callable[[NDArray[np.int64], Scratch], None]


class CompiledEngine(AbstractEngine):
    """Trains a pack of dense networks by `symstudy.kernels.lanes`, spread over `pack.cpus`."""

    def __init__(self, pack: LoadedPack) -> None:
        """Initialise the runs of `pack`, whose model is a stack of dense layers."""
        self.pack = pack
        self.data = pack.data
        # Measures are torch's, of matrices too small for its threads: they would only wait.
        torch.set_num_threads(pack.config.cpus)
        scales = torch.from_numpy(init_scales(pack).astype(pack.dtype))
        theta = pack.model.initialise([run.seed for run in pack.runs], scales)
        # Contiguous and ours: the kernels write to it.
        self.theta = np.ascontiguousarray(theta.numpy())
        self.lanes = make_lanes(pack, self.theta)
        self.is_frozen = np.zeros(len(pack.runs), np.bool_)
        network = kernel_network(pack)
        assert network is not None, "the compiled engine trains dense networks"
        self.network = network
        # Scratch is for one chunk of samples, whatever the batch or the split.
        self.scratch = [
            make_scratch(self.network, CHUNK, pack.dtype) for _ in range(pack.config.cpus)
        ]
        self.pool = ThreadPoolExecutor(pack.config.cpus)

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
        return "compiled"

    def alive(self) -> list[NDArray[np.int64]]:
        """Return the lanes that are alive, dealt to the threads."""
        lanes = np.flatnonzero(self.is_alive_K)
        count = len(self.scratch)
        return [np.ascontiguousarray(lanes[i::count]) for i in range(count)]

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

    def train_block(self, block: Block, first: int, steps: int) -> None:
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

        def train(chosen: NDArray[np.int64], scratch: Scratch) -> None:
            gradient = np.empty_like(self.theta[0])
            train_lanes(self.network, lanes, batches, chosen, scratch, gradient)

        self.spread(train)

    def evaluate(self, split: Split) -> Losses:
        """Return the data loss on `split`; NaN for a run that is not alive."""
        return self.survey(split, np.empty((len(self.theta), 0), self.theta.dtype))

    def gradient(self, split: Split) -> Float[Tensor, "runs parameters"]:
        """Return the gradient of the data loss on `split`, without the penalty."""
        gradient = np.full_like(self.theta, np.nan)
        self.survey(split, gradient)
        return torch.from_numpy(gradient)

    def survey(self, split: Split, gradient: NDArray[np.floating]) -> Losses:
        """Return losses and accuracies, or losses alone and fill `gradient` if it has columns."""
        losses = Losses(np.full(len(self.theta), np.nan), np.full(len(self.theta), np.nan))
        samples = Samples(
            x=split.x,
            y=split.y,
            lane_x=split.lane_x,
            lane_y=split.lane_y,
            rows=np.arange(split.x.shape[1], dtype=np.int32),
            noise=np.zeros((1, 1), split.x.dtype),
        )

        def survey(chosen: NDArray[np.int64], scratch: Scratch) -> None:
            survey_lanes(
                self.network,
                self.theta,
                self.lanes.coefficient,
                samples,
                chosen,
                scratch,
                losses.loss_K,
                losses.accuracy_K,
                gradient,
            )

        self.spread(survey)
        return losses

    def spread(self, work: LaneWork) -> None:
        """Call `work(lanes, scratch)` once a thread; the kernels release Python's lock."""
        shares = self.alive()
        if len(shares) == 1:
            work(shares[0], self.scratch[0])
            return
        for future in [
            self.pool.submit(work, chosen, scratch)
            for chosen, scratch in zip(shares, self.scratch, strict=True)
        ]:
            future.result()
