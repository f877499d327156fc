"""The lanes of a pack as the kernels know them: state and hyperparameters, row by row.

Shapes: K runs, P parameters.

syre (arXiv:2408.15495) trains l(theta + theta_0) + gamma |theta|^2 with a frozen random theta_0.
The lanes hold phi = theta + theta_0, at which the network is evaluated as ever; only the penalty
knows of theta_0, as the point that it pulls to.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int64
from numpy.typing import NDArray
from torch import Tensor

from symstudy.components import Role, fields_of
from symstudy.kernels.lanes import Lanes
from symstudy.kernels.steps import KernelStep
from symstudy.layout import Layout
from symstudy.optimizers import AbstractStepOptimizer, KernelNumbers
from symstudy.streams import Stream
from symstudy.training.engines.base import LoadedPack
from symstudy.training.engines.networks import activation_coefficient
from symstudy.training.engines.rate_factors import make_rate_factors
from symstudy.width_rules import initial_deviations

__all__ = [
    "Penalty",
    "compiled_step",
    "init_scales",
    "initial_parameters",
    "is_stepped_by_kernels",
    "kernel_step",
    "lane_keys",
    "make_lanes",
    "make_penalty",
    "num_moments",
    "stepped",
]


def stepped(pack: LoadedPack) -> list[AbstractStepOptimizer]:
    """Return the optimiser of each run; none where the pack's takes no steps."""
    optimizers = [run.cell.train.optimizer for run in pack.runs]
    return [each for each in optimizers if isinstance(each, AbstractStepOptimizer)]


def num_moments(pack: LoadedPack) -> int:
    """Return how many vectors like the parameters the pack's optimiser keeps beside them."""
    lanes = stepped(pack)
    return type(lanes[0]).num_moments(lanes) if lanes else 0


def lane_keys(optimizers: Sequence[AbstractStepOptimizer]) -> dict[str, NDArray[np.float64]]:
    """Return the optimiser's own numbers of each run, by key, as columns; none without runs."""
    return {
        field.name: np.array([[getattr(each, field.name)] for each in optimizers], np.float64)
        for field in (fields_of(type(optimizers[0])) if optimizers else ())
        if field.role is Role.LANE
    }


def kernel_step(pack: LoadedPack) -> KernelStep | None:
    """Return the step of the pack's optimiser for the compiled kernels; None where it has none."""
    lanes = stepped(pack)
    return type(lanes[0]).step_in_kernels() if lanes and lanes[0].is_in_kernels else None


def compiled_step(pack: LoadedPack) -> Any:
    """Return the step of the pack's optimiser for the compiled kernels, in the pack's precision."""
    step = kernel_step(pack)
    assert step is not None, "the engine of a pack without such a step is torch's"
    return step.compiled(pack.dtype)


def is_stepped_by_kernels(pack: LoadedPack) -> bool:
    """Return whether the compiled kernels can take all steps that the pack's optimiser takes."""
    return pack.train.optimizer.trains_by != "steps" or kernel_step(pack) is not None


def init_scales(pack: LoadedPack) -> NDArray[np.float64]:
    """Return the scale of each run's initialisation; 1 for a model without the key."""
    return np.array([run.cell.model.scale for run in pack.runs], np.float64)


def initial_parameters(pack: LoadedPack) -> Float[Tensor, "runs parameters"]:
    """Return the initial parameters of each run, in the pack's precision, on the CPU."""
    scales_K = torch.from_numpy(init_scales(pack).astype(pack.dtype))
    return pack.model.initialise([run.training_seed for run in pack.runs], scales_K)


class Penalty(NamedTuple):
    """The penalty gamma sum_i stretch_i (phi_i - centre_i)^2 of each run of a pack.

    Attributes:
        centre_KP: theta_0 of each run; `[K, 0]` where no run has one, nor a stretch.
        stretch_KP: D of each run: 1, or apart from 1 to break rotations; `[K, 0]` likewise.
        is_pulled_K: 1 for a run with a centre or a stretch of its own.
    """

    centre_KP: Float[np.ndarray, "runs parameters"]
    stretch_KP: Float[np.ndarray, "runs parameters"]
    is_pulled_K: Int64[np.ndarray, " runs"]

    def offset(self, phi_KP: Float[np.ndarray, "runs size"]) -> Float[np.ndarray, "runs size"]:
        """Return theta = phi - theta_0."""
        return phi_KP - self.centre_KP if self.centre_KP.shape[1] else phi_KP

    def gradient(self, theta_KP: Float[np.ndarray, "runs size"]) -> Float[np.ndarray, "runs size"]:
        """Return D theta: half the gradient of the penalty, over gamma."""
        return self.stretch_KP * theta_KP if self.stretch_KP.shape[1] else theta_KP


def make_penalty(pack: LoadedPack) -> Penalty:
    """Return the centre and the stretch of the penalty of each run, in the pack's precision.

    A run's theta_0 is normal of standard deviation `syre` / sqrt(fan-in), for weights and biases
    alike (that of initial weights in muP), from its stream `syre`; its D is 1 + `syre_anisotropy` u
    with u uniform in (-1, 1), from its stream `syre_anisotropy`. Uniform, not normal, so that D
    stays positive and the penalty bounded below.

    References:
        arXiv:2408.15495: the losses l_r and l_ar.
    """
    size = pack.model.layout.size
    sigma_K, spread_K = pack.lane_values("syre"), pack.lane_values("syre_anisotropy")
    is_pulled_K = ((sigma_K > 0) | (spread_K > 0)).astype(np.int64)
    width = size if is_pulled_K.any() else 0
    centre_KP = np.zeros((len(sigma_K), width), pack.dtype)
    stretch_KP = np.ones((len(sigma_K), width), pack.dtype)
    scale_P = centre_scales(pack.model.layout)
    for k in np.flatnonzero(is_pulled_K).tolist():
        seed = pack.runs[k].training_seed
        if sigma_K[k] > 0:
            centre_KP[k] = sigma_K[k] * scale_P * Stream(seed, "syre").normal(size)
        if spread_K[k] > 0:
            draws_P = Stream(seed, "syre_anisotropy").uniform(size)
            stretch_KP[k] = 1.0 + spread_K[k] * (2.0 * draws_P - 1.0)
    return Penalty(centre_KP, stretch_KP, is_pulled_K)


def centre_scales(layout: Layout) -> NDArray[np.float64]:
    """Return the deviation of each parameter's theta_0 where `syre` is 1: 1 / sqrt(fan-in)."""
    deviations = zip(layout.blocks, initial_deviations(layout), strict=True)
    return np.concatenate([np.full(block.size, deviation) for block, deviation in deviations])


def make_lanes(pack: LoadedPack, theta: NDArray[np.floating]) -> Lanes:
    """Return the lanes of `pack` with parameters `theta[K, P]`, moments of zero and no rates yet.

    `theta` is the initialisation; where a run has a theta_0, it is added in place. The rates and
    the step belong to a block of steps and are replaced for each.
    """
    runs, size = theta.shape
    # The kernels know two moments; what torch steps has its own.
    moments = num_moments(pack) if is_stepped_by_kernels(pack) else 0
    optimizers = stepped(pack)
    numbers = [each.kernel_numbers() for each in optimizers] or [KernelNumbers()] * runs
    beta1, beta2, epsilon, extra = np.array(numbers, pack.dtype).T
    penalty = make_penalty(pack)
    factors = make_rate_factors(pack)
    for k in np.flatnonzero(penalty.is_pulled_K):
        theta[k] += penalty.centre_KP[k]
    return Lanes(
        theta=theta,
        first=np.zeros((runs, size if moments > 0 else 0), pack.dtype),
        second=np.zeros((runs, size if moments > 1 else 0), pack.dtype),
        is_decoupled=any(each.is_decoupled for each in optimizers),
        rate=np.zeros((runs, 0), pack.dtype),
        stop=factors.stop_KR,
        factor=factors.factor_KR.astype(pack.dtype),
        decay=(2.0 * pack.lane_values("gamma")).astype(pack.dtype),
        centre=penalty.centre_KP,
        stretch=penalty.stretch_KP,
        is_pulled=penalty.is_pulled_K,
        beta1=np.ascontiguousarray(beta1),
        beta2=np.ascontiguousarray(beta2),
        epsilon=np.ascontiguousarray(epsilon),
        extra=np.ascontiguousarray(extra),
        coefficient=np.full(runs, activation_coefficient(pack), pack.dtype),
        sigma=pack.data.sigma.astype(pack.dtype),
        clip=pack.lane_values("clip_norm").astype(pack.dtype),
        step=0,
        diverged=np.full(runs, -1, np.int64),
    )
