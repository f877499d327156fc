"""The comparison of the compiled kernels with the module that they stand for, before either trains.

The kernels are made from what torch.fx sees of a module. One that goes another way in training than
in evaluation, or is changed by a hook, is more than that.

Shapes: K runs, P parameters, B samples.
"""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from symstudy.errors import ModelError
from symstudy.models.base import TrainingStep
from symstudy.training.engines.base import LoadedPack
from symstudy.training.engines.evaluators import TorchEvaluator
from symstudy.training.engines.lane_kernels import ImageKernels
from symstudy.training.engines.lanes import init_scales
from symstudy.training.losses import data_loss

__all__ = ["check_image_kernels"]

SAMPLES = 6
CLOSE = {"float32": 1e-2, "float64": 1e-6}
"""Largest difference that rounding makes, relative to the largest number: with few samples a batch
norm may divide by little. Another operation makes a difference of 1."""


class Pass(NamedTuple):
    """Numbers of a forward and backward pass of one run.

    Attributes:
        loss: Mean loss.
        gradient: By the parameters.
        buffers: Running means, variances and counts afterwards, by name in alphabetical order.
    """

    loss: float
    gradient: NDArray[np.floating]
    buffers: NDArray[np.float64]


def check_image_kernels(pack: LoadedPack, kernels: ImageKernels) -> None:
    """Check that `kernels` compute what the module of `pack` does, in training and in evaluation.

    Raises:
        ModelError: If they do not.
    """
    first = pack._replace(runs=pack.runs[:1], data=pack.data.part(np.zeros(1, np.int64)))
    seeds = [first.runs[0].seed]
    scales = torch.from_numpy(init_scales(first).astype(pack.dtype))
    theta_KP = pack.model.initialise(seeds, scales)
    # Biases start at 0, where what they do does not show.
    theta_KP += 0.1 * torch.cos(torch.arange(theta_KP.shape[1]).to(theta_KP.dtype))
    test = first.data.test
    x = np.ascontiguousarray(test.x[test.lane_x[0]][:SAMPLES])
    y = np.ascontiguousarray(test.y[test.lane_y[0]][:SAMPLES])
    # A batch norm of torch's refuses to train on one number.
    for is_training in (True, False) if len(x) > 1 else (False,):
        by_module = module_pass(first, theta_KP, x, y, is_training=is_training)
        loss, gradient, buffers = kernels.try_pass(
            theta_KP[0].numpy(), x, y, is_training=is_training
        )
        by_kernels = Pass(loss, gradient, buffers)
        if not is_close(by_kernels, by_module, CLOSE[pack.dtype.name]):
            mode = "training" if is_training else "evaluation"
            raise ModelError(
                f"the compiled kernels must compute what {pack.runs[0].cell.model.kind} does, but "
                f"in {mode} a loss of {by_module.loss:.9g} is {by_kernels.loss:.9g} with them, or "
                "its gradient or running means differ: forward does more than its layers say. "
                "Type pack.engine=torch."
            )


def module_pass(
    pack: LoadedPack,
    theta_KP: torch.Tensor,
    x: NDArray[np.floating],
    y: NDArray[np.floating],
    *,
    is_training: bool,
) -> Pass:
    """Return the numbers of the module."""
    seeds = (pack.runs[0].seed,)
    buffers = pack.model.initial_buffers(seeds, theta_KP.dtype)
    theta_KP = theta_KP.detach().requires_grad_(True)
    step = TrainingStep(seeds, 0) if is_training else None
    evaluator = TorchEvaluator(pack, torch.device("cpu"))
    found = evaluator.outputs(theta_KP, torch.from_numpy(x)[None], buffers, step)
    loss_K = data_loss(pack.train.loss, found.for_loss, torch.from_numpy(y)[None])
    (gradient_KP,) = torch.autograd.grad(loss_K.sum(), theta_KP)
    after = found.buffers if is_training else buffers
    held = [after[name][0].double().flatten() for name in sorted(buffers)]
    return Pass(
        float(loss_K.detach()),
        gradient_KP[0].numpy(),
        torch.cat(held).numpy() if held else np.zeros(0),
    )


def is_close(left: Pass, right: Pass, tolerance: float) -> bool:
    """Return whether two passes have the same numbers but for rounding."""
    for a, b in zip(left, right, strict=True):
        one, other = np.atleast_1d(np.asarray(a)), np.atleast_1d(np.asarray(b))
        scale = tolerance * max(1e-3, float(np.abs(other).max(initial=0.0)))
        if not np.allclose(one, other, rtol=0.0, atol=scale, equal_nan=True):
            return False
    return True
