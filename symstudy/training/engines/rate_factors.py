"""Factors on the learning rates of the blocks of a network, by the width rules of muP.

Shapes: K runs, B blocks, R stretches of parameters, P parameters.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int64
from numpy.typing import NDArray

from symstudy.layout import Layout
from symstudy.models import build_model
from symstudy.training.engines.base import LoadedPack

__all__ = ["RateFactors", "make_rate_factors", "slowest_factors"]


class RateFactors(NamedTuple):
    """Stretches of the parameters of a pack's network whose learning rates have one factor.

    Attributes:
        stop_KR: Where each stretch ends, the same for all runs.
        factor_KR: Its factor.
    """

    stop_KR: Int64[np.ndarray, "runs stretches"]
    factor_KR: Float[np.ndarray, "runs stretches"]

    @property
    def are_one(self) -> bool:
        """Whether all parameters of all runs have the same learning rate."""
        return bool((self.factor_KR == 1.0).all())

    def by_parameter(self) -> Float[np.ndarray, "runs parameters"]:
        """Return the factor of each parameter."""
        lengths = np.diff(self.stop_KR[0], prepend=0)
        return np.repeat(self.factor_KR, lengths, axis=1)


def make_rate_factors(pack: LoadedPack) -> RateFactors:
    """Return the stretches of the parameters of `pack`; one of them outside of muP."""
    runs, layout = len(pack.runs), pack.model.layout
    if not is_scaled(pack):
        return RateFactors(np.full((runs, 1), layout.size, np.int64), np.ones((runs, 1)))
    factor_KB = block_factors(pack)
    stop_B = np.array([block.stop for block in layout.blocks], np.int64)
    # A stretch ends where the next block has another factor in any run, and at the end.
    ends_B = np.append((factor_KB[:, 1:] != factor_KB[:, :-1]).any(axis=0), True)
    stop_KR = np.tile(stop_B[ends_B], (runs, 1))
    return RateFactors(stop_KR, np.ascontiguousarray(factor_KB[:, ends_B]))


def is_scaled(pack: LoadedPack) -> bool:
    """Return whether learning rates of `pack` go with the width."""
    return bool(pack.model.layout.base) and pack.train.optimizer.trains_by == "steps"


def block_factors(pack: LoadedPack) -> NDArray[np.float64]:
    """Return the factor of each run and block; that of a run of a padded pack by its own width."""
    layouts: dict[str, Layout] = {}
    rows = []
    for run in pack.runs:
        cell = run.cell
        if cell.shape not in layouts:
            layouts[cell.shape] = build_model(cell.model, cell.data.shape).layout
        rows.append(cell.train.optimizer.rate_factors(layouts[cell.shape]))
    return np.array(rows, np.float64)


def slowest_factors(pack: LoadedPack) -> NDArray[np.float64]:
    """Return the factor at which the slowest weight of each run decays, over the learning rate.

    A decoupled penalty goes by the rate itself. A neuron without a signal is gone only once all of
    its weights are.
    """
    if pack.train.optimizer.is_decoupled or not is_scaled(pack):
        return np.ones(len(pack.runs))
    is_weight_B = [block.role == "weight" for block in pack.model.layout.blocks]
    slowest_K: NDArray[np.float64] = block_factors(pack)[:, is_weight_B].min(axis=1)
    return slowest_K
