"""The engine of dense networks on a GPU: all steps of a block in one launch of the fused kernel.

Shapes: K runs, P parameters, S steps of a block.
"""

from collections.abc import Sequence
from typing import final

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from numpy.typing import NDArray
from torch import Tensor

from symstudy.kernels.network import Network
from symstudy.study.constants import FUSED_OPTIMIZERS, FUSED_WIDEST
from symstudy.training.checkpoints import State
from symstudy.training.data import Split, group
from symstudy.training.device_draws import DeviceDraws
from symstudy.training.engines.base import AbstractEngine, LoadedPack, Losses
from symstudy.training.engines.evaluators import TorchEvaluator
from symstudy.training.engines.fused_program import (
    AbstractProgram,
    PackArguments,
    Settings,
    make_program,
    make_settings,
)
from symstudy.training.engines.lanes import (
    initial_parameters,
    kernel_step,
    make_lanes,
    num_moments,
)
from symstudy.training.engines.rate_factors import make_rate_factors
from symstudy.training.engines.torch_lanes import TorchLanes
from symstudy.training.gpu import pin_precision
from symstudy.training.gpu_report import has_kernel_compiler
from symstudy.training.philox import stream_keys
from symstudy.training.resident import send
from symstudy.training.schedule import learning_rates

__all__ = ["FusedEngine", "find_program", "why_not_fused"]

MOST_STEPS = 1024
"""Steps of one launch: a launch that is too long would keep stops and checkpoints waiting."""


def why_not_fused(pack: LoadedPack, network: Network | None) -> str:
    """Return what the fused kernel must have that `pack` has not; empty if it can train it."""
    train = pack.train
    if network is None:
        return "must have dense layers and a loss that the kernels know"
    found = {
        # No GPU has been there to try them on.
        "must have a built-in model": pack.runs[0].cell.model.is_own_code,
        f"must have layers of at most {FUSED_WIDEST} neurons": (
            int(network.sizes[1:].max()) > FUSED_WIDEST
        ),
        "must have linear outputs": int(network.codes[-1]) != 0,
        "must have one of the optimisers sgd, adam and adamw": (
            train.optimizer.kind not in FUSED_OPTIMIZERS or kernel_step(pack) is None
        ),
        "must have no entropic term": train.entropic > 0,
        "must not clip gradients": bool(train.clip) or bool(pack.lane_values("clip_norm").any()),
        "must have penalties around 0": any(
            bool(pack.lane_values(key).any()) for key in ("syre", "syre_anisotropy")
        ),
        "must have one learning rate for all weights": not make_rate_factors(pack).are_one,
    }
    return next((text for text, is_missing in found.items() if is_missing), "")


def find_program(
    pack: LoadedPack, network: Network | None, device: torch.device
) -> AbstractProgram | None:
    """Return the fused kernel for `pack` on `device`; None where torch has to train it."""
    if device.type != "cuda" or not has_kernel_compiler() or why_not_fused(pack, network):
        return None
    assert network is not None, "what has no network is refused"
    return make_program(make_settings(pack, network), device)


@final
class FusedEngine(AbstractEngine):
    """Trains a pack of dense networks by `symstudy/kernels/fused.cu`: a thread block is a lane.

    Weights and activations stay in a block's shared memory from the first step of a launch to the
    last, and no sum is taken across lanes or threads. So the bits of a run depend on the GPU's kind
    and on the samples that are worked on at a time, which `name` says, and neither on its mates nor
    on where training is cut.
    """

    def __init__(self, pack: LoadedPack, program: AbstractProgram, device: torch.device) -> None:
        """Initialise the runs of `pack`, which `program` was compiled for, on `device`."""
        self.pack = pack
        self.device = device
        self.program = program
        pin_precision()
        theta = np.ascontiguousarray(initial_parameters(pack).numpy())
        hyper = make_lanes(pack, theta)
        self.lanes = TorchLanes(pack, hyper, device, num_moments(pack))
        self.evaluator = TorchEvaluator(pack, device)
        self.draws = DeviceDraws(pack.data, device)
        self.known_status: NDArray[np.int64] | None = None
        pairs = list(zip(hyper.beta1.tolist(), hyper.beta2.tolist(), strict=True))
        self.betas, lane_beta = group(pairs)
        self.numbers = {
            name: send(np.ascontiguousarray(array), device)
            for name, array in {
                "sigma": hyper.sigma,
                "coefficient": hyper.coefficient,
                "decay": hyper.decay,
                "beta1": hyper.beta1,
                "beta2": hyper.beta2,
                "epsilon": hyper.epsilon,
                "lane_beta": lane_beta,
                **lane_keys_of(pack),
            }.items()
        }
        self.scratch = make_scratch(program.settings, len(pack.runs), self.lanes.theta)

    @property
    def theta_KP(self) -> Float[Tensor, "runs parameters"]:
        """Parameters as they are now."""
        return self.lanes.theta

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
        """The kernel, the device, and the samples worked on at a time."""
        return f"fused-{self.program.settings.chunk}-{self.device.type}"

    def advance(self, first: int, steps: int) -> None:
        """Train every run that is alive through `steps` steps from step `first` on."""
        if not self.is_alive_K.any():
            return
        self.known_status = None
        done = 0
        while done < steps:
            count = self.launch_steps(steps - done)
            self.train_block(first + done, count)
            done += count

    def launch_steps(self, steps: int) -> int:
        """Return how many of the next `steps` steps fit one launch and its tables."""
        data = self.pack.data
        if data.is_made or not self.program.settings.by_philox:
            return min(MOST_STEPS, data.block_steps(steps))
        return min(MOST_STEPS, steps)

    def train_block(self, first: int, steps: int) -> None:
        """Take `steps` steps of all runs in one launch."""
        lanes = self.lanes
        rates = learning_rates([run.cell.train for run in self.pack.runs], first, steps)
        held = {
            **self.numbers,
            **self.samples_of(first, steps),
            **self.scratch,
            **self.tables(first, steps),
            "rate": send(rates.astype(self.pack.dtype), self.device),
            "theta": lanes.theta,
            "diverged": lanes.diverged,
            "is_frozen": lanes.is_frozen,
            **dict(zip(("first", "second"), lanes.moments, strict=False)),
        }
        table = held["table"]
        arguments = PackArguments(
            **{name: tensor.data_ptr() for name, tensor in held.items()},
            step=first,
            samples=held["x"].shape[1],
            table_steps=table.shape[1],
            steps=steps,
            stride_s=steps,
        )
        self.program.launch(len(self.pack.runs), arguments)

    def samples_of(self, first: int, steps: int) -> dict[str, Tensor]:
        """Return the samples of a block and the rows of each step, where they are not drawn."""
        data, kept, device = self.pack.data, self.pack.data.resident, self.device
        zeros = np.zeros(len(self.pack.runs), np.int64)
        if data.is_made:
            split = data.block_split(first, steps)
            x, y = send(split.x, device), send(split.y, device)
            groups = [send(lane, device) for lane in (split.lane_x, split.lane_y)]
        else:
            split = data.train
            x, y = kept.tensor(split.x, device), kept.tensor(split.y, device)
            groups = [kept.index(lane, device) for lane in (split.lane_x, split.lane_y)]
        if self.program.settings.by_philox:
            table = torch.zeros(1, 1, 1, dtype=torch.int32, device=device)
            lane_rows = zeros
        elif data.is_drawn:
            table = self.draws.rows(first, steps).int().contiguous()
            lane_rows = data.lane_seed
        else:
            table = send(data.rows_in_order(data.ordered_steps(steps)), device)
            lane_rows = zeros
        return {
            "x": x,
            "y": y,
            "lane_x": groups[0],
            "lane_y": groups[1],
            "table": table,
            "lane_rows": kept.index(lane_rows, device),
        }

    def tables(self, first: int, steps: int) -> dict[str, Tensor]:
        """Return the corrections of the moments of each pair of betas, in float64."""
        time = np.arange(first + 1, first + steps + 1, dtype=np.float64)
        beta1, beta2 = (np.array(column)[:, None] for column in zip(*self.betas, strict=True))
        power, root = 1.0 - beta1**time, 1.0 / np.sqrt(1.0 - beta2**time)
        return {"power": send(power, self.device), "root": send(root, self.device)}

    def freeze(self, lanes: Int64[np.ndarray, " chosen"]) -> None:
        """Train the runs `lanes` no more; they keep their parameters."""
        self.known_status = None
        self.lanes.freeze(lanes)

    def state(self) -> State:
        """Return parameters, moments, and how each run stands."""
        return self.lanes.state()

    def restore(self, state: State) -> None:
        """Take over a `state`."""
        self.lanes.restore(state)
        self.known_status = None

    def evaluate(self, split: Split) -> Losses:
        """Return the data loss on `split`; NaN for a run that is not alive."""
        return self.evaluate_all([split])[0]

    def evaluate_all(self, splits: Sequence[Split]) -> list[Losses]:
        """Return the data loss on each of `splits`, in one copy from the device."""
        alive = np.flatnonzero(self.is_alive_K)
        return self.evaluator.evaluate_all(self.theta_KP, splits, alive)

    def gradient(self, split: Split) -> Float[Tensor, "runs parameters"]:
        """Return the gradient of the data loss on `split`, without the penalty."""
        return self.evaluator.gradient(self.theta_KP, split, np.flatnonzero(self.is_alive_K))


def lane_keys_of(pack: LoadedPack) -> dict[str, NDArray[np.int64]]:
    """Return the keys of the streams that the kernel draws of, a number a run."""
    seeds = [run.seed for run in pack.runs]
    streams = {
        "batch_keys": "batches",
        "noise_keys": "online_noise",
        "label_keys": "online_labels",
    }
    return {name: stream_keys(seeds, stream) for name, stream in streams.items()}


def make_scratch(settings: Settings, runs: int, like: Tensor) -> dict[str, Tensor]:
    """Return what a launch needs beside: sums of gradients, and weights that are not shared."""
    sizes = {
        "gradient": settings.parameters if settings.batch > settings.chunk else 0,
        "padded": 0 if settings.shares_weights else settings.weight_numbers,
    }
    return {name: like.new_zeros(runs, size) for name, size in sizes.items() if size}
