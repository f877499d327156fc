"""How gradient noise restores symmetry: the entropic loss, and the covariance of gradients.

SGD with learning rate lr, batch size S and penalty gamma |theta|^2 behaves as if it descended the
entropic loss

    F(theta) = l(theta) + gamma |theta|^2 + (lr / 4) |grad l|^2 + (T / 4) Tr Sigma(theta),

T = lr / S, Sigma the covariance of the gradients of single samples (arXiv:2502.05300, Eq. 7).
Orthogonal symmetries (permutations, signs, rotations) leave F as it is, so it has symmetric states
as critical points too; along orbits of rescaling F changes, so noise picks one point of each.

Shapes: K runs, P parameters, B samples of a batch, C samples of a chunk.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

__all__ = [
    "BatchLoss",
    "CovarianceTrace",
    "covariance_trace",
    "covariance_trace_gradient",
    "entropic_loss",
    "sample_gradients",
]

BatchLoss = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Mean loss `[R]` of runs with parameters `[R, P]` on inputs `[R, B, ...]`, targets `[R, B, O]`."""

CHUNK_NUMBERS = 1 << 22
"""Gradients of single samples held at a time, in numbers."""


class CovarianceTrace(NamedTuple):
    """Trace of the covariance of per-sample gradients, and its gradient.

    Attributes:
        trace_K: Tr Sigma of each run.
        gradient_KP: Its gradient by the parameters.
    """

    trace_K: Float[Tensor, " runs"]
    gradient_KP: Float[Tensor, "runs parameters"]


def sample_gradients(
    loss: BatchLoss,
    theta_KP: Float[Tensor, "runs parameters"],
    x_KBI: Float[Tensor, "runs batch ..."],
    y_KBO: Float[Tensor, "runs batch outputs"],
    *,
    create_graph: bool = False,
) -> Float[Tensor, "runs batch parameters"]:
    """Return the gradient of the loss of each sample alone.

    Each sample is made a run of its own, which every model can already train in parallel; that is
    faster here than `torch.func.vmap` over samples, by up to 2 where gradients flow on.

    Args:
        loss: Of many runs at once.
        theta_KP: Parameters.
        x_KBI: Inputs.
        y_KBO: Targets.
        create_graph: Whether gradients flow through the result.
    """
    runs, batch = x_KBI.shape[:2]
    size = theta_KP.shape[1]
    with torch.enable_grad():
        rows = theta_KP[:, None].expand(runs, batch, size).reshape(runs * batch, size)
        if not create_graph:
            rows = rows.detach()
        if not rows.requires_grad:
            rows.requires_grad_(True)
        each = loss(
            rows,
            x_KBI.reshape(runs * batch, 1, *x_KBI.shape[2:]),
            y_KBO.reshape(runs * batch, 1, *y_KBO.shape[2:]),
        )
        (gradient,) = torch.autograd.grad(each.sum(), rows, create_graph=create_graph)
    return gradient.reshape(runs, batch, size)


def chunk_bounds(
    theta_KP: Float[Tensor, "runs parameters"], batch: int, chunk: int | None
) -> list[slice]:
    """Return the samples in slices whose gradients fit `CHUNK_NUMBERS`, or of size `chunk`."""
    size = chunk or max(1, CHUNK_NUMBERS // max(1, theta_KP.numel()))
    return [slice(first, min(first + size, batch)) for first in range(0, batch, size)]


def covariance_trace(
    loss: BatchLoss,
    theta_KP: Float[Tensor, "runs parameters"],
    x_KBI: Float[Tensor, "runs batch ..."],
    y_KBO: Float[Tensor, "runs batch outputs"],
    *,
    unbiased: bool = False,
    chunk: int | None = None,
) -> Float[Tensor, " runs"]:
    """Return Tr Sigma = mean_b |g_b|^2 - |mean_b g_b|^2; gradients flow where `theta_KP` has them.

    Args:
        loss: Of many runs at once.
        theta_KP: Parameters.
        x_KBI: Inputs: all samples, or a batch of them.
        y_KBO: Targets.
        unbiased: Divide by B - 1 and not by B: the mean over batches is then Tr Sigma of the data.
        chunk: Samples whose gradients are held at a time.
    """
    batch = x_KBI.shape[1]
    square_K = theta_KP.new_zeros(len(theta_KP))
    total_KP = torch.zeros_like(theta_KP)
    for part in chunk_bounds(theta_KP, batch, chunk):
        g_KCP = sample_gradients(
            loss, theta_KP, x_KBI[:, part], y_KBO[:, part], create_graph=theta_KP.requires_grad
        )
        square_K = square_K + g_KCP.square().sum(dim=(1, 2))
        total_KP = total_KP + g_KCP.sum(dim=1)
    trace_K = square_K / batch - (total_KP / batch).square().sum(dim=1)
    return trace_K * batch / (batch - 1) if unbiased else trace_K


def covariance_trace_gradient(
    loss: BatchLoss,
    theta_KP: Float[Tensor, "runs parameters"],
    x_KBI: Float[Tensor, "runs batch ..."],
    y_KBO: Float[Tensor, "runs batch outputs"],
    *,
    unbiased: bool = False,
    chunk: int | None = None,
) -> CovarianceTrace:
    """Return Tr Sigma and its gradient, 2 mean_b H_b (g_b - mean g), chunk by chunk.

    The mean gradient couples the samples, so a first pass finds it and a second differentiates
    mean_b (|g_b|^2 - 2 g_b . mean g) with it held fixed, which has the same gradient.

    Args:
        loss: Of many runs at once.
        theta_KP: Parameters.
        x_KBI: Inputs: all samples, or a batch of them.
        y_KBO: Targets.
        unbiased: As in `covariance_trace`.
        chunk: Samples whose gradients are held at a time.
    """
    batch = x_KBI.shape[1]
    theta_KP = theta_KP.detach()
    parts = chunk_bounds(theta_KP, batch, chunk)
    held: list[tuple[Tensor, Tensor]] = []
    total_KP = torch.zeros_like(theta_KP)
    square_K = theta_KP.new_zeros(len(theta_KP))
    for part in parts:
        leaf_KP = theta_KP.clone().requires_grad_(True)
        is_whole = len(parts) == 1
        g_KCP = sample_gradients(
            loss, leaf_KP, x_KBI[:, part], y_KBO[:, part], create_graph=is_whole
        )
        if is_whole:
            held.append((leaf_KP, g_KCP))
        total_KP += g_KCP.detach().sum(dim=1)
        square_K += g_KCP.detach().square().sum(dim=(1, 2))
    mean_KP = total_KP / batch
    gradient_KP = torch.zeros_like(theta_KP)
    for part in parts:
        if held:
            leaf_KP, g_KCP = held.pop()
        else:
            leaf_KP = theta_KP.clone().requires_grad_(True)
            g_KCP = sample_gradients(
                loss, leaf_KP, x_KBI[:, part], y_KBO[:, part], create_graph=True
            )
        surrogate = (g_KCP * (g_KCP - 2.0 * mean_KP[:, None])).sum() / batch
        if surrogate.requires_grad:
            (share_KP,) = torch.autograd.grad(surrogate, leaf_KP, allow_unused=True)
            gradient_KP += torch.zeros_like(leaf_KP) if share_KP is None else share_KP
    trace_K = square_K / batch - mean_KP.square().sum(dim=1)
    factor = batch / (batch - 1) if unbiased else 1.0
    return CovarianceTrace(factor * trace_K, factor * gradient_KP)


def entropic_loss(
    loss: BatchLoss,
    theta_KP: Float[Tensor, "runs parameters"],
    x_KBI: Float[Tensor, "runs batch ..."],
    y_KBO: Float[Tensor, "runs batch outputs"],
    *,
    gamma: float,
    lr: float,
    batch_size: int,
) -> Float[Tensor, " runs"]:
    """Return F = l + gamma |theta|^2 + (lr / 4) |grad l|^2 + (lr / (4 S)) Tr Sigma of each run.

    Args:
        loss: Of many runs at once.
        theta_KP: Parameters.
        x_KBI: All training inputs.
        y_KBO: All training targets.
        gamma: Coefficient of the squared norm.
        lr: Learning rate.
        batch_size: S, samples drawn for a step.

    References:
        arXiv:2502.05300, Eq. 7, for plain SGD; the term |grad l|^2 is that of gradient descent
        (Barrett and Dherin 2021).
    """
    leaf_KP = theta_KP.detach().requires_grad_(True)
    loss_K = loss(leaf_KP, x_KBI, y_KBO)
    (gradient_KP,) = torch.autograd.grad(loss_K.sum(), leaf_KP)
    trace_K = covariance_trace(loss, theta_KP.detach(), x_KBI, y_KBO)
    penalty_K = gamma * theta_KP.detach().square().sum(dim=1)
    slope_K = gradient_KP.square().sum(dim=1)
    return loss_K.detach() + penalty_K + lr / 4 * slope_K + lr / batch_size / 4 * trace_K
