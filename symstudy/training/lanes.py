"""The lanes of a pack as the kernels know them: state and hyperparameters, row by row."""

import numpy as np
from numpy.typing import NDArray

from symstudy.kernels.lanes import Lanes
from symstudy.kernels.updates import ADAM, ADAMW, MOMENTUM, SGD
from symstudy.training.engine import LoadedPack

__all__ = ["init_scales", "make_lanes", "num_moments"]


def num_moments(pack: LoadedPack) -> int:
    """Return how many vectors like the parameters the pack's optimiser keeps beside them."""
    if pack.train.optimizer == "sgd":
        return 1 if pack.lane_values("momentum").any() else 0
    return 2


def init_scales(pack: LoadedPack) -> NDArray[np.float64]:
    """Return the scale of each run's initialisation; 1 for a model without the key."""
    return np.array([getattr(run.cell.model, "init_scale", 1.0) for run in pack.runs], np.float64)


def make_lanes(pack: LoadedPack, theta: NDArray[np.floating]) -> Lanes:
    """Return the lanes of `pack` with parameters `theta[K, P]`, moments of zero and no rates yet.

    The rates and the step belong to a block of steps and are replaced for each.
    """
    runs, size = theta.shape
    moments = num_moments(pack)
    optimizer = pack.train.optimizer

    def column(field: str) -> NDArray[np.floating]:
        return pack.lane_values(field).astype(pack.dtype)

    if optimizer == "sgd":
        code = MOMENTUM if moments else SGD
    else:
        code = ADAM if optimizer == "adam" else ADAMW
    dense = pack.model.dense
    return Lanes(
        theta=theta,
        first=np.zeros((runs, size if moments > 0 else 0), pack.dtype),
        second=np.zeros((runs, size if moments > 1 else 0), pack.dtype),
        optimizer=code,
        rate=np.zeros((runs, 0), pack.dtype),
        decay=(2.0 * pack.lane_values("gamma")).astype(pack.dtype),
        beta1=column("momentum" if optimizer == "sgd" else "beta1"),
        beta2=column("beta2"),
        epsilon=column("epsilon"),
        coefficient=np.full(runs, dense.coefficient if dense else 0.0, pack.dtype),
        sigma=pack.data.sigma.astype(pack.dtype),
        step=0,
        diverged=np.full(runs, -1, np.int64),
    )
