"""The comparison of the compiled kernels with the module that they stand for.

The kernels are made from what torch.fx sees of a module. One that goes another way in training than
in evaluation, or is changed by a hook, is more than that.

What is compared depends on the module and the shape of its data alone: seed 0, inputs and targets
from fixed streams, the squared error. So the choice of what trains a run does not depend on its
seed, its data or its pack.

Shapes: P parameters, B samples, I inputs, O outputs, S states of batch norms.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor, nn

from symstudy.components import DataShape
from symstudy.kernels.graph_pass import graph_pass, keep_statistics
from symstudy.kernels.graph_steps import compile_graph_steps
from symstudy.kernels.lanes import Samples, survey_lanes
from symstudy.kernels.layer_graph import make_graph_scratch
from symstudy.kernels.network import CHUNK, make_scratch
from symstudy.models.own.factory import ModuleFactory
from symstudy.models.own.inspection import trial_inputs
from symstudy.models.own.outputs import plain, read_returned
from symstudy.models.stacks import DenseStack, ImageStack

__all__ = ["Pass", "dense_pass", "image_pass", "is_close", "module_pass", "why_unlike"]

SAMPLES = 6
CLOSE = {"float32": 1e-3, "float64": 1e-6}
"""Largest difference that rounding makes, relative to the largest number. In float32 it makes more
where a batch norm divides by little, or a sum of a ReLU is next to 0: then float64 decides."""
STEP = 0.1
"""How far parameters are moved from where they start: biases of 0 would not show what they do."""


class Pass(NamedTuple):
    """Numbers of a forward and backward pass.

    Attributes:
        loss: Mean squared error, summed over outputs.
        gradient: By the parameters.
        buffers: Running means, variances and counts afterwards, by name in alphabetical order.
    """

    loss: float
    gradient: NDArray[np.floating]
    buffers: NDArray[np.float64]


def why_unlike(factory: ModuleFactory, data: DataShape, stack: DenseStack | ImageStack) -> str:
    """Return what the kernels make of `stack` that the module does not; empty for nothing.

    Args:
        factory: Makes the module.
        data: Shape of its data.
        stack: What torch.fx sees of it.
    """
    reason = ""
    for name, tolerance in CLOSE.items():
        try:
            reason = compare(factory, data, stack, np.dtype(name), tolerance)
        except (RuntimeError, TypeError, ValueError) as error:
            # What a hook raises of a precision that it does not expect.
            return f"in {name} it raises {type(error).__name__}: {error}"
        if not reason:
            break
    return reason


def compare(
    factory: ModuleFactory,
    data: DataShape,
    stack: DenseStack | ImageStack,
    dtype: np.dtype[np.floating],
    tolerance: float,
) -> str:
    """Return how the two differ in one precision; empty if they do not."""
    kind = torch.from_numpy(np.empty(0, dtype)).dtype
    x = trial_inputs(data, SAMPLES).to(kind)
    generator = torch.Generator().manual_seed(1)
    y_BO = torch.randn(SAMPLES, data.outputs, generator=generator).to(kind)
    for is_training in (True, False):
        module = moved(factory.make(0).to(kind)).train(is_training)
        theta_P = nn.utils.parameters_to_vector(trained(module)).detach().numpy()
        given = theta_P, x.flatten(1).numpy(), y_BO.numpy()
        if isinstance(stack, DenseStack):
            by_kernels = dense_pass(stack, *given)
        else:
            by_kernels = image_pass(stack, *given, named(module), is_training=is_training)
        by_module = module_pass(module, x, y_BO, list(norm_buffers(stack)), factory.name)
        if not is_close(by_kernels, by_module, tolerance):
            mode = "training" if is_training else "evaluation"
            return (
                f"in {mode} a loss of {by_module.loss:.9g} is {by_kernels.loss:.9g} with the "
                "kernels, or its gradient or running means differ: forward does more than its "
                "layers say"
            )
    return ""


def trained(module: nn.Module) -> list[nn.Parameter]:
    """Return the parameters that are trained."""
    return [each for each in module.parameters() if each.requires_grad]


def named(module: nn.Module) -> dict[str, Tensor]:
    """Return the buffers of a module by name, as they are now."""
    return {name: each.clone() for name, each in module.named_buffers()}


def norm_buffers(stack: DenseStack | ImageStack) -> list[str]:
    """Return the names of what batch norms hold beside their parameters, in alphabetical order."""
    return [] if isinstance(stack, DenseStack) else sorted(stack.buffer_names)


def moved(module: nn.Module) -> nn.Module:
    """Move the parameters of a module a bit, each by another number, and return it."""
    start = 0
    with torch.no_grad():
        for each in trained(module):
            places = torch.arange(start, start + each.numel(), dtype=each.dtype)
            each.add_(STEP * torch.cos(places).view(each.shape))
            start += each.numel()
    return module


def module_pass(
    module: nn.Module, x: Tensor, y_BO: Float[Tensor, "batch outputs"], held: list[str], name: str
) -> Pass:
    """Return the numbers of the module, in the mode that it is in.

    Args:
        module: A fresh one; a step changes its buffers.
        x: Inputs in their axes.
        y_BO: Targets.
        held: Names of the buffers that are compared.
        name: Of the module, for messages.
    """
    result_BO = read_returned(plain(module(x), name)).for_loss
    loss = (result_BO - y_BO).square().sum(dim=1).mean()
    parameters = trained(module)
    gradients = torch.autograd.grad(loss, parameters)
    buffers = dict(module.named_buffers())
    return Pass(
        float(loss.detach()),
        torch.cat([each.flatten() for each in gradients]).numpy(),
        np.concatenate([np.zeros(0), *(buffers[key].double().flatten().numpy() for key in held)]),
    )


def dense_pass(
    stack: DenseStack,
    theta_P: Float[np.ndarray, " parameters"],
    x_BI: Float[np.ndarray, "batch inputs"],
    y_BO: Float[np.ndarray, "batch outputs"],
) -> Pass:
    """Return the numbers of the kernels for dense layers."""
    network, zero = stack.network(), np.zeros(1, np.int64)
    rows = np.arange(len(x_BI), dtype=np.int32)
    noise = np.zeros((1, 1), theta_P.dtype)
    loss, gradient_KP = np.empty(1), np.empty_like(theta_P[None])
    survey_lanes(
        network,
        theta_P[None],
        np.full(1, stack.coefficient, theta_P.dtype),
        Samples(x_BI[None], y_BO[None], zero, zero, rows, noise),
        zero,
        make_scratch(network, CHUNK, theta_P.dtype),
        loss,
        np.empty(1),
        gradient_KP,
    )
    return Pass(float(loss[0]), gradient_KP[0], np.zeros(0))


def image_pass(
    stack: ImageStack,
    theta_P: Float[np.ndarray, " parameters"],
    x_BI: Float[np.ndarray, "batch inputs"],
    y_BO: Float[np.ndarray, "batch outputs"],
    start: Mapping[str, Tensor],
    *,
    is_training: bool,
) -> Pass:
    """Return the numbers of the kernels for convolutions.

    Args:
        stack: The network.
        theta_P: Parameters.
        x_BI: Inputs.
        y_BO: Targets.
        start: What batch norms hold, by name.
        is_training: Whether batch norms take the means of the samples, and keep them.
    """
    graph = stack.graph
    assert graph is not None, "what is compared has been followed"
    state_KS, count_K = np.zeros((1, graph.states), theta_P.dtype), np.zeros(1, np.int64)
    buffers = stack.buffers_of(torch.from_numpy(state_KS), torch.from_numpy(count_K))
    for name, tensor in buffers.items():
        tensor.copy_(start[name][None])
    scratch = make_graph_scratch(graph, len(x_BI), theta_P.dtype)
    gradient_P, zero = np.empty_like(theta_P), np.int64(0)
    loss, _ = graph_pass(
        graph,
        compile_graph_steps(theta_P.dtype.name),
        theta_P,
        state_KS[0],
        np.int64(is_training),
        x_BI,
        y_BO,
        np.arange(len(x_BI), dtype=np.int32),
        zero,
        theta_P.dtype.type(0.0),
        np.zeros((1, 1), theta_P.dtype),
        gradient_P,
        scratch,
    )
    if is_training:
        keep_statistics(graph, state_KS[0], np.int64(len(x_BI)), scratch)
        count_K += 1
    held = [buffers[name].double().flatten().numpy() for name in sorted(buffers)]
    return Pass(float(loss), gradient_P, np.concatenate([np.zeros(0), *held]))


def is_close(left: Pass, right: Pass, tolerance: float) -> bool:
    """Return whether two passes have the same numbers but for rounding."""
    for a, b in zip(left, right, strict=True):
        one, other = np.atleast_1d(np.asarray(a)), np.atleast_1d(np.asarray(b))
        scale = tolerance * max(1e-3, float(np.abs(other).max(initial=0.0)))
        if one.shape != other.shape or not np.allclose(one, other, rtol=0.0, atol=scale):
            return False
    return True
