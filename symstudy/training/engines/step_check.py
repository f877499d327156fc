"""The comparison of an optimiser's compiled step with its step in torch, before either trains.

Compiled code cannot say that it reads what is not there, and a step that differs from torch's would
give other numbers on another device. So both take a few steps, the compiled one still in Python.

Shapes: K runs, P parameters.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from symstudy.kernels.steps import KernelStep, LaneNumbers
from symstudy.layout import Block, Layout
from symstudy.optimizers import AbstractStepOptimizer, StepNumbers
from symstudy.training.engines.lanes import lane_keys

__all__ = ["check_kernel_step"]

RUNS = 3
PARAMETERS = 3
STEPS = 3
RATE, DECAY = 0.01, 0.02
LAYOUT = Layout(
    blocks=(
        Block(name="bias", shape=(PARAMETERS,), offset=0, axes=("out",), role="bias", fan_in=1),
    )
)
MOST_MOMENTS = 2
TOLERANCE = 1e-9


def check_kernel_step(optimizers: Sequence[AbstractStepOptimizer]) -> None:
    """Check that the compiled step of the optimiser of a pack is its step in torch.

    Args:
        optimizers: Of each run; the first few are compared, in float64.

    Raises:
        ModelError: If it is not, or uses moments that the optimiser does not keep.
    """
    cls = type(optimizers[0])
    step, moments = cls.step_in_kernels(), cls.num_moments(optimizers)
    assert step is not None, "a step that is not there is not compared"
    if moments > MOST_MOMENTS:
        raise step.refusal(f"have an optimiser of at most {MOST_MOMENTS} moments", str(moments))
    few = optimizers[:RUNS]
    expected_KP = steps_in_torch(few, moments)
    try:
        found_KP = steps_in_python(few, step, moments)
    except (AttributeError, IndexError, NameError) as error:
        what = f"run in Python, with {moments} moments as `num_moments` says"
        raise step.refusal(what, f"{type(error).__name__}: {error}") from error
    error_KP = np.nan_to_num(np.abs(found_KP - expected_KP), nan=np.inf)
    if not np.allclose(error_KP, 0.0, atol=TOLERANCE):
        worst = np.unravel_index(np.argmax(error_KP), error_KP.shape)
        raise step.refusal(
            f"be the step in torch of {cls.__name__!r}, which takes a parameter to "
            f"{expected_KP[worst]:.9g} in {STEPS} steps",
            f"{found_KP[worst]:.9g} (look at `kernel_numbers` and `is_decoupled` too)",
        )


def start(runs: int) -> NDArray[np.float64]:
    """Return parameters to compare steps at."""
    return np.linspace(-1.0, 1.2, runs * PARAMETERS).reshape(runs, PARAMETERS)


def steps_in_torch(
    optimizers: Sequence[AbstractStepOptimizer], moments: int
) -> NDArray[np.float64]:
    """Return the parameters `[K, P]` after some steps in torch."""
    cls = type(optimizers[0])
    theta_KP = torch.from_numpy(start(len(optimizers)))
    kept = [torch.zeros_like(theta_KP) for _ in range(moments)]
    ones_K1 = torch.ones(len(optimizers), 1, dtype=torch.float64)
    keys = {name: torch.from_numpy(value) for name, value in lane_keys(optimizers).items()}
    for time in range(1, STEPS + 1):
        gradient_KP = theta_KP.sin()
        if not cls.is_decoupled:
            gradient_KP = gradient_KP + DECAY * theta_KP
        columns = RATE * ones_K1, DECAY * ones_K1
        numbers = StepNumbers(*columns, time, keys, optimizers[0], LAYOUT)
        theta_KP = cls.step(theta_KP, gradient_KP, theta_KP, kept, numbers)
    moved: NDArray[np.float64] = theta_KP.numpy()
    return moved


def steps_in_python(
    optimizers: Sequence[AbstractStepOptimizer], step: KernelStep, moments: int
) -> NDArray[np.float64]:
    """Return the parameters `[K, P]` after some steps of the function that is to be compiled."""
    theta_KP = start(len(optimizers))
    is_decoupled = type(optimizers[0]).is_decoupled
    coupled, shrink = (0.0, 1.0 - RATE * DECAY) if is_decoupled else (DECAY, 1.0)
    for theta, optimizer in zip(theta_KP, optimizers, strict=True):
        first, second = (np.zeros(PARAMETERS if moments > place else 0) for place in range(2))
        for time in range(1, STEPS + 1):
            numbers = LaneNumbers(RATE, coupled, shrink, *optimizer.kernel_numbers(), time)
            step.function(theta, first, second, np.sin(theta), numbers)
    return theta_KP
