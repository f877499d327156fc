"""What a run costs, estimated before anything is trained.

The constants were measured by `make bench` on one core of a server processor with AVX-512; a slower
machine takes proportionally longer, which changes the size of packs little and results not at all.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from symstudy.components import NetworkSize
from symstudy.optimizers.lbfgs import MINIMISER_STEPS
from symstudy.study.cells import Cell
from symstudy.study.devices import Device, find_device
from symstudy.study.train import Train

__all__ = ["NOMINAL", "Cost", "Speed", "estimate_cost"]

COMPILED_STEP_S = 1.5e-6
"""Time of a step of the compiled kernels that does not grow with the network."""
COMPILED_FLOPS = {"float32": 150e9, "float64": 70e9}
"""Operations a second of the compiled kernels."""
EAGER_STEP_S = 20e-6
"""Share of a run in the calls of an eager step, in a pack of a dozen runs or more."""
EAGER_CALLS_S = 0.3e-3
"""Time of the calls of one eager step on the CPU, whatever the runs: what a pack less saves. It is
the step of a pack of one run of width 8 to 16 in `python tests/benchmarks/padding.py`, where it
parts what padding gains from what it loses. Nobody has measured padding on a GPU: there the rule is
the same, with the numbers of a GPU."""
GPU_CALLS_S = 0.3e-3
"""Time of the calls of one packed step on a GPU: more runs are free until their work exceeds it."""
HEADS_SHARE = 0.5
"""Operations a second of transformers over those of dense networks, in packs on the CPU: heads of 8
to 16 numbers on 8 to 16 tokens, `python tests/benchmarks/transformer.py`."""
HEAD_S = 30e-6
"""Time of the singular values of one head's products."""
HEAD_NUMBERS = 50e6
"""Numbers of a head's matrices of which the triangle is found in a second."""
MEASURE_FLOPS = 5e9
"""Operations a second of eigenvalues and spanning trees of one layer."""
READ_BYTES = 40e6
"""Bytes of a file of weights that are read and measured in a second, mostly by QR decompositions:
ViT-B/16 took 4 s and ViT-L/16 20 s, and plain ranks as long again."""


class Cost(NamedTuple):
    """What one run takes.

    Attributes:
        seconds: Training and measuring, on one core or as a share of a GPU.
        memory_bytes: Parameters, moments, gradient and activations.
        parameters: Number of parameters.
        is_compiled: Whether the compiled kernels train it.
        calls_s: Time that a pack of such runs takes beside, however many they are: the calls of its
            steps; 0 for the compiled kernels.
    """

    seconds: float
    memory_bytes: int
    parameters: int
    is_compiled: bool
    calls_s: float = 0.0

    def pack_seconds(self, runs: int) -> float:
        """Return how long a pack of so many runs takes."""
        return self.seconds * runs + self.calls_s

    def scaled(self, factor: float) -> "Cost":
        """Return what the run takes where everything takes `factor` times as long."""
        return self._replace(seconds=self.seconds * factor, calls_s=self.calls_s * factor)


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


def estimate_cost(cell: Cell, *, device: str, engine: str) -> Cost:
    """Return the cost of one run of `cell`.

    Args:
        cell: What is trained.
        device: Name of a device: `cpu`, `cuda`, or a certain GPU of `symstudy.study.devices`.
        engine: `auto`, `compiled` or `torch`.

    Raises:
        UnknownNameError: If there is no such device.
    """
    target = find_device(device)
    size = cell.model.size(cell.data.shape)
    if size.file_bytes:
        return reading_cost(size)
    is_cpu = target.kind == "cpu"
    train = cell.train
    if cell.model.reparametrise != "none":
        size = size._replace(
            parameters=2 * size.parameters, products=2 * size.products, is_dense=False
        )
    is_compiled = size.is_dense and train.entropic == 0 and is_cpu and engine != "torch"
    step_flops = 6.0 * train.batch_size * size.products
    per_step = step_seconds(size, train, step_flops, target, is_compiled=is_compiled)
    steps = train.optimizer.starts * train.optimizer.passes(train.steps)
    polishing = 0.0
    if train.polish:
        passes = min(train.polish, MINIMISER_STEPS) * cell.data.shape.train / train.batch_size
        polishing = passes * per_step
    rate = max(step_flops / max(per_step, 1e-12), 1e9)
    seconds = steps * per_step + polishing + measuring_seconds(cell, size, rate)
    item = 4 if train.dtype == "float32" else 8
    activations = size.activations * max(train.batch_size, cell.probe.samples)
    per_run = item * (5 * size.parameters + (0 if is_compiled else 3 * activations))
    calls = 0.0 if is_compiled else steps * (EAGER_CALLS_S if is_cpu else GPU_CALLS_S)
    return Cost(seconds, per_run, size.parameters, is_compiled, calls * size.stages)


def step_seconds(
    size: NetworkSize, train: Train, step_flops: float, target: Device, *, is_compiled: bool
) -> float:
    """Return how long one step of a run takes."""
    if is_compiled:
        per_step = COMPILED_STEP_S + step_flops / COMPILED_FLOPS[train.dtype]
    else:
        share = EAGER_STEP_S if target.kind == "cpu" else EAGER_STEP_S / 10
        flops = target.flops[train.dtype] * (HEADS_SHARE if size.heads else 1.0)
        per_step = share + step_flops / flops
    if train.entropic > 0:
        # Four passes more, over a matrix of gradients that has a row a sample.
        per_step = 10.0 * per_step + 5 * 8.0 * train.batch_size * size.parameters / MEASURE_FLOPS
    return per_step


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
