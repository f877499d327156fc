"""Which hyperparameters matter: how differently the best runs are spread over their values."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["Importance", "ped_importance"]

PRIOR = 1.0
"""Runs that are added to each distribution, spread over its values as all runs are."""

Array = NDArray[np.float64]


class Importance(NamedTuple):
    """How much a hyperparameter matters.

    Attributes:
        divergence: Pearson's divergence of the best runs from all runs; 0 if it does not matter.
        by_chance: What it is on average if it does not matter, for so few of the best.
    """

    divergence: float
    by_chance: float


def ped_importance(everywhere: ArrayLike, best: ArrayLike) -> Importance:
    """Return the importance of a hyperparameter by PED-ANOVA.

    Args:
        everywhere: Number of runs at each of its values.
        best: Number of the best runs among them.

    References:
        Watanabe, Bansal and Hutter 2023 (arXiv:2304.10255), eq. 9, with all runs as the baseline.
        Values are taken as they are, or in equal bins, where Optuna smooths them by kernels.
    """
    every, top = np.asarray(everywhere, float), np.asarray(best, float)
    if every.sum() <= 0 or top.sum() <= 0:
        return Importance(0.0, 0.0)
    base = every / every.sum()
    share = (top + PRIOR * base) / (top.sum() + PRIOR)
    known = base > 0
    divergence = float((base[known] * (share[known] / base[known] - 1) ** 2).sum())
    count, total = float(top.sum()), float(every.sum())
    # The best are drawn without replacement from all; the prior shrinks their shares.
    shrink = (count / (count + PRIOR)) ** 2
    spare = (total - count) / max(total - 1, 1.0)
    return Importance(divergence, shrink * spare * (int(known.sum()) - 1) / count)
