"""The data of a pack: shared by lanes where they may share it, block of steps by block of steps.

Lanes with the same seed and the same data configuration (but for label noise) read the same arrays;
a lane names the group it reads. Nothing depends on which lanes are in the pack.

Shapes: K runs, G groups, S steps of a block, B samples of a batch.
"""

import copy
import dataclasses
from collections.abc import Hashable, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
from jaxtyping import Bool, Float, Int32, Int64
from numpy.typing import NDArray
from torch import Tensor

from symstudy.datasets import AbstractDatasetConfig, build_task
from symstudy.datasets.augmentation import Augmentation, augment_steps
from symstudy.datasets.base import Task, flip_labels
from symstudy.kernels.losses import ADDED, FLIPPED, NO_NOISE
from symstudy.streams import Stream
from symstudy.study.cell import Run
from symstudy.theory.universal import kernel_root, linear_fit, universal_kernel
from symstudy.training.resident import Resident

__all__ = ["PackData", "Split", "StepBlock"]

T = TypeVar("T")
BLOCK_BYTES = 32 << 20


class Split(NamedTuple):
    """Inputs and targets of one split, by group.

    Attributes:
        x: Inputs.
        y: Targets.
        lane_x: Group of inputs of each run.
        lane_y: Group of targets of each run.
    """

    x: Float[np.ndarray, "groups samples inputs"]
    y: Float[np.ndarray, "target_groups samples outputs"]
    lane_x: Int64[np.ndarray, " runs"]
    lane_y: Int64[np.ndarray, " runs"]


class StepBlock(NamedTuple):
    """What the steps of a block read.

    Attributes:
        split: Samples that `rows` point into.
        rows: Samples of each batch; one step's rows stand for every step where there is one only.
        noise: Draws of the label noise of each step, as `symstudy.kernels.losses` reads them.
        noise_kind: Code of the label noise.
        lane_rows: Group of rows of each run.
        lane_noise: Group of noise of each run.
    """

    split: Split
    rows: Int32[np.ndarray, "row_groups steps batch"]
    noise: Float[np.ndarray, "noise_groups noise_steps noise_batch columns"]
    noise_kind: int
    lane_rows: Int64[np.ndarray, " runs"]
    lane_noise: Int64[np.ndarray, " runs"]


def group(keys: Sequence[T]) -> tuple[list[T], NDArray[np.int64]]:
    """Return the different `keys` in order of appearance, and each one's place among them."""
    places: dict[Hashable, int] = {}
    firsts: list[T] = []
    for key in keys:
        if key not in places:
            places[key] = len(firsts)
            firsts.append(key)
    return firsts, np.array([places[key] for key in keys], np.int64)


def distinct(arrays: Sequence[NDArray[Any]]) -> tuple[list[NDArray[Any]], NDArray[np.int64]]:
    """Return the arrays that differ in memory, and each one's place among them.

    Tasks of fixed data share their arrays, whatever their seeds.
    """
    keys = [(a.__array_interface__["data"][0], a.shape, a.strides, a.dtype.str) for a in arrays]
    _, places = group(keys)
    firsts = [arrays[places.tolist().index(place)] for place in range(int(places.max()) + 1)]
    return firsts, places


def used_groups(
    lane_group: NDArray[np.int64], alive: NDArray[np.int64]
) -> tuple[list[int], NDArray[np.int64]]:
    """Return the groups that the lanes `alive` read, and each lane's place among them, or 0."""
    used, places = np.unique(lane_group[alive], return_inverse=True)
    lane_place = np.zeros_like(lane_group)
    lane_place[alive] = places
    return used.tolist(), lane_place


class PackData:
    """The data of the runs of a pack.

    Args of the constructor: the runs, of one shape, and the type of the arrays.

    Attributes:
        train: Fixed training samples with their fixed label noise; empty for fresh data.
        test: Test samples, without noise.
        sigma: Online label noise of each run, 0 where it has none.
        resident: What devices hold of the splits.
    """

    def __init__(self, runs: Sequence[Run], dtype: np.dtype[np.floating]) -> None:
        """See the class."""
        cells = [run.cell for run in runs]
        first = cells[0]
        self.runs = runs
        self.dtype = dtype
        self.is_absent = first.data.is_absent
        self.is_fresh = first.data.shape.train == 0
        self.is_online = self.is_fresh or first.data.has_online_noise
        self.batch = first.train.batch_size
        self.is_full_batch = first.train.full_batch
        self.sampling = first.train.sampling
        clean = [cell.data.clean() for cell in cells]
        keys = [
            (config, run.seed, run.training_seed) for config, run in zip(clean, runs, strict=True)
        ]
        firsts, self.lane_task = group(keys)
        self.tasks = [task_of(*key) for key in firsts]
        noise = np.array([cell.data.noise for cell in cells])
        self.sigma = noise if self.is_online else np.zeros_like(noise)
        fixed = np.zeros_like(noise) if self.is_online else noise
        pairs, lane_pair = group(list(zip(self.lane_task.tolist(), fixed.tolist(), strict=True)))
        noisy = [noisy_targets(self.tasks[task], sigma) for task, sigma in pairs]
        self.train = self.split([task.x_train for task in self.tasks], noisy, lane_pair)
        self.test = self.split(
            [task.x_test for task in self.tasks],
            [task.y_test for task in self.tasks],
            self.lane_task,
        )
        self.augmentation = first.data.augmentation
        self.roots: dict[tuple[int, float], NDArray[np.float64]] = {}
        self.seeds, self.lane_seed = group([run.training_seed for run in runs])
        # Shared by the parts of these data, so that a device is sent nothing twice.
        self.resident = Resident()

    def split(
        self,
        x: Sequence[NDArray[Any]],
        y: Sequence[NDArray[np.float64]],
        lane_y: NDArray[np.int64],
    ) -> Split:
        """Return inputs and targets with each array once, however many tasks have it.

        Args:
            x: Inputs of each task.
            y: Targets.
            lane_y: Which of `y` each run reads.
        """
        xs, place_x = distinct(x)
        ys, place_y = distinct(y)
        return Split(self.cast(xs), self.cast(ys), place_x[self.lane_task], place_y[lane_y])

    def part(self, lanes: Int64[np.ndarray, " chosen"]) -> "PackData":
        """Return the data of the runs `lanes` alone; the arrays are shared."""
        part = copy.copy(self)
        part.runs = [self.runs[lane] for lane in lanes.tolist()]
        part.lane_task, part.lane_seed = self.lane_task[lanes], self.lane_seed[lanes]
        part.sigma = self.sigma[lanes]
        part.train, part.test = (
            split._replace(lane_x=split.lane_x[lanes], lane_y=split.lane_y[lanes])
            for split in (self.train, self.test)
        )
        return part

    def gathered(
        self,
        array: Float[np.ndarray, "groups samples *rest"],
        groups: Int64[np.ndarray, " chosen"],
        rows: slice,
        device: torch.device,
    ) -> Float[Tensor, "chosen rows *rest"]:
        """Return samples of some runs on `device`, which is sent a whole array once.

        Args:
            array: Inputs or targets of one of the splits.
            groups: Group of each run in it.
            rows: Which samples.
            device: Where they are wanted.
        """
        kept = self.resident
        return kept.tensor(array, device)[:, rows][kept.index(groups, device)]

    def universal_root(self, lane: int) -> Float[np.ndarray, "inputs inputs"]:
        """Return R: rows R x have the kernel that gradient noise selects in deep linear networks.

        Of the run in place `lane`, from its fixed training data, or the test data where every
        batch is drawn anew.
        """
        task = self.tasks[self.lane_task[lane]]
        is_added = not task.is_classification
        noise = self.runs[lane].cell.data.noise if is_added else 0.0
        key = (int(self.lane_task[lane]), noise)
        if key not in self.roots:
            rows = (task.x_test, task.y_test) if self.is_fresh else (task.x_train, task.y_train)
            self.roots[key] = kernel_root(universal_kernel(*linear_fit(*rows, noise)))
        return self.roots[key]

    def without(self, is_dead_K: Bool[np.ndarray, " runs"]) -> "PackData":
        """Return the data with nothing drawn for the runs `is_dead_K`, which take no more steps."""
        rest = copy.copy(self)
        alive = np.flatnonzero(~is_dead_K)
        seeds, rest.lane_seed = used_groups(self.lane_seed, alive)
        rest.seeds = [self.seeds[seed] for seed in seeds]
        tasks, rest.lane_task = used_groups(self.lane_task, alive)
        rest.tasks = [self.tasks[task] for task in tasks]
        return rest

    def cast(self, arrays: Sequence[NDArray[Any]]) -> NDArray[np.floating]:
        """Return `arrays` as one, in the pack's type; a single one of that type is not copied."""
        first = arrays[0]
        if len(arrays) == 1 and first.dtype == self.dtype and first.flags.c_contiguous:
            view = first[None]
            try:
                # Kernels are compiled for arrays that can be written; none of them writes to data.
                view.flags.writeable = True
            except ValueError:
                pass
            else:
                return view
        return np.ascontiguousarray(np.stack(arrays), self.dtype)

    @property
    def is_made(self) -> bool:
        """Whether the samples of each step are made anew: fresh data, or augmented."""
        return self.is_fresh or self.augmentation is not None

    @property
    def is_drawn(self) -> bool:
        """Whether each step takes rows drawn from fixed data."""
        return not (self.is_made or self.is_full_batch)

    @property
    def noise_kind(self) -> int:
        """Code of the label noise that is drawn anew at each step."""
        if not self.sigma.any():
            return NO_NOISE
        return FLIPPED if self.tasks[0].is_classification else ADDED

    def block_steps(self, steps: int) -> int:
        """Return how many of the next `steps` steps fit one block."""
        per_step = len(self.seeds) * self.batch * 8
        if self.is_fresh or (self.is_online and self.sigma.any()):
            columns = self.test.x.shape[2] + 2 * self.test.y.shape[2]
            per_step += len(self.tasks) * self.batch * columns * 8
        if self.augmentation is not None:
            columns = self.test.x.shape[2] + self.test.y.shape[2]
            per_step += len(self.tasks) * self.batch * columns * 8
        return max(1, min(steps, BLOCK_BYTES // per_step))

    def block(self, first: int, steps: int) -> StepBlock:
        """Return what the steps `first` .. `first` + `steps` - 1 read."""
        zeros = np.zeros(len(self.runs), np.int64)
        lane_rows = zeros
        if self.is_drawn:
            rows = self.drawn_rows(first, steps)
            lane_rows = self.lane_seed
        else:
            rows = self.rows_in_order(self.ordered_steps(steps))
        kind = self.noise_kind
        noise = np.zeros((1, 1, 1, 1), self.dtype)
        lane_noise = zeros
        if kind != NO_NOISE:
            noise = self.cast([self.noise_draws(seed, first, steps) for seed in self.seeds])
            lane_noise = self.lane_seed
        split = self.block_split(first, steps)
        return StepBlock(split, rows, noise, kind, lane_rows, lane_noise)

    def block_split(self, first: int, steps: int) -> Split:
        """Return the samples that the rows of a block point into: those of each of its steps."""
        if self.is_fresh:
            drawn = [task.fresh(first, steps, self.batch) for task in self.tasks]
            return Split(
                self.cast([x for x, _ in drawn]),
                self.cast([y for _, y in drawn]),
                self.lane_task,
                self.lane_task,
            )
        if self.augmentation is not None:
            return self.augmented(self.augmentation, first, steps)
        return self.train

    def ordered_steps(self, steps: int) -> int:
        """Return for how many of `steps` steps rows lie one after another: a full batch has one."""
        return steps if self.is_made else 1

    def rows_in_order(self, steps: int) -> NDArray[np.int32]:
        """Return the rows of batches that lie one after another."""
        return np.arange(steps * self.batch, dtype=np.int32).reshape(1, steps, self.batch)

    def augmented(self, augmentation: Augmentation, first: int, steps: int) -> Split:
        """Return the batches of a block, one after another, with their inputs augmented.

        Runs with the same seed and the same samples read the same batches.
        """
        if self.is_full_batch:
            every = np.tile(np.arange(self.batch, dtype=np.int32), steps)
            chosen = [every for _ in self.seeds]
        else:
            chosen = [self.batch_rows(seed, first, steps).reshape(-1) for seed in self.seeds]
        of_x, lane_x = group(
            list(zip(self.lane_seed.tolist(), self.train.lane_x.tolist(), strict=True))
        )
        of_y, lane_y = group(
            list(zip(self.lane_seed.tolist(), self.train.lane_y.tolist(), strict=True))
        )
        x = [
            augment_steps(self.train.x[place][chosen[s]], augmentation, self.seeds[s], first, steps)
            for s, place in of_x
        ]
        y = [self.train.y[place][chosen[s]] for s, place in of_y]
        return Split(self.cast(x), self.cast(y), lane_x, lane_y)

    def drawn_rows(self, first: int, steps: int) -> Int32[np.ndarray, "seeds steps batch"]:
        """Return the rows of the batches of all seeds."""
        return np.stack([self.batch_rows(seed, first, steps) for seed in self.seeds])

    def batch_rows(self, seed: int, first: int, steps: int) -> NDArray[np.int32]:
        """Return the rows of the batches of the runs with `seed`."""
        count = self.train.x.shape[1]
        stream = Stream(seed, "batches")
        if self.sampling == "replacement":
            rows = stream.integer_blocks(count, first, steps, self.batch)
        else:
            assert self.sampling == "shuffle", f"no such sampling: {self.sampling}"
            rows = stream.shuffled(first * self.batch, steps * self.batch, count)
        return rows.reshape(steps, self.batch).astype(np.int32)

    def noise_draws(self, seed: int, first: int, steps: int) -> NDArray[np.float64]:
        """Return the draws of the online label noise of the runs with `seed`."""
        outputs = self.test.y.shape[2]
        stream = Stream(seed, "online_noise")
        if not self.tasks[0].is_classification:
            return stream.normal_blocks(first, steps, self.batch, outputs)
        chance = stream.uniform_blocks(first, steps, self.batch)
        shifts = 1 + Stream(seed, "online_labels").integer_blocks(
            outputs - 1, first, steps, self.batch
        )
        return np.stack([chance, shifts], axis=2)


def task_of(config: AbstractDatasetConfig, seed: int, training_seed: int) -> Task:
    """Return the data of `seed`, whose noise and fresh inputs go by `training_seed`."""
    task = build_task(config, seed)
    return task if training_seed == seed else dataclasses.replace(task, seed=training_seed)


def noisy_targets(task: Task, sigma: float) -> NDArray[np.float64]:
    """Return the training targets with label noise drawn once a sample.

    Args:
        task: The data.
        sigma: Standard deviation of Gaussian noise, or the probability that a label is replaced.
    """
    if sigma == 0.0 or task.y_train.size == 0:
        return task.y_train
    samples, outputs = task.y_train.shape
    stream = Stream(task.seed, "label_noise")
    if not task.is_classification:
        return task.y_train + sigma * stream.normal(samples, outputs)
    shifts = 1 + Stream(task.seed, "label_noise_classes").integers(outputs - 1, samples)
    return flip_labels(task.y_train, sigma, stream.uniform(samples), shifts)
