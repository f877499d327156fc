"""Evaluators: data loss and gradient of given parameters, by the compiled kernels or by torch.

An evaluator holds no parameters. Engines give it theirs, so that what trains a run and what
measures it may be different things.

Shapes: K runs, P parameters, B samples, O outputs.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, final

import numpy as np
import torch
from jaxtyping import Float, Int64
from numpy.typing import NDArray
from torch import Tensor

from symstudy.kernels.lanes import Samples
from symstudy.models.base import NO_BUFFERS, Buffers, Forward, TrainingStep
from symstudy.training.data import Split
from symstudy.training.engines.base import LoadedPack, Losses
from symstudy.training.engines.lane_kernels import AbstractLaneKernels
from symstudy.training.engines.lane_threads import LaneThreads
from symstudy.training.losses import accuracy, data_loss

__all__ = ["AbstractEvaluator", "CompiledEvaluator", "TorchEvaluator", "rows_of"]

EVALUATED = 1 << 22
"""Numbers of input that are sent through a pack at a time when a split is evaluated."""
LEFT_BY_A_RUN = 1 << 24
"""Numbers that the samples of one run may leave for the backward pass at a time."""
LEAST_SAMPLES = 16
"""Samples of a part, at least, however much they leave."""
TWICE_PARAMETERS = 200_000
"""Above this a run alone is not sent through twice: there are few runs in such a pack anyway, and
alone it would take twice the time."""


class AbstractEvaluator(ABC):
    """Data loss and gradient of given parameters of the runs of a pack.

    Contract: methods are pure; a run's numbers depend on its own parameters and data alone.
    """

    @property
    @abstractmethod
    def name(self) -> str:
        """What computes, and on which device."""

    @abstractmethod
    def evaluate(
        self,
        theta_KP: Float[Tensor, "runs parameters"],
        split: Split,
        lanes: Int64[np.ndarray, " chosen"],
    ) -> Losses:
        """Return the data loss of the runs `lanes` on `split`; NaN for the others."""

    @abstractmethod
    def gradient(
        self,
        theta_KP: Float[Tensor, "runs parameters"],
        split: Split,
        lanes: Int64[np.ndarray, " chosen"],
    ) -> Float[Tensor, "runs parameters"]:
        """Return the gradient of the data loss of the runs `lanes`; NaN for the others."""


@final
class CompiledEvaluator(AbstractEvaluator):
    """Evaluates networks by the compiled kernels, on the CPU."""

    def __init__(self, kernels: AbstractLaneKernels, threads: LaneThreads) -> None:
        """Prepare to evaluate the runs that `kernels` are made for.

        Args:
            kernels: Those of the runs' network, with what the runs hold beside their parameters.
            threads: Threads that share the lanes.
        """
        self.kernels = kernels
        self.threads = threads

    @property
    def name(self) -> str:
        """Compiled kernels on the CPU."""
        return "compiled"

    def evaluate(
        self,
        theta_KP: Float[Tensor, "runs parameters"],
        split: Split,
        lanes: Int64[np.ndarray, " chosen"],
    ) -> Losses:
        """Return the data loss of the runs `lanes` on `split`; NaN for the others."""
        theta = theta_KP.numpy()
        return self.survey(theta, split, lanes, np.empty((len(theta), 0), theta.dtype))

    def gradient(
        self,
        theta_KP: Float[Tensor, "runs parameters"],
        split: Split,
        lanes: Int64[np.ndarray, " chosen"],
    ) -> Float[Tensor, "runs parameters"]:
        """Return the gradient of the data loss of the runs `lanes`; NaN for the others."""
        gradient = np.full_like(theta_KP.numpy(), np.nan)
        self.survey(theta_KP.numpy(), split, lanes, gradient)
        return torch.from_numpy(gradient)

    def survey(
        self,
        theta: NDArray[np.floating],
        split: Split,
        lanes: NDArray[np.int64],
        gradient: NDArray[np.floating],
    ) -> Losses:
        """Return losses and accuracies, or losses alone and fill `gradient` if it has columns."""
        losses = Losses(np.full(len(theta), np.nan), np.full(len(theta), np.nan))
        samples = Samples(
            x=split.x,
            y=split.y,
            lane_x=split.lane_x,
            lane_y=split.lane_y,
            rows=np.arange(split.x.shape[1], dtype=np.int32),
            noise=np.zeros((1, 1), split.x.dtype),
        )

        def work(chosen: NDArray[np.int64], scratch: Any) -> None:
            self.kernels.survey(theta, samples, chosen, scratch, losses, gradient)

        self.threads.run(lanes, work)
        return losses


class SamplesOnDevice(NamedTuple):
    """Inputs and targets of some runs, on the device.

    Attributes:
        x_KBI: Inputs.
        y_KBO: Targets.
        share: Share of these samples in the split.
    """

    x_KBI: Float[Tensor, "runs batch ..."]
    y_KBO: Float[Tensor, "runs batch outputs"]
    share: float


@final
class TorchEvaluator(AbstractEvaluator):
    """Evaluates any model by torch operations with a leading run axis, on any device."""

    def __init__(self, pack: LoadedPack, device: torch.device) -> None:
        """Prepare to evaluate the runs of `pack` on `device`."""
        self.pack = pack
        self.device = device

    @property
    def name(self) -> str:
        """Torch, the device, and whether runs go one by one."""
        one_by_one = "" if self.pack.model.is_batched(training=True) else "one-by-one-"
        return f"{one_by_one}torch-{self.device.type}"

    def evaluate(
        self,
        theta_KP: Float[Tensor, "runs parameters"],
        split: Split,
        lanes: Int64[np.ndarray, " chosen"],
        buffers: Buffers = NO_BUFFERS,
    ) -> Losses:
        """Return the data loss of the runs `lanes` on `split`; NaN for the others.

        Accuracies are NaN where the model does not predict the targets.
        """
        return self.evaluate_all(theta_KP, [split], lanes, buffers)[0]

    def evaluate_all(
        self,
        theta_KP: Float[Tensor, "runs parameters"],
        splits: Sequence[Split],
        lanes: Int64[np.ndarray, " chosen"],
        buffers: Buffers = NO_BUFFERS,
    ) -> list[Losses]:
        """Return what `evaluate` returns of each of `splits`, in one copy from the device."""
        with torch.no_grad():
            found = [self.survey(theta_KP, split, lanes, buffers) for split in splits]
        return [Losses(*rows) for rows in torch.stack(found).cpu().numpy()]

    def survey(
        self, theta_KP: Tensor, split: Split, lanes: NDArray[np.int64], buffers: Buffers
    ) -> Float[Tensor, "2 runs"]:
        """Return losses and accuracies on `split`, on the device; NaN without samples."""
        found = torch.full((2, len(theta_KP)), torch.nan, dtype=torch.float64, device=self.device)
        for some in self.shares(theta_KP, split, lanes) if split.x.shape[1] else ():
            theta, held = self.gathered(theta_KP, some), self.rows_of(buffers, some)
            parts = self.parts(split, some)
            sums = [part.share * self.losses_of(theta, part, held) for part in parts]
            found[:, self.index(some)] = sum(sums[1:], start=sums[0])
        return found

    def losses_of(
        self, theta_KP: Tensor, part: "SamplesOnDevice", buffers: Buffers
    ) -> Float[Tensor, "2 runs"]:
        """Return mean losses and accuracies of all runs of `theta_KP` on their samples of a part.

        Accuracies are NaN where the model does not predict the targets.
        """
        forward = self.outputs(theta_KP, part.x_KBI, buffers)
        loss_K = data_loss(self.pack.train.loss, forward.for_loss, part.y_KBO).double()
        right_K = torch.full_like(loss_K, torch.nan)
        if self.pack.model.predicts:
            right_K = accuracy(forward.output_KBO, part.y_KBO)
        return torch.stack([loss_K, right_K])

    def gradient(
        self,
        theta_KP: Float[Tensor, "runs parameters"],
        split: Split,
        lanes: Int64[np.ndarray, " chosen"],
        buffers: Buffers = NO_BUFFERS,
    ) -> Float[Tensor, "runs parameters"]:
        """Return the gradient of the data loss of the runs `lanes`; NaN for all others."""
        result = torch.full_like(theta_KP, torch.nan)
        for some in self.shares(theta_KP, split, lanes) if split.x.shape[1] else ():
            theta = self.gathered(theta_KP, some).requires_grad_(True)
            held = self.rows_of(buffers, some)
            parts = [self.gradient_of(theta, part, held) for part in self.parts(split, some)]
            total = sum(parts[1:], start=parts[0])
            result[self.pack.data.resident.index(some, result.device)] = total.to(result.device)
        return result

    def gradient_of(self, theta_KP: Tensor, part: "SamplesOnDevice", buffers: Buffers) -> Tensor:
        """Return the share of a part of the samples in the gradient of the mean loss."""
        forward = self.outputs(theta_KP, part.x_KBI, buffers)
        loss_K = data_loss(self.pack.train.loss, forward.for_loss, part.y_KBO)
        (gradient,) = torch.autograd.grad(loss_K.sum(), theta_KP)
        return gradient if part.share == 1.0 else part.share * gradient

    def outputs(
        self,
        theta_KP: Float[Tensor, "runs parameters"],
        x_KBI: Float[Tensor, "runs batch ..."],
        buffers: Buffers = NO_BUFFERS,
        step: TrainingStep | None = None,
    ) -> Forward:
        """Return what the networks make of `x_KBI`; a small network alone goes through twice.

        On the CPU a library takes a batch of one matrix by another path than one of several, and
        these have all the same bits, in every network that we have tried. So a run alone has those
        of the run in a pack. Runs that go one by one have them anyway.

        Args:
            theta_KP: Parameters.
            x_KBI: Inputs.
            buffers: What the runs hold beside.
            step: Seeds of the runs and the step, where the model is to act as in training; as in
                evaluation if None.
        """
        is_small = theta_KP.shape[1] <= TWICE_PARAMETERS
        is_batched = self.pack.model.is_batched(training=step is not None)
        if len(theta_KP) > 1 or not is_small or not is_batched or self.device.type != "cpu":
            return self.forward(theta_KP, x_KBI, buffers, step)
        twice = None if step is None else step._replace(seeds=step.seeds * 2)
        doubled = {name: torch.cat([each] * 2) for name, each in buffers.items()}
        found = self.forward(torch.cat([theta_KP] * 2), torch.cat([x_KBI] * 2), doubled, twice)
        return first_run(found)

    def forward(
        self, theta_KP: Tensor, x_KBI: Tensor, buffers: Buffers, step: TrainingStep | None
    ) -> Forward:
        """Return the outputs as in training at `step`, or as in evaluation if it is None."""
        model = self.pack.model.with_buffers(buffers)
        if step is None:
            return model.forward(theta_KP, x_KBI)
        return model.training_forward(theta_KP, x_KBI, step)

    def gathered(self, theta_KP: Tensor, lanes: NDArray[np.int64]) -> Tensor:
        """Return a copy of the parameters of the runs `lanes`."""
        index = self.pack.data.resident.index(lanes, theta_KP.device)
        return theta_KP.detach()[index].to(self.device)

    def index(self, lanes: NDArray[np.int64]) -> Int64[Tensor, " chosen"]:
        """Return the places of the runs `lanes`, on the device."""
        return self.pack.data.resident.index(lanes, self.device)

    def rows_of(self, buffers: Buffers, lanes: NDArray[np.int64]) -> Buffers:
        """Return the buffers of the runs `lanes`."""
        return rows_of(buffers, self.index(lanes))

    def parts(self, split: Split, lanes: NDArray[np.int64]) -> Iterator["SamplesOnDevice"]:
        """Yield the samples of the runs `lanes`: all, or in parts."""
        count = split.x.shape[1]
        size, data = self.part_size(split), self.pack.data
        for first in range(0, max(1, count), size):
            rows = slice(first, min(first + size, count))
            x = data.gathered(split.x, split.lane_x[lanes], rows, self.device)
            y = data.gathered(split.y, split.lane_y[lanes], rows, self.device)
            yield SamplesOnDevice(x, y, (rows.stop - rows.start) / count if count else 1.0)

    def part_size(self, split: Split) -> int:
        """Return the samples of a part: all, unless inputs or what a model leaves are many numbers.

        It depends on data and model alone, so that a run's sums are the same in any pack. Where the
        loss holds samples against each other, it is a batch of the training: numbers of batches of
        another size would not be those of the loss that is trained.
        """
        count, inputs = map(int, split.x.shape[1:])
        if self.pack.train.loss.compares_samples:
            return max(1, min(count, self.pack.train.batch_size or count))
        # A network of convolutions keeps many times its inputs.
        size = count if count * inputs <= EVALUATED else max(1, EVALUATED // inputs)
        left = self.pack.model.activations
        return max(1, min(size, max(LEAST_SAMPLES, LEFT_BY_A_RUN // left)) if left else size)

    def shares(
        self, theta_KP: Tensor, split: Split, lanes: NDArray[np.int64]
    ) -> list[NDArray[np.int64]]:
        """Return `lanes` in groups small enough to send a split, or a part of it, through.

        Where runs go one by one anyway, each is a group: only its own activations are held.
        """
        model = self.pack.model
        if not model.is_batched(training=False):
            return [lanes[i : i + 1] for i in range(len(lanes))]
        rows = self.part_size(split)
        per_lane = max(1, rows * max(split.x.shape[2], theta_KP.shape[1] // 8))
        per_lane = max(per_lane, rows * model.activations // 4)
        size = max(1, EVALUATED // per_lane)
        return [lanes[i : i + size] for i in range(0, len(lanes), size)]


def rows_of(buffers: Buffers, index: Int64[Tensor, " chosen"]) -> Buffers:
    """Return the buffers of the runs at `index`, which is where they are."""
    return {name: each[index] for name, each in buffers.items()}


def first_run(found: Forward) -> Forward:
    """Return the result of the first of several runs."""
    return Forward(
        found.output_KBO[:1],
        {name: each[:1] for name, each in found.hidden.items()},
        first_rows(found.returned),
        {name: each[:1] for name, each in found.buffers.items()},
        {name: each[:1] for name, each in found.preactivations.items()},
    )


def first_rows(returned: Any) -> Any:
    """Return the first row of each tensor of what a model returned."""
    if returned is None or isinstance(returned, Tensor):
        return None if returned is None else returned[:1]
    if isinstance(returned, Mapping):
        return {key: first_rows(item) for key, item in returned.items()}
    return tuple(map(first_rows, returned))
