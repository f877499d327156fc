"""The engine of any model on any device: torch operations with a leading run axis.

Shapes: K runs, P parameters, B samples, I inputs, O outputs.
"""

import copy

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from numpy.typing import NDArray
from torch import Tensor

from symstudy.components import Role, fields_of
from symstudy.kernels.lanes import LOSS_LIMIT, Lanes, update_lanes
from symstudy.kernels.network import ADDED
from symstudy.optimizers import StepNumbers
from symstudy.theory.noise import CHUNK_NUMBERS
from symstudy.training.checkpoints import State, take
from symstudy.training.data import Block, Split
from symstudy.training.engines.base import AbstractEngine, LoadedPack, Losses, pick_device
from symstudy.training.engines.entropic import entropic_terms
from symstudy.training.engines.lanes import (
    init_scales,
    kernel_code,
    make_lanes,
    num_moments,
    stepped,
)
from symstudy.training.losses import accuracy, data_loss
from symstudy.training.schedule import learning_rates

__all__ = ["EagerEngine"]

EVALUATED = 1 << 22
"""Numbers of input that are sent through a pack at a time when a split is evaluated."""
TWICE_PARAMETERS = 200_000
"""Above this a run alone is not sent through twice: there are few runs in such a pack anyway, and
alone it would take twice the time."""


class EagerEngine(AbstractEngine):
    """Trains a pack by automatic differentiation of the summed loss: runs do not mix in it.

    Parameters, moments and gradient are matrices with a flat row a run. On the CPU the optimiser's
    step is the compiled kernels', one pass over memory; on a GPU it is a handful of operations.

    Runs that are not alive are first masked, and left out of the batch at the next probe where they
    are half of it or more. On the CPU that has left the bits of their mates in every network that
    we have tried; a library's product of many matrices promises no such thing, least on a GPU, so
    the mates are equal to rounding, as runs of this engine are to the run alone.

    Attributes:
        active: The runs in the batch, in order.
    """

    def __init__(self, pack: LoadedPack) -> None:
        """Initialise the runs of `pack`."""
        self.pack = pack
        self.device = pick_device(pack.config)
        self.dtype = getattr(torch, pack.train.dtype)
        if self.device.type == "cpu":
            torch.set_num_threads(pack.config.cpus)
        scales = torch.from_numpy(init_scales(pack).astype(pack.dtype))
        theta = pack.model.initialise([run.seed for run in pack.runs], scales)
        # The tensors below are the lanes' own memory on the CPU, and copies of it elsewhere.
        self.lanes = make_lanes(pack, np.ascontiguousarray(theta.numpy()))
        self.theta = torch.from_numpy(self.lanes.theta).to(self.device)
        self.by_kernels = self.device.type == "cpu" and kernel_code(pack) is not None
        self.moments = [torch.zeros_like(self.theta) for _ in range(num_moments(pack))]
        if self.by_kernels:
            self.moments = kernel_moments(self.lanes)
        self.diverged = torch.from_numpy(self.lanes.diverged).to(self.device)
        self.is_frozen = torch.zeros_like(self.diverged, dtype=torch.bool)
        self.active: Int64[np.ndarray, " active"] = np.arange(len(pack.runs))
        # Of the whole pack's size, so that sums over samples are cut alike with fewer runs.
        self.entropic_chunk = max(1, CHUNK_NUMBERS // self.theta.numel())

    @property
    def theta_KP(self) -> Float[Tensor, "runs parameters"]:
        """Parameters as they are now."""
        return self.theta.detach()

    @property
    def diverged_K(self) -> Int64[np.ndarray, " runs"]:
        """Step at which each run diverged, or -1."""
        return self.diverged.cpu().numpy()

    @property
    def is_frozen_K(self) -> Bool[np.ndarray, " runs"]:
        """Whether each run was frozen."""
        return self.is_frozen.cpu().numpy()

    @property
    def name(self) -> str:
        """Torch, and the device."""
        return f"torch-{self.device.type}"

    def advance(self, first: int, steps: int) -> None:
        """Train every run that is alive through `steps` steps from step `first` on."""
        if len(self.active) == len(self.pack.runs):
            self.train(first, steps)
            return
        batch = self.selected(self.active)
        batch.train(first, steps)
        index = torch.from_numpy(self.active).to(self.device)
        self.theta[index] = batch.theta
        self.diverged[index] = batch.diverged
        for whole, part in zip(self.moments, batch.moments, strict=True):
            whole[index] = part

    def train(self, first: int, steps: int) -> None:
        """Train all runs, in one batch, as `advance` does."""
        done = 0
        while done < steps and self.is_alive_K.any():
            count = self.pack.data.block_steps(steps - done)
            self.train_block(self.pack.data.block(first + done, count), first + done, count)
            done += count

    def selected(self, lanes: Int64[np.ndarray, " chosen"]) -> "EagerEngine":
        """Return an engine of the runs `lanes` as they stand; what it trains is its own."""
        part = copy.copy(self)
        runs = [self.pack.runs[lane] for lane in lanes.tolist()]
        data = self.pack.data.without(~self.is_alive_K).part(lanes)
        part.pack = self.pack._replace(runs=runs, data=data)
        part.active = np.arange(len(lanes))
        index = torch.from_numpy(lanes).to(self.device)
        part.diverged, part.is_frozen = self.diverged[index], self.is_frozen[index]
        part.lanes = selected_lanes(self.lanes, lanes)
        if self.device.type == "cpu":
            # As in the constructor: the kernels write to what torch reads.
            part.theta, part.diverged = map(
                torch.from_numpy, (part.lanes.theta, part.lanes.diverged)
            )
        else:
            part.theta = self.theta[index]
        part.moments = [moment[index] for moment in self.moments]
        if self.by_kernels:
            part.moments = kernel_moments(part.lanes)
        return part

    def freeze(self, lanes: Int64[np.ndarray, " chosen"]) -> None:
        """Train the runs `lanes` no more; they keep their parameters."""
        self.is_frozen[torch.from_numpy(lanes).to(self.device)] = True

    def drop_dead(self) -> None:
        """Leave runs that are not alive out of the batch, if they are half of it or more."""
        alive = self.active[self.is_alive_K[self.active]]
        if 2 * len(alive) <= len(self.active):
            self.active = alive

    def state(self) -> State:
        """Return parameters, moments, and how each run stands."""
        tensors = {"theta": self.theta, "diverged": self.diverged, "is_frozen": self.is_frozen}
        tensors.update({f"moment{i}": moment for i, moment in enumerate(self.moments)})
        arrays = {name: tensor.detach().cpu().numpy() for name, tensor in tensors.items()}
        return {**arrays, "active": self.active}

    def restore(self, state: State) -> None:
        """Take over a `state`."""
        tensors = {"theta": self.theta, "diverged": self.diverged, "is_frozen": self.is_frozen}
        tensors.update({f"moment{i}": moment for i, moment in enumerate(self.moments)})
        for name, tensor in tensors.items():
            # In place: on the CPU this is the lanes' own memory.
            like = np.empty(tuple(tensor.shape), tensor.new_empty(0).cpu().numpy().dtype)
            tensor.copy_(torch.from_numpy(take(state, name, like).copy()))
        self.active = take(state, "active").copy()

    def train_block(self, block: Block, first: int, steps: int) -> None:
        """Take the `steps` steps of `block`, those of the runs that are still alive."""
        trains = [run.cell.train for run in self.pack.runs]
        rates = learning_rates(trains, first, steps).astype(self.pack.dtype)
        lanes = self.lanes._replace(rate=rates, step=first)
        on_device = BlockOnDevice(block, self.pack.data.sigma.astype(self.pack.dtype), self.device)
        stepper = Stepper(self, lanes, by_kernels=self.by_kernels)
        is_entropic = self.pack.train.entropic > 0
        for s in range(steps):
            inputs, targets = on_device.batch(s)
            theta = self.theta.requires_grad_(True)
            output = self.outputs(theta, inputs)
            loss_K = data_loss(self.pack.train.loss, output, targets)
            (gradient,) = torch.autograd.grad(loss_K.sum(), theta)
            self.theta = theta.detach()
            if is_entropic:
                gradient = gradient + self.entropic_gradient(inputs, targets)
            is_alive = (self.diverged < 0) & ~self.is_frozen
            is_sound = (loss_K.detach() < LOSS_LIMIT) & is_alive
            # In place: on the CPU this is the lanes' own memory.
            self.diverged.masked_fill_(~is_sound & is_alive, first + s)
            stepper.step(gradient, is_sound, s)

    def entropic_gradient(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """Return the gradient of each run's entropic term, estimated on a batch."""
        is_batch = not self.pack.train.full_batch
        terms = entropic_terms(
            self.pack, self.theta, inputs, targets, is_batch=is_batch, chunk=self.entropic_chunk
        )
        weights = torch.from_numpy(self.pack.lane_values("entropic").astype(self.pack.dtype))
        return weights.to(self.device)[:, None] * terms.gradient_KP

    def evaluate(self, split: Split) -> Losses:
        """Return the data loss on `split`; NaN for a run that is not alive."""
        loss = np.full(len(self.pack.runs), np.nan)
        hits = np.full(len(self.pack.runs), np.nan)
        with torch.no_grad():
            for lanes in self.shares(split):
                inputs, targets = self.gathered(split, lanes)
                output = self.outputs(self.theta[lanes], inputs)
                loss[lanes] = data_loss(self.pack.train.loss, output, targets).double().cpu()
                hits[lanes] = accuracy(output, targets).cpu()
        dead = ~self.is_alive_K
        loss[dead] = hits[dead] = np.nan
        return Losses(loss, hits)

    def gradient(self, split: Split) -> Float[Tensor, "runs parameters"]:
        """Return the gradient of the data loss on `split`, without the penalty."""
        result = torch.full_like(self.theta, torch.nan)
        for lanes in self.shares(split):
            theta = self.theta[lanes].requires_grad_(True)
            inputs, targets = self.gathered(split, lanes)
            output = self.outputs(theta, inputs)
            loss_K = data_loss(self.pack.train.loss, output, targets)
            (result[lanes],) = torch.autograd.grad(loss_K.sum(), theta)
        return result

    def outputs(
        self, theta_KP: Float[Tensor, "runs parameters"], inputs: Float[Tensor, "runs batch ..."]
    ) -> Float[Tensor, "runs batch outputs"]:
        """Return what the networks make of `inputs`; a small one alone goes through twice.

        On the CPU a library takes a batch of one matrix by another path than one of several, and
        these have all the same bits, in every network that we have tried. So a run alone has those
        of the run in a pack.
        """
        forward = self.pack.model.forward
        is_small = theta_KP.shape[1] <= TWICE_PARAMETERS
        if len(theta_KP) > 1 or not is_small or self.device.type != "cpu":
            return forward(theta_KP, inputs).output_KBO
        return forward(torch.cat([theta_KP] * 2), torch.cat([inputs] * 2)).output_KBO[:1]

    def shares(self, split: Split) -> list[NDArray[np.int64]]:
        """Return the runs of the batch in groups small enough to send a whole split through."""
        per_lane = max(1, split.x.shape[1] * max(split.x.shape[2], self.theta.shape[1] // 8))
        size = max(1, EVALUATED // per_lane)
        return [self.active[i : i + size] for i in range(0, len(self.active), size)]

    def gathered(self, split: Split, lanes: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        """Return the inputs and targets of the runs `lanes`."""
        x = torch.from_numpy(split.x[split.lane_x[lanes]]).to(self.device)
        y = torch.from_numpy(split.y[split.lane_y[lanes]]).to(self.device)
        return x, y


class BlockOnDevice:
    """The data of a block of steps, on the device that trains."""

    def __init__(self, block: Block, sigma: NDArray[np.floating], device: torch.device) -> None:
        """Send `block` and the runs' noise levels `sigma` to `device`."""
        self.kind = block.noise_kind
        self.x, self.y, self.rows, self.noise = (
            torch.from_numpy(array).to(device)
            for array in (block.split.x, block.split.y, block.rows.astype(np.int64), block.noise)
        )
        self.lane_x, self.lane_y, self.lane_rows, self.lane_noise = (
            torch.from_numpy(lanes).to(device)
            for lanes in (
                block.split.lane_x,
                block.split.lane_y,
                block.lane_rows,
                block.lane_noise,
            )
        )
        self.sigma_K11 = torch.from_numpy(sigma).to(device)[:, None, None]

    def batch(self, s: int) -> tuple[Tensor, Tensor]:
        """Return inputs `[runs, batch, ...]` and targets of step `s` of the block."""
        rows_KB = self.rows[self.lane_rows, min(s, self.rows.shape[1] - 1)]
        inputs = self.x[self.lane_x[:, None], rows_KB]
        targets = self.y[self.lane_y[:, None], rows_KB]
        if not self.kind:
            return inputs, targets
        draws_KBC = self.noise[self.lane_noise, min(s, self.noise.shape[1] - 1)]
        return inputs, noisy(targets, self.kind, self.sigma_K11, draws_KBC)


class Stepper:
    """The optimiser's steps of a block."""

    def __init__(self, engine: EagerEngine, lanes: Lanes, *, by_kernels: bool) -> None:
        """Prepare the steps of `lanes`, whose rates are those of the block.

        Args:
            engine: Whose parameters are moved.
            lanes: Their hyperparameters; on the CPU their state too.
            by_kernels: Whether the compiled kernels take the steps, or torch.
        """
        self.engine = engine
        self.lanes = lanes
        self.by_kernels = by_kernels
        if by_kernels:
            return
        self.optimizers = stepped(engine.pack)
        kind = engine.pack.dtype
        keys = {
            field.name: np.array([getattr(each, field.name) for each in self.optimizers], kind)
            for field in fields_of(type(self.optimizers[0]))
            if field.role is Role.LANE
        }
        self.keys = {name: self.column(values) for name, values in keys.items()}
        self.rates, self.decay = map(self.column, (lanes.rate, lanes.decay))
        # A pack without a pulled lane has 0 columns of these.
        self.centre, self.stretch = map(self.column, (lanes.centre, lanes.stretch))

    def column(self, values: NDArray[np.floating]) -> Tensor:
        """Return numbers of the lanes on the device, a row a lane."""
        rows = values if values.ndim > 1 else values[:, None]
        return torch.from_numpy(rows).to(self.engine.device)

    def step(
        self,
        gradient: Float[Tensor, "runs parameters"],
        is_sound: Bool[Tensor, " runs"],
        s: int,
    ) -> None:
        """Move the runs where `is_sound` by step `s` of the block."""
        if self.by_kernels:
            chosen = np.flatnonzero(is_sound.numpy())
            update_lanes(self.lanes, chosen, s, gradient.contiguous().numpy())
        else:
            self.step_by_torch(gradient, is_sound, s)

    def step_by_torch(self, gradient: Tensor, is_sound: Tensor, s: int) -> None:
        """Take the step with torch operations, in place."""
        theta = self.engine.theta
        is_pulled = self.centre.shape[1] > 0
        pulled = self.stretch * (theta - self.centre) if is_pulled else theta
        optimizer = type(self.optimizers[0])
        if not optimizer.is_decoupled:
            gradient = gradient.addcmul(self.decay, pulled)
        numbers = StepNumbers(
            rate_K1=self.rates[:, s : s + 1],
            decay_K1=self.decay,
            time=self.lanes.step + s + 1,
            keys=self.keys,
        )
        moved = optimizer.step(theta, gradient, pulled, self.engine.moments, numbers)
        torch.where(is_sound[:, None], moved, theta, out=theta)


def kernel_moments(lanes: Lanes) -> list[Tensor]:
    """Return the moments that the compiled kernels keep, as tensors on the same memory."""
    return [torch.from_numpy(each) for each in (lanes.first, lanes.second) if each.shape[1]]


def selected_lanes(lanes: Lanes, chosen: Int64[np.ndarray, " chosen"]) -> Lanes:
    """Return copies of the rows `chosen` of all arrays of `lanes`."""
    fields = lanes._asdict()
    rows = {name: field[chosen] for name, field in fields.items() if isinstance(field, np.ndarray)}
    return lanes._replace(**rows)


def noisy(
    y_KBO: Float[Tensor, "runs batch outputs"],
    kind: int,
    sigma_K11: Float[Tensor, "runs 1 1"],
    draws_KBC: Float[Tensor, "runs batch columns"],
) -> Float[Tensor, "runs batch outputs"]:
    """Return targets with the label noise of a step, as `symstudy.kernels.network.load_targets`."""
    if kind == ADDED:
        return y_KBO + sigma_K11 * draws_KBC
    outputs = y_KBO.shape[2]
    shift_KB = torch.where(draws_KBC[:, :, 0] < sigma_K11[:, :, 0], draws_KBC[:, :, 1], 0.0).long()
    label_KB = (y_KBO.argmax(dim=2) + shift_KB) % outputs
    return torch.nn.functional.one_hot(label_KB, outputs).to(y_KBO.dtype)
