"""How the distance of distinct neurons goes with weight decay: what Conjecture 1 is judged by.

That neurons are at least c gamma apart, with one c, fails in two ways. The distance over gamma may
go to 0 with gamma: the exponent of the distance is above 1. Or the distance itself may go to 0 at a
gamma of its own, as where symmetry is restored smoothly (Landau): it falls towards the largest
gammas. Both are numbers of a seed.
"""

import numpy as np
from numpy.typing import NDArray

from symstudy.findings import Bound, Evidence, log_slope

__all__ = ["MIN_GAMMAS", "distance_rules"]

Array = NDArray[np.float64]

MIN_GAMMAS = 5
"""Fewest gammas at which a seed must have a distance."""
LAST = 3
"""Gammas, the largest, over which the end is judged."""
LEAST, MOST = -0.25, 1.25
"""Exponents that are called from 0 to 1."""
LEAST_END = -0.2
"""Slope over the last gammas that is called not to fall."""


def distance_rules(
    apart: Evidence, keys: tuple[str, ...], by: tuple[str, ...] = ()
) -> tuple[Bound, Bound]:
    """Return the rules on the exponent of the distance and on its end.

    Args:
        apart: Runs with a distance, with the columns gamma and distance.
        keys: Columns whose values are told apart, beside the seed.
        by: Those of them that are judged apart.
    """
    selections, base = apart.selections, apart.base
    slopes = base.per(*keys, exponent=exponent_of, end=end_of)
    for selection in selections:
        slopes = slopes.select(selection)
    return (
        Bound(
            slopes, "exponent", at_least=LEAST, at_most=MOST, by=by,
            name="exponent of the smallest distance in gamma",
        ),
        Bound(
            slopes, "end", at_least=LEAST_END, by=by,
            name=f"exponent over the {LAST} largest gammas",
        ),
    )  # fmt: skip


def exponent_of(gamma: Array, distance: Array) -> float:
    """Return the slope of ln distance against ln gamma; NaN where a seed has too few gammas."""
    return log_slope(gamma, distance) if len(set(gamma.tolist())) >= MIN_GAMMAS else float("nan")


def end_of(gamma: Array, distance: Array) -> float:
    """Return that slope over the largest gammas."""
    if len(set(gamma.tolist())) < MIN_GAMMAS:
        return float("nan")
    last = np.isin(gamma, np.unique(gamma)[-LAST:])
    return log_slope(gamma[last], distance[last])
