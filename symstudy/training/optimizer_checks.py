"""Whether an optimiser of the user's own steps each run by itself, and the same whenever asked.

Shapes: K runs, P parameters.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from symstudy.components.foreign_draws import called_and_drawn
from symstudy.errors import ModelError
from symstudy.layout import Layout
from symstudy.optimizers import AbstractStepOptimizer, StepNumbers
from symstudy.training.engines.base import LoadedPack
from symstudy.training.engines.lanes import lane_keys

__all__ = ["check_own_optimizer"]

RUNS = 3
STEPS = 3
RATE, DECAY = 0.01, 0.02
CLOSE = 1e-9
"""Relative difference in float64 that rounding makes."""


def check_own_optimizer(pack: LoadedPack) -> None:
    """Check that the steps of the last of some runs do not depend on the others.

    Raises:
        ModelError: If they do, or if the optimiser draws random numbers.
    """
    last = pack.train.optimizer
    if not (isinstance(last, AbstractStepOptimizer) and ":" in last.kind):
        return
    optimizers = [run.cell.train.optimizer for run in pack.runs[-RUNS:]]
    few = [each for each in optimizers if isinstance(each, AbstractStepOptimizer)]
    # A pack of one run is tried as several like it.
    few = [*few, *few, *few][-RUNS:]
    layout = pack.model.layout
    together_KP, drawn = called_and_drawn(lambda: tried_steps(few, layout, slice(None)))
    alone_KP = tried_steps(few[-1:], layout, slice(-1, None))
    if drawn:
        raise ModelError(
            f"train.optimizer must draw no random numbers, but {last.kind} draws from "
            f"{drawn}, so that what it does depends on the pack and the process. "
            "Noise that a seed decides: train.entropic, data.label_noise, or dropout in the model."
        )
    if not torch.allclose(together_KP[-1:], alone_KP, rtol=CLOSE, atol=CLOSE, equal_nan=True):
        raise ModelError(
            f"train.optimizer must step each run by itself, but where {last.kind} takes a run "
            "depends on the other runs of its pack, or on what was stepped before. Reduce over "
            "every axis but the first, and keep what it remembers in the moments."
        )


def tried_steps(
    optimizers: Sequence[AbstractStepOptimizer], layout: Layout, rows: slice
) -> Float[Tensor, "runs parameters"]:
    """Return the parameters after some steps from numbers of which `rows` are taken."""
    cls = type(optimizers[0])
    generator = torch.Generator().manual_seed(0)
    shape = (RUNS, layout.size)
    theta_KP = torch.randn(shape, generator=generator, dtype=torch.float64)[rows]
    moments = [torch.zeros_like(theta_KP) for _ in range(cls.num_moments(optimizers))]
    keys = {name: torch.from_numpy(each) for name, each in lane_keys(optimizers).items()}
    ones_K1 = torch.ones(len(optimizers), 1, dtype=torch.float64)
    for time in range(1, STEPS + 1):
        noise_KP = torch.randn(shape, generator=generator, dtype=torch.float64)[rows]
        gradient_KP = noise_KP if cls.is_decoupled else noise_KP + DECAY * theta_KP
        columns = RATE * ones_K1, DECAY * ones_K1
        numbers = StepNumbers(*columns, time, keys, optimizers[0], layout)
        theta_KP = cls.step(theta_KP.clone(), gradient_KP, theta_KP.clone(), moments, numbers)
    return theta_KP
