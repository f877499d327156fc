"""What a run costs, estimated before anything is trained.

On the CPU a pack takes its runs' time one after another, and its calls beside. On a GPU the calls
are made while the device works: a step takes the longer of the two (the roofline of
`symstudy.study.constants`), and what a core draws for it beside.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from symstudy.components import NetworkSize
from symstudy.optimizers.lbfgs import MINIMISER_STEPS
from symstudy.study.cell import Cell
from symstudy.study.compiling import is_fusable, why_not_compiled
from symstudy.study.constants import (
    COMPILED_FLOPS,
    COMPILED_STEP_S,
    DRAW_NOISE_S,
    EAGER_CALLS_S,
    EAGER_STEP_S,
    ENCODER_FLOPS,
    FUSED_FLOPS_SHARE,
    FUSED_LANE_FLOPS,
    FUSED_STEP_FLOPS,
    FUSED_STEP_S,
    GPU_ACTIVATION_PASSES,
    GPU_BANDWIDTH_SHARE,
    GPU_CALL_S,
    GPU_DRAW_BYTES,
    GPU_FLOPS_SHARE,
    GPU_KERNELS,
    GPU_LAYER_KERNELS,
    GPU_MOMENT_KERNELS,
    GPU_MOMENT_PASSES,
    GPU_NOISE_BYTES,
    GPU_PARAMETER_PASSES,
    GPU_STEP_S,
    GRAPH_CALL_S,
    GRAPH_STEP_S,
    HEAD_NUMBERS,
    HEAD_S,
    HEADS_SHARE,
    IMAGE_FLOPS,
    IMAGE_NUMBER_S,
    MEASURE_FLOPS,
    READ_BYTES,
)
from symstudy.study.devices import Device, find_device

__all__ = ["NOMINAL", "Cost", "Speed", "estimate_cost"]


class Cost(NamedTuple):
    """What one run takes.

    Attributes:
        seconds: Training and measuring, on one core or as a share of a GPU.
        memory_bytes: Parameters, moments, gradient and, on the torch engine, activations.
        parameters: Number of parameters.
        is_compiled: Whether the compiled kernels train it.
        calls_s: Time that a pack of such runs takes beside, however many they are: the calls of its
            steps; 0 for the compiled kernels.
        hidden_s: The part of `seconds` in which a GPU works while the calls are made; 0 on the CPU.
        shared_bytes: Memory that a pack of such runs takes beside, however many they are.
        is_fused: Whether the fused kernel of GPUs trains it.
    """

    seconds: float
    memory_bytes: int
    parameters: int
    is_compiled: bool
    calls_s: float = 0.0
    hidden_s: float = 0.0
    shared_bytes: int = 0
    is_fused: bool = False

    def pack_bytes(self, runs: int) -> int:
        """Return the memory of a pack of so many runs."""
        return self.memory_bytes * runs + self.shared_bytes

    @property
    def goes_by_lanes(self) -> bool:
        """Whether a kernel trains lane by lane, so that padding would only make lanes longer."""
        return self.is_compiled or self.is_fused

    def pack_seconds(self, runs: int) -> float:
        """Return how long a pack of so many runs takes."""
        together = max(self.hidden_s * runs, self.calls_s)
        return (self.seconds - self.hidden_s) * runs + together

    def scaled(self, factor: float) -> "Cost":
        """Return what the run takes where everything takes `factor` times as long."""
        return self._replace(
            seconds=self.seconds * factor,
            calls_s=self.calls_s * factor,
            hidden_s=self.hidden_s * factor,
        )


class Speed(NamedTuple):
    """How a machine compares with the constants of this module.

    Attributes:
        factors: Time over the estimated time, by shape of a cell.
        default: The same for shapes that are not in `factors`.
        source: How it was found.
    """

    factors: Mapping[str, float] = MappingProxyType({})
    default: float = 1.0
    source: str = ""

    def factor(self, shape: str) -> float:
        """Return time over estimated time of runs of `shape`."""
        return self.factors.get(shape, self.default)


NOMINAL = Speed()
"""The machine that the constants were measured on."""


class Step(NamedTuple):
    """What one step of training takes.

    Attributes:
        run_s: Time of each run.
        hidden_s: The part of it in which a GPU works while the calls are made.
        calls_s: Time of the calls of a pack's step.
        flops: Operations a second of passes over data.
    """

    run_s: float
    hidden_s: float
    calls_s: float
    flops: float


def estimate_cost(cell: Cell, *, device: str | Device, engine: str) -> Cost:
    """Return the cost of one run of `cell`.

    Args:
        cell: What is trained.
        device: A device of `symstudy.study.devices`, or its name.
        engine: `auto`, `compiled` or `torch`.

    Raises:
        UnknownNameError: If there is no such device.
    """
    target = find_device(device) if isinstance(device, str) else device
    size = cell.model.size(cell.data.shape)
    if size.file_bytes:
        return reading_cost(size)
    train = cell.train
    if cell.model.reparametrise != "none":
        size = size._replace(parameters=2 * size.parameters, products=2 * size.products)
    step = find_step(cell, size, target, engine)
    steps = train.optimizer.starts * train.optimizer.passes(train.steps)
    passes = float(steps)
    if train.polish:
        passes += min(train.polish, MINIMISER_STEPS) * cell.data.shape.train / train.batch_size
    seconds = passes * step.run_s + measuring_seconds(cell, size, step.flops)
    is_compiled = is_compilable(cell, size, target, engine)
    return Cost(
        seconds,
        run_bytes(cell, size, target, is_compiled=is_compiled),
        size.parameters,
        is_compiled,
        steps * step.calls_s,
        steps * step.hidden_s,
        shared_bytes=scratch_bytes(cell, size) if is_compiled and size.channels else 0,
        is_fused=is_fusable(cell, size, target, engine),
    )


def is_compilable(cell: Cell, size: NetworkSize, target: Device, engine: str) -> bool:
    """Return whether the compiled kernels are taken to train a run."""
    return not why_not_compiled(cell, size, target, engine)


def find_step(cell: Cell, size: NetworkSize, target: Device, engine: str) -> Step:
    """Return what one step of a run of `cell` takes."""
    train = cell.train
    step_flops = 6.0 * train.batch_size * size.products
    if is_compilable(cell, size, target, engine):
        rate = ENCODER_FLOPS if size.heads else COMPILED_FLOPS
        run_s = COMPILED_STEP_S * size.stages + step_flops / rate[train.dtype]
        if size.channels:
            numbers = train.batch_size * size.activations * item_bytes(cell) / 4
            run_s = step_flops / IMAGE_FLOPS[train.dtype] + numbers * IMAGE_NUMBER_S
        return Step(run_s, 0.0, 0.0, max(step_flops / run_s, 1e9))
    if target.kind == "cpu":
        flops = target.flops[train.dtype] * (HEADS_SHARE if size.heads else 1.0)
        step = Step(EAGER_STEP_S + step_flops / flops, 0.0, EAGER_CALLS_S * size.stages, 0.0)
    elif is_fusable(cell, size, target, engine):
        step = fused_step(cell, target, step_flops)
    else:
        step = gpu_step(cell, size, target, step_flops)
    if not size.can_batch or size.is_large_call(train.batch_size, target.kind):
        # One after another, each run makes all calls for itself, and a pack saves none.
        alone_s = max(step.hidden_s, step.calls_s) + step.run_s - step.hidden_s
        step = step._replace(run_s=alone_s, hidden_s=0.0, calls_s=0.0)
    if train.entropic > 0:
        # Four passes more, over a matrix of gradients that has a row a sample.
        more = 5 * 8.0 * train.batch_size * size.parameters / MEASURE_FLOPS
        step = step._replace(run_s=10.0 * step.run_s + more, hidden_s=10.0 * step.hidden_s)
    return step._replace(flops=max(step_flops / max(step.run_s, 1e-12), 1e9))


def gpu_step(cell: Cell, size: NetworkSize, target: Device, step_flops: float) -> Step:
    """Return what one step of a run takes on a GPU, by its roofline and the calls of the host."""
    train = cell.train
    moments = train.optimizer.planned_moments
    numbers = (GPU_PARAMETER_PASSES + GPU_MOMENT_PASSES * moments) * size.parameters
    numbers += GPU_ACTIVATION_PASSES * size.activations * train.batch_size
    moved = item_bytes(cell) * numbers + drawn_bytes(cell)
    moving_s = moved / (GPU_BANDWIDTH_SHARE * target.bandwidth)
    work_s = moving_s + step_flops / (GPU_FLOPS_SHARE * target.flops[train.dtype])
    layers = len(size.hidden) + 1
    kernels = GPU_KERNELS + GPU_LAYER_KERNELS * layers + GPU_MOMENT_KERNELS * moments
    fixed_s, each_s = GPU_STEP_S, GPU_CALL_S
    if train.optimizer.counts_on_device and size.can_batch:
        fixed_s, each_s = GRAPH_STEP_S, GRAPH_CALL_S
    calls_s = size.stages * (fixed_s + each_s * kernels)
    return Step(work_s + drawing_seconds(cell), work_s, calls_s, 0.0)


def fused_step(cell: Cell, target: Device, step_flops: float) -> Step:
    """Return what one step of a run takes in the fused kernel: lanes side by side, or one alone."""
    flops = target.flops[cell.train.dtype]
    work_s = (step_flops / FUSED_FLOPS_SHARE + FUSED_STEP_FLOPS) / flops
    alone_s = FUSED_STEP_S + step_flops / FUSED_LANE_FLOPS
    return Step(work_s + drawing_seconds(cell), work_s, alone_s, 0.0)


def drawing_seconds(cell: Cell) -> float:
    """Return how long a core draws the data of one step of a run, while a GPU waits."""
    shape = cell.data.shape
    return DRAW_NOISE_S * cell.train.batch_size * shape.inputs if shape.train == 0 else 0.0


def drawn_bytes(cell: Cell) -> float:
    """Return the bytes that a GPU moves to draw the rows and the noise of one step of a run."""
    shape, train = cell.data.shape, cell.train
    rows = 0 if shape.train == 0 or train.full_batch else train.batch_size
    noise = train.batch_size * shape.outputs if cell.data.has_online_noise else 0
    return float(GPU_DRAW_BYTES * rows + GPU_NOISE_BYTES * noise)


def item_bytes(cell: Cell) -> int:
    """Return the bytes of one number of a run."""
    return 4 if cell.train.dtype == "float32" else 8


def run_bytes(cell: Cell, size: NetworkSize, target: Device, *, is_compiled: bool) -> int:
    """Return the memory that a run takes: parameters, moments, gradient, activations, data."""
    numbers = 5 * size.parameters
    if not is_compiled:
        numbers += 3 * size.activations * max(cell.train.batch_size, cell.probe.samples)
    if target.kind == "cuda":
        # On the CPU the data are in memory once; a GPU holds those of each seed of a pack beside.
        shape = cell.data.shape
        numbers += (shape.train + shape.test) * (shape.inputs + shape.outputs)
    return item_bytes(cell) * numbers


def scratch_bytes(cell: Cell, size: NetworkSize) -> int:
    """Return the memory in which the compiled kernels keep the activations of one run at a time."""
    return 2 * item_bytes(cell) * size.activations * cell.train.batch_size


def measuring_seconds(cell: Cell, size: NetworkSize, rate: float) -> float:
    """Return how long the measures of a run take.

    Args:
        cell: What is trained.
        size: Of its network.
        rate: Operations a second of passes over data.
    """
    surveyed = 2.0 * size.products * (cell.data.shape.train + cell.data.shape.test)
    # Eigenvalues take about 9 N^3 operations; the neurons' Gram matrix N^2 D.
    widest = max(size.hidden, default=0)
    layers = sum(20.0 * width**3 + 3.0 * width * width * 2 * widest for width in size.hidden)
    seconds_layers = layers / MEASURE_FLOPS + size.heads * (
        HEAD_S + 8.0 * size.head_numbers / HEAD_NUMBERS
    )
    probe = cell.probe
    return probe.num * surveyed / rate + probe.detail * (3 * surveyed / rate + seconds_layers)


def reading_cost(size: NetworkSize) -> Cost:
    """Return the cost of measuring trained weights."""
    return Cost(
        seconds=1e-3 + size.file_bytes / READ_BYTES,
        memory_bytes=2 * size.file_bytes,
        parameters=size.parameters,
        is_compiled=False,
    )
