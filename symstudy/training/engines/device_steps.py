"""Steps of the torch engine on a GPU: data and draws on the device, a step as a graph.

Everything that a step reads lies at an address that stays: the data are sent once, the rows and the
noise of a block are drawn into the same tensors, the rates copied there. The number of the step is
counted on the device.

Shapes: K runs, G groups, S steps of a block, B samples.
"""

from typing import final

import numpy as np
import torch
from torch import Tensor

from symstudy.kernels.losses import NO_NOISE
from symstudy.training.data import PackData, Split
from symstudy.training.device_draws import DeviceDraws
from symstudy.training.engines.step_graph import AbstractGraph, record
from symstudy.training.engines.stepper import Position, Stepper
from symstudy.training.engines.torch_lanes import TorchLanes
from symstudy.training.engines.torch_steps import Batch, StepProgram, noisy
from symstudy.training.resident import send

__all__ = ["DeviceSteps", "can_record"]


@final
class DeviceData:
    """What the steps of a block read, at addresses that stay from block to block.

    Attributes:
        capacity: Steps of the longest block.
    """

    def __init__(self, data: PackData, device: torch.device, steps: int) -> None:
        """Prepare for the runs of `data`, which take `steps` steps in all."""
        self.data = data
        self.device = device
        self.draws = DeviceDraws(data, device)
        self.capacity = data.block_steps(max(steps, 1))
        self.kept: dict[str, Tensor] = {}
        self.split = data.train
        zeros = np.zeros(len(data.runs), np.int64)
        has_noise = data.noise_kind != NO_NOISE
        sigma = data.sigma.astype(data.dtype)[:, None, None]
        self.sigma_K11 = send(np.ascontiguousarray(sigma), device)
        self.lane_rows = send(data.lane_seed if data.is_drawn else zeros, device)
        self.lane_noise = send(data.lane_seed if has_noise else zeros, device)
        self.lane_x, self.lane_y = (
            send(each, device) for each in (self.split.lane_x, self.split.lane_y)
        )
        if not data.is_drawn:
            order = data.rows_in_order(data.ordered_steps(self.capacity))
            self.kept["rows"] = send(order.astype(np.int64), device)

    def begin(self, first: int, steps: int) -> None:
        """Draw and send what the steps `first` .. `first` + `steps` - 1 read."""
        data = self.data
        if data.is_made:
            self.take(data.block_split(first, steps))
        if data.is_drawn:
            self.keep("rows", self.draws.rows(first, steps), steps)
        if data.noise_kind != NO_NOISE:
            self.keep("noise", self.draws.noise(first, steps), steps)

    def take(self, made: Split) -> None:
        """Send samples that were made for a block; which run reads which is always the same."""
        if self.split is self.data.train:
            self.lane_x.copy_(send(made.lane_x, self.device))
            self.lane_y.copy_(send(made.lane_y, self.device))
        self.split = made
        for name, array in (("x", made.x), ("y", made.y)):
            self.keep(name, send(array, self.device), array.shape[1])

    def keep(self, name: str, drawn: Tensor, count: int) -> None:
        """Copy what was drawn or sent for `count` steps or samples to where steps read it."""
        if name not in self.kept:
            # The first block is the longest but where training was cut before.
            most = self.capacity * (self.data.batch if name in {"x", "y"} else 1)
            sides = (len(drawn), max(most, count), *drawn.shape[2:])
            self.kept[name] = drawn.new_zeros(sides)
        self.kept[name][:, :count].copy_(drawn)

    def batch(self, at: Position) -> Batch:
        """Return inputs `[runs, batch, ...]` and targets of a step of the block."""
        x, y = (
            (self.kept["x"], self.kept["y"])
            if self.data.is_made
            else (self.data.resident.tensor(each, self.device) for each in self.split[:2])
        )
        rows_KB = step_of(self.kept["rows"], at)[self.lane_rows]
        inputs, targets = x[self.lane_x[:, None], rows_KB], y[self.lane_y[:, None], rows_KB]
        kind = self.data.noise_kind
        if kind == NO_NOISE:
            return Batch(inputs, targets)
        draws_KBC = step_of(self.kept["noise"], at)[self.lane_noise]
        return Batch(inputs, noisy(targets, kind, self.sigma_K11, draws_KBC))


@final
class DeviceSteps:
    """Takes the steps of a batch of runs on a device, as a graph where that can be."""

    def __init__(self, lanes: TorchLanes, entropic_chunk: int) -> None:
        """Prepare the steps of `lanes`, whose tensors stay where they are."""
        steps = lanes.pack.train.steps
        self.lanes = lanes
        self.data = DeviceData(lanes.pack.data, lanes.device, steps)
        self.stepper = Stepper(lanes, 0, self.data.capacity, by_kernels=False)
        self.program = StepProgram(lanes, self.stepper, entropic_chunk)
        # Place in the block, and the block's first step.
        self.clock = torch.zeros(2, dtype=torch.int64, device=lanes.device)
        self.is_counted = can_record(lanes)
        self.graph: AbstractGraph | None = None
        self.is_tried = False

    def advance(self, first: int, steps: int) -> None:
        """Take `steps` steps from step `first` on, without waiting for the device."""
        done = 0
        while done < steps:
            count = min(self.data.capacity, steps - done)
            self.take_block(first + done, count)
            done += count

    def take_block(self, first: int, steps: int) -> None:
        """Take the steps of one block."""
        self.data.begin(first, steps)
        self.stepper.begin(first, steps)
        if not self.is_counted:
            for s in range(steps):
                at = Position(s, first + s)
                self.program.take(self.data.batch(at), at)
            return
        self.clock.copy_(send(np.array([0, first]), self.lanes.device))
        if not self.is_tried:
            self.is_tried = True
            state = [self.clock, *self.lanes.tensors().values()]
            self.graph = record(self.counted_step, state, self.lanes.device)
        take = self.counted_step if self.graph is None else self.graph.replay
        for _ in range(steps):
            take()

    def counted_step(self) -> None:
        """Take the step that the device has counted to."""
        at = Position(self.clock[:1], self.clock.sum())
        self.program.take(self.data.batch(at), at)
        self.clock[:1].add_(1)


def can_record(lanes: TorchLanes) -> bool:
    """Return whether the host takes no part in a step, which then reads its number by itself.

    It does where runs go one after another, where a model draws, and in an optimiser of torch's
    sort or one of the user's own that does not say otherwise.
    """
    model, optimizer = lanes.pack.model, lanes.pack.train.optimizer
    return (
        model.is_batched(training=True)
        and not model.is_stochastic
        and lanes.optimizers is None
        and optimizer.counts_on_device
    )


def step_of(table: Tensor, at: Position) -> Tensor:
    """Return the entries `[G, ...]` of a step of `table[G, S, ...]`; of one that has all, these."""
    if table.shape[1] == 1:
        return table[:, 0]
    if isinstance(at.place, int):
        return table[:, at.place]
    return table.index_select(1, at.place)[:, 0]
