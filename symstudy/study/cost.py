"""What a run costs, estimated before anything is trained.

The constants were measured by `make bench` on one core of a server processor with AVX-512; a slower
machine takes proportionally longer, which changes the size of packs little and results not at all.
"""

import itertools
from typing import NamedTuple

from symstudy.models.registry import dense_sizes
from symstudy.study.cells import Cell

__all__ = ["Cost", "estimate_cost"]

COMPILED_STEP_S = 1.5e-6
"""Time of a step of the compiled kernels that does not grow with the network."""
COMPILED_FLOPS = {"float32": 150e9, "float64": 70e9}
"""Operations a second of the compiled kernels."""
EAGER_STEP_S = 20e-6
"""Share of a run in the calls of an eager step, in a pack of a dozen runs or more."""
EAGER_FLOPS = {"float32": 30e9, "float64": 12e9}
"""Operations a second of eager packs on one core."""
GPU_FLOPS = {"float32": 10e12, "float64": 5e12}
"""Operations a second of batched products on a data-centre GPU."""
UNKNOWN_PARAMETERS = 100_000
"""Assumed size of a model whose parameters cannot be counted without building it."""
MEASURE_FLOPS = 5e9
"""Operations a second of eigenvalues and spanning trees of one layer."""
MINIMISER_STEPS = 3_000
"""Steps after which lbfgs has mostly ended; tanh networks of 16 to 64 neurons took 300 to 5,000."""


class Cost(NamedTuple):
    """What one run takes.

    Attributes:
        seconds: Training and measuring, on one core or as a share of a GPU.
        memory_bytes: Parameters, moments, gradient and activations.
        parameters: Number of parameters.
        is_compiled: Whether the compiled kernels train it.
    """

    seconds: float
    memory_bytes: int
    parameters: int
    is_compiled: bool


def estimate_cost(cell: Cell, *, device: str, engine: str) -> Cost:
    """Return the cost of one run of `cell`.

    Args:
        cell: What is trained.
        device: `cpu` or `cuda`.
        engine: `auto`, `compiled` or `torch`.
    """
    data = cell.data.shape
    train = cell.train
    sizes = dense_sizes(cell.model, data.inputs, data.outputs)
    is_entropic = train.entropic > 0
    can_compile = sizes is not None and not is_entropic and cell.model.reparametrise == "none"
    is_compiled = can_compile and device == "cpu" and engine != "torch"
    if sizes is None:
        parameters = UNKNOWN_PARAMETERS
        hidden: list[int] = []
    else:
        parameters = sum((i + 1) * o for i, o in itertools.pairwise(sizes))
        hidden = sizes[1:-1]
    if cell.model.reparametrise != "none":
        parameters *= 2
    step_flops = 6.0 * train.batch_size * parameters
    if is_compiled:
        per_step = COMPILED_STEP_S + step_flops / COMPILED_FLOPS[train.dtype]
    elif device == "cpu":
        per_step = EAGER_STEP_S + step_flops / EAGER_FLOPS[train.dtype]
    else:
        per_step = EAGER_STEP_S / 10 + step_flops / GPU_FLOPS[train.dtype]
    if is_entropic:
        # Four passes more, over a matrix of gradients that has a row a sample.
        per_step = 10.0 * per_step + 5 * 8.0 * train.batch_size * parameters / MEASURE_FLOPS
    steps = train.steps
    if train.optimizer == "lbfgs":
        # A step is little more than one pass over the data, and most restarts end early.
        steps = train.restarts * min(train.steps, MINIMISER_STEPS)
    surveyed = 2.0 * parameters * (data.train + data.test)
    # Eigenvalues take about 9 N^3 operations; the neurons' Gram matrix N^2 D.
    layers = sum(20.0 * width**3 + 3.0 * width * width * 2 * max(hidden) for width in hidden)
    rate = step_flops / max(per_step, 1e-12)
    seconds = (
        steps * per_step
        + cell.probe.num * surveyed / max(rate, 1e9)
        + cell.probe.detail * (3 * surveyed / max(rate, 1e9) + layers / MEASURE_FLOPS)
    )
    item = 4 if train.dtype == "float32" else 8
    widest = max([*hidden, data.inputs, data.outputs])
    activations = (len(hidden) + 2) * widest * max(train.batch_size, cell.probe.samples)
    per_run = item * (5 * parameters + (0 if is_compiled else 3 * activations))
    return Cost(seconds, per_run, parameters, is_compiled)
