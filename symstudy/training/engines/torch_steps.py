"""Steps of the torch engine: a batch, its gradient, the optimiser's step.

Shapes: K runs, P parameters, B samples, I inputs, O outputs.
"""

from typing import NamedTuple, final

import numpy as np
import torch
from jaxtyping import Bool, Float
from numpy.typing import NDArray
from torch import Tensor

from symstudy.kernels.lanes import LOSS_LIMIT
from symstudy.kernels.losses import ADDED, FLIPPED, NO_NOISE
from symstudy.models.base import Buffers, TrainingStep
from symstudy.training.data import StepBlock
from symstudy.training.engines.clipping import OwnClip, clip_to_norm
from symstudy.training.engines.entropic import entropic_terms
from symstudy.training.engines.evaluators import TorchEvaluator
from symstudy.training.engines.stepper import Position, Stepper
from symstudy.training.engines.torch_lanes import TorchLanes
from symstudy.training.losses import data_loss

__all__ = ["Batch", "StepProgram", "noisy", "train_lanes"]


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
    """Train all runs of `lanes` that are alive, in place, in one batch, on the CPU.

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
        at = first + done
        block = HostBlock(data.block(at, count), data.sigma.astype(lanes.pack.dtype))
        stepper = Stepper(lanes, at, count, by_kernels=lanes.by_kernels)
        program = StepProgram(lanes, stepper, entropic_chunk)
        for s in range(count):
            program.take(block.batch(s), Position(s, at + s))
        done += count


@final
class StepProgram:
    """One step of all runs of a batch, in place: gradient, clipping, optimiser.

    On a device it makes the same calls in every step, and none for which the host has to wait.
    """

    def __init__(self, lanes: TorchLanes, stepper: Stepper, entropic_chunk: int) -> None:
        """Prepare steps of `lanes`.

        Args:
            lanes: Parameters, moments and status of the runs.
            stepper: Takes the optimiser's steps.
            entropic_chunk: Samples whose gradients are held at a time for the entropic term.
        """
        pack = lanes.pack
        self.lanes = lanes
        self.stepper = stepper
        self.entropic_chunk = entropic_chunk
        self.evaluator = TorchEvaluator(pack, lanes.device)
        self.seeds = tuple(run.training_seed for run in pack.runs)
        self.strength_K1, self.clip_K1 = (
            stepper.column(pack.lane_values(key).astype(pack.dtype))
            for key in ("entropic", "clip_norm")
        )
        self.own_clip = OwnClip(pack.train.clip, pack.model.layout) if pack.train.clip else None

    def take(self, batch: Batch, at: Position) -> None:
        """Move the runs that are alive by the gradient of their losses on `batch`."""
        lanes, train = self.lanes, self.lanes.pack.train
        # Only a model that draws reads the number of the step, and no graph is made of its steps.
        number = at.step if isinstance(at.step, int) else 0
        passed = pass_of(lanes, self.evaluator, batch, TrainingStep(self.seeds, number))
        gradient = passed.gradient_KP
        if train.entropic > 0:
            terms_KP = entropic_gradient(lanes, batch, self.entropic_chunk)
            gradient = gradient + self.strength_K1 * terms_KP
        if train.clip_norm > 0:
            gradient = clip_to_norm(gradient, self.clip_K1)
        if self.own_clip is not None:
            gradient = self.own_clip(gradient, lanes.theta)
        is_alive = (lanes.diverged < 0) & ~lanes.is_frozen
        is_sound = (passed.loss_K < LOSS_LIMIT) & is_alive
        # In place: on the CPU this is the lanes' own memory.
        if isinstance(at.step, int):
            lanes.diverged.masked_fill_(~is_sound & is_alive, at.step)
        else:
            torch.where(~is_sound & is_alive, at.step, lanes.diverged, out=lanes.diverged)
        self.stepper.step(gradient, is_sound, at)
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
class HostBlock:
    """The data of a block of steps on the CPU, as tensors on the same memory."""

    def __init__(self, block: StepBlock, sigma: NDArray[np.floating]) -> None:
        """Take over `block` and the runs' noise levels `sigma`."""
        self.kind = block.noise_kind
        self.x, self.y, self.rows, self.noise = map(
            torch.from_numpy,
            (block.split.x, block.split.y, block.rows.astype(np.int64), block.noise),
        )
        self.lane_x, self.lane_y, self.lane_rows, self.lane_noise = map(
            torch.from_numpy,
            (block.split.lane_x, block.split.lane_y, block.lane_rows, block.lane_noise),
        )
        self.sigma_K11 = torch.from_numpy(sigma)[:, None, None]

    def batch(self, s: int) -> Batch:
        """Return inputs `[runs, batch, ...]` and targets of step `s` of the block."""
        rows_KB = self.rows[self.lane_rows, min(s, self.rows.shape[1] - 1)]
        inputs = self.x[self.lane_x[:, None], rows_KB]
        targets = self.y[self.lane_y[:, None], rows_KB]
        if self.kind == NO_NOISE:
            return Batch(inputs, targets)
        draws_KBC = self.noise[self.lane_noise, min(s, self.noise.shape[1] - 1)]
        return Batch(inputs, noisy(targets, self.kind, self.sigma_K11, draws_KBC))


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
