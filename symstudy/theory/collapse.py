"""Where a symmetric state becomes stable: enough weight decay, enough noise, or some of both.

A minimum of the objective is stable by its curvature. Under SGD a state may attract although the
curvature says otherwise: the logarithm of the distance to it grows by independent random terms, and
their mean, the Lyapunov exponent, decides.

Shapes: K runs, P parameters, B samples of a batch, Q directions, M draws.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.func import jacrev, vmap

from symstudy.theory.noise import BatchLoss

__all__ = [
    "LyapunovExponents",
    "critical_regularisation",
    "lyapunov_exponents",
    "noise_critical_gamma",
]


class LyapunovExponents(NamedTuple):
    """Growth rates of u + w and u - w a step; the state u = w = 0 attracts where both are negative.

    Attributes:
        plus_K: Of u + w.
        minus_K: Of u - w.
    """

    plus_K: Float[Tensor, " runs"]
    minus_K: Float[Tensor, " runs"]


def critical_regularisation(
    loss: BatchLoss,
    theta_KP: Float[Tensor, "runs parameters"],
    basis_PQ: Float[Tensor, "parameters directions"],
    x_KBI: Float[Tensor, "runs batch ..."],
    y_KBO: Float[Tensor, "runs batch outputs"],
) -> Float[Tensor, " runs"]:
    """Return gamma_c = -lambda_min / 2 of the Hessian of the data loss along broken directions.

    A symmetric critical point is a strict local minimum of l + gamma |theta|^2 against breaking if
    and only if gamma > gamma_c: the linear term vanishes there (grad l lies in the symmetric
    subspace), and the quadratic one is b^T (H + 2 gamma) b / 2.

    Args:
        loss: Of many runs at once.
        theta_KP: A symmetric state a run.
        basis_PQ: Orthonormal basis of the broken directions, the range of I - P_G.
        x_KBI: Inputs.
        y_KBO: Targets.

    Returns:
        May be negative: then the state is stable without any penalty.

    References:
        arXiv:2309.16932 for mirror symmetries; for any compact group derived here.
    """

    def along(alpha_Q: Tensor, theta_P: Tensor, x: Tensor, y: Tensor) -> Tensor:
        return loss((theta_P + basis_PQ @ alpha_Q)[None], x[None], y[None])[0]

    origin_Q = theta_KP.new_zeros(basis_PQ.shape[1])
    # Reverse over reverse: forward mode would script its rules with what torch has deprecated.
    h_KQQ = vmap(jacrev(jacrev(along)), in_dims=(None, 0, 0, 0))(origin_Q, theta_KP, x_KBI, y_KBO)
    lowest_K: Tensor = torch.linalg.eigvalsh(h_KQQ)[:, 0]
    return -0.5 * lowest_K


def lyapunov_exponents(
    products_KM: Float[Tensor, "runs draws"],
    lr_K: Float[Tensor, " runs"],
    gamma_K: Float[Tensor, " runs"],
) -> LyapunovExponents:
    """Return E ln |1 - 2 lr gamma +- 2 lr b| for the network u w x under SGD near u = w = 0.

    There the step is linear: u +- w is multiplied by 1 - 2 lr gamma +- 2 lr b, b the mean of x y
    over the step's batch. The logarithm is a sum of independent terms, so the origin attracts
    almost surely if both exponents are negative and repels almost surely if one is positive,
    although the mean dynamics may say otherwise.

    Args:
        products_KM: Draws of b, each counting alike.
        lr_K: Learning rates.
        gamma_K: Coefficients of the squared norm.

    References:
        Derived here; the criterion is that of stochastic collapse, arXiv:2306.04251.
    """
    keep_K1 = (1.0 - 2.0 * lr_K * gamma_K)[:, None]
    step_KM = 2.0 * lr_K[:, None] * products_KM
    return LyapunovExponents(
        (keep_K1 + step_KM).abs().log().mean(dim=1), (keep_K1 - step_KM).abs().log().mean(dim=1)
    )


def noise_critical_gamma(
    products_KM: Float[Tensor, "runs draws"], lr_K: Float[Tensor, " runs"]
) -> Float[Tensor, " runs"]:
    """Return the gamma above which the origin of u w x attracts almost surely, by bisection.

    For small steps it is about m - T v, m and v the mean and the variance of x y and T = lr / S:
    regularisation and noise add up, gamma_eff = gamma + T v.

    Args:
        products_KM: Draws of the mean of x y over a batch; 2 lr |b - m| should stay below 1.
        lr_K: Learning rates.

    Raises:
        ValueError: If the mean of x y is not positive for some run: the origin is then unstable
            along u - w, and swapping the sign of w says the same.
    """
    high_K = products_KM.mean(dim=1)
    if not bool((high_K > 0).all()):
        raise ValueError(
            f"`products_KM` must have positive means, but got {high_K.min().item():.3g}. Flip the "
            "sign of the targets."
        )
    # Jensen: the exponent is at most 0 at gamma = m, so the root lies at or below it.
    spread_K = products_KM.var(dim=1, correction=0) * lr_K
    low_K = high_K - spread_K - 1e-12

    def grows(gamma_K: Tensor) -> Tensor:
        exponents = lyapunov_exponents(products_KM, lr_K, gamma_K)
        return torch.maximum(exponents.plus_K, exponents.minus_K) > 0

    for _ in range(60):
        grows_K = grows(low_K)
        low_K = torch.where(grows_K, low_K, 2.0 * low_K - high_K)
        if bool(grows_K.all()):
            break
    for _ in range(200):
        middle_K = 0.5 * (low_K + high_K)
        grows_K = grows(middle_K)
        low_K = torch.where(grows_K, middle_K, low_K)
        high_K = torch.where(grows_K, high_K, middle_K)
    return 0.5 * (low_K + high_K)
