"""Steps of the torch engine: the data of a block on the device, the gradient, the optimiser.

Shapes: K runs, P parameters, B samples, I inputs, O outputs.
"""

from typing import NamedTuple, final

import numpy as np
import torch
from jaxtyping import Bool, Float
from numpy.typing import NDArray
from torch import Tensor

from symstudy.kernels.lanes import LOSS_LIMIT, Lanes, update_lanes
from symstudy.kernels.losses import ADDED, FLIPPED, NO_NOISE
from symstudy.models.base import Buffers, TrainingStep
from symstudy.optimizers import StepNumbers
from symstudy.training.data import StepBlock
from symstudy.training.engines.clipping import OwnClip, clip_to_norm
from symstudy.training.engines.entropic import entropic_terms
from symstudy.training.engines.evaluators import TorchEvaluator
from symstudy.training.engines.lane_optimizers import LaneOptimizers
from symstudy.training.engines.lanes import compiled_step, lane_keys, stepped
from symstudy.training.engines.rate_factors import RateFactors
from symstudy.training.engines.torch_lanes import TorchLanes
from symstudy.training.losses import data_loss
from symstudy.training.schedule import learning_rates

__all__ = ["Stepper", "train_lanes"]


class Batch(NamedTuple):
    """Inputs and targets of one step.

    Attributes:
        x_KBI: Inputs.
        y_KBO: Targets, with the label noise of the step.
    """

    x_KBI: Float[Tensor, "runs batch ..."]
    y_KBO: Float[Tensor, "runs batch outputs"]


class StepPass(NamedTuple):
    """Forward and backward pass of one step.

    Attributes:
        loss_K: Data loss of each run.
        gradient_KP: Its gradient.
        buffers: The runs' buffers afterwards.
    """

    loss_K: Float[Tensor, " runs"]
    gradient_KP: Float[Tensor, "runs parameters"]
    buffers: Buffers


def train_lanes(lanes: TorchLanes, first: int, steps: int, entropic_chunk: int) -> None:
    """Train all runs of `lanes` that are alive, in place, in one batch.

    Args:
        lanes: Parameters, moments and status of the runs.
        first: First step.
        steps: Number of steps.
        entropic_chunk: Samples whose gradients are held at a time for the entropic term.
    """
    data = lanes.pack.data
    done = 0
    while done < steps and bool(((lanes.diverged < 0) & ~lanes.is_frozen).any()):
        count = data.block_steps(steps - done)
        block = data.block(first + done, count)
        train_block(lanes, block, first + done, count, entropic_chunk)
        done += count


def train_block(
    lanes: TorchLanes, block: StepBlock, first: int, steps: int, entropic_chunk: int
) -> None:
    """Take the `steps` steps of `block`, those of the runs that are still alive."""
    pack, device = lanes.pack, lanes.device
    evaluator = TorchEvaluator(pack, device)
    on_device = BlockOnDevice(block, pack.data.sigma.astype(pack.dtype), device)
    stepper = Stepper(lanes, first, steps, by_kernels=lanes.by_kernels)
    seeds = tuple(run.seed for run in pack.runs)
    # Sent once a block: a copy a step would have the host wait for the device in each.
    strength_K1, clip_K1 = (
        stepper.column(pack.lane_values(key).astype(pack.dtype))
        for key in ("entropic", "clip_norm")
    )
    own_clip = OwnClip(pack.train.clip, pack.model.layout) if pack.train.clip else None
    for s in range(steps):
        batch = on_device.batch(s)
        passed = pass_of(lanes, evaluator, batch, TrainingStep(seeds, first + s))
        gradient = passed.gradient_KP
        if pack.train.entropic > 0:
            terms_KP = entropic_gradient(lanes, batch, entropic_chunk)
            gradient = gradient + strength_K1 * terms_KP
        if pack.train.clip_norm > 0:
            gradient = clip_to_norm(gradient, clip_K1)
        if own_clip is not None:
            gradient = own_clip(gradient, lanes.theta)
        is_alive = (lanes.diverged < 0) & ~lanes.is_frozen
        is_sound = (passed.loss_K < LOSS_LIMIT) & is_alive
        # In place: on the CPU this is the lanes' own memory.
        lanes.diverged.masked_fill_(~is_sound & is_alive, first + s)
        stepper.step(gradient, is_sound, s)
        keep_buffers(lanes, passed.buffers, is_sound)


def pass_of(
    lanes: TorchLanes, evaluator: TorchEvaluator, batch: Batch, step: TrainingStep
) -> StepPass:
    """Return losses and gradients of all runs, in one call or one run after another.

    One after another, the activations of one run are freed before the next begins.
    """
    count = len(step.seeds)
    is_batched = lanes.pack.model.is_batched(training=True)
    parts = [slice(0, count)] if is_batched else [slice(k, k + 1) for k in range(count)]
    found = [pass_of_part(lanes, evaluator, batch, step, part) for part in parts]
    if len(found) == 1:
        return found[0]
    return StepPass(
        torch.cat([each.loss_K for each in found]),
        torch.cat([each.gradient_KP for each in found]),
        {name: torch.cat([each.buffers[name] for each in found]) for name in found[0].buffers},
    )


def pass_of_part(
    lanes: TorchLanes, evaluator: TorchEvaluator, batch: Batch, step: TrainingStep, part: slice
) -> StepPass:
    """Return losses and gradients of the runs in `part`."""
    theta = lanes.theta[part].detach().requires_grad_(True)
    buffers = {name: each[part] for name, each in lanes.buffers.items()}
    own = step._replace(seeds=step.seeds[part])
    forward = evaluator.outputs(theta, batch.x_KBI[part], buffers, own)
    loss_K = data_loss(lanes.pack.train.loss, forward.for_loss, batch.y_KBO[part])
    (gradient,) = torch.autograd.grad(loss_K.sum(), theta)
    return StepPass(loss_K.detach(), gradient, forward.buffers)


def keep_buffers(lanes: TorchLanes, buffers: Buffers, is_sound: Bool[Tensor, " runs"]) -> None:
    """Take over the buffers of a step, in place, for the runs where `is_sound`."""
    for name, after in buffers.items():
        before = lanes.buffers[name]
        chosen = is_sound.view(-1, *[1] * (before.ndim - 1))
        torch.where(chosen, after, before, out=before)


def entropic_gradient(
    lanes: TorchLanes, batch: Batch, chunk: int
) -> Float[Tensor, "runs parameters"]:
    """Return the gradient of each run's entropic term of strength 1, estimated on a batch."""
    pack = lanes.pack
    terms = entropic_terms(
        pack,
        lanes.theta,
        batch.x_KBI,
        batch.y_KBO,
        is_batch=not pack.train.full_batch,
        chunk=chunk,
    )
    return terms.gradient_KP


@final
class BlockOnDevice:
    """The data of a block of steps, on the device that trains."""

    def __init__(self, block: StepBlock, sigma: NDArray[np.floating], device: torch.device) -> None:
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

    def batch(self, s: int) -> Batch:
        """Return inputs `[runs, batch, ...]` and targets of step `s` of the block."""
        rows_KB = self.rows[self.lane_rows, min(s, self.rows.shape[1] - 1)]
        inputs = self.x[self.lane_x[:, None], rows_KB]
        targets = self.y[self.lane_y[:, None], rows_KB]
        if self.kind == NO_NOISE:
            return Batch(inputs, targets)
        draws_KBC = self.noise[self.lane_noise, min(s, self.noise.shape[1] - 1)]
        return Batch(inputs, noisy(targets, self.kind, self.sigma_K11, draws_KBC))


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
        trains = [run.cell.train for run in pack.runs]
        rates = learning_rates(trains, first, steps).astype(pack.dtype)
        self.lanes: Lanes = state.lanes._replace(rate=rates, step=first)
        if by_kernels:
            self.compiled_step = compiled_step(pack)
            return
        self.plain_rates: list[list[float]] = []
        if state.optimizers is not None:
            self.plain_rates = learning_rates(trains, first, steps).T.tolist()
        self.optimizers = stepped(pack)
        self.keys = {
            name: self.column(values.astype(pack.dtype))
            for name, values in lane_keys(self.optimizers).items()
        }
        factors = RateFactors(self.lanes.stop, self.lanes.factor)
        self.factor = None if factors.are_one else self.column(factors.by_parameter())
        self.rates, self.decay = map(self.column, (rates, self.lanes.decay))
        # A pack without a pulled lane has 0 columns of these.
        self.centre, self.stretch = map(self.column, (self.lanes.centre, self.lanes.stretch))

    def column(self, values: NDArray[np.floating]) -> Tensor:
        """Return numbers of the lanes on the device, a row a lane."""
        rows = values if values.ndim > 1 else values[:, None]
        return torch.from_numpy(rows).to(self.state.device)

    def step(
        self,
        gradient: Float[Tensor, "runs parameters"],
        is_sound: Bool[Tensor, " runs"],
        s: int,
    ) -> None:
        """Move the runs where `is_sound` by step `s` of the block."""
        if self.by_kernels:
            chosen = np.flatnonzero(is_sound.numpy())
            rows_KP = gradient.contiguous().numpy()
            update_lanes(self.lanes, chosen, s, rows_KP, self.compiled_step)
        elif self.state.optimizers is not None:
            self.step_each(self.state.optimizers, gradient, is_sound, s)
        else:
            self.step_by_torch(gradient, is_sound, s)

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

    def step_by_torch(self, gradient: Tensor, is_sound: Tensor, s: int) -> None:
        """Take the step with torch operations, in place."""
        theta, pulled = self.state.theta, self.pulled()
        optimizer = type(self.optimizers[0])
        if not optimizer.is_decoupled:
            gradient = gradient.addcmul(self.decay, pulled)
        numbers = StepNumbers(
            rate_K1=self.rates[:, s : s + 1],
            decay_K1=self.decay,
            time=self.lanes.step + s + 1,
            keys=self.keys,
            shared=self.optimizers[0],
            layout=self.state.pack.model.layout,
            factor_KP=self.factor,
        )
        moved = optimizer.step(theta, gradient, pulled, self.state.moments, numbers)
        torch.where(is_sound[:, None], moved, theta, out=theta)


def noisy(
    y_KBO: Float[Tensor, "runs batch outputs"],
    kind: int,
    sigma_K11: Float[Tensor, "runs 1 1"],
    draws_KBC: Float[Tensor, "runs batch columns"],
) -> Float[Tensor, "runs batch outputs"]:
    """Return targets with the label noise of a step, as `symstudy.kernels.losses.load_targets`."""
    if kind == ADDED:
        return y_KBO + sigma_K11 * draws_KBC
    if kind != FLIPPED:
        raise ValueError(
            f"the code of the label noise must be {ADDED} or {FLIPPED}, but got {kind}"
        )
    outputs = y_KBO.shape[2]
    shift_KB = torch.where(draws_KBC[:, :, 0] < sigma_K11[:, :, 0], draws_KBC[:, :, 1], 0.0).long()
    label_KB = (y_KBO.argmax(dim=2) + shift_KB) % outputs
    return torch.nn.functional.one_hot(label_KB, outputs).to(y_KBO.dtype)
