"""How the distance of distinct neurons goes with weight decay: what Conjecture 1 is judged by.

That neurons are at least c gamma apart, with one c, says nothing of any one distance: whatever was
measured is above some c gamma. It fails where the distance over gamma goes to 0, and that in two
ways. It may do so as gamma goes to 0: the exponent of the distance is above 1, which refutes. Or
the distance itself may go to 0 at a gamma of its own, as where symmetry is restored smoothly
(Landau). In a sweep such a pair comes nearer over a few gammas and is one neuron at the next; a
distance that only falls to another level looks alike. So a fall refutes nothing, and with one the
claim is not supported either. Both are numbers of a seed.

A pair nearer than the noise of copies is taken for copies, and the distance of another pair stands
in its place: the distance jumps as gamma falls. The exponent is that of the gammas above the jump.
"""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from symstudy.findings import Bound, Evidence, Needed, log_slope

__all__ = ["MIN_GAMMAS", "distance_rules", "exponent_of", "steepest_fall"]

Array = NDArray[np.float64]

MIN_GAMMAS = 5
"""Fewest gammas at which a seed must have a distance."""
WINDOW = 3
"""Neighbouring gammas over which a fall is looked for."""
MOST = 1.25
"""Largest exponent that is called at most 1."""
LEAST_FALL = -0.3
"""Slope over neighbouring gammas that is called no fall."""
JUMP = 3.0
"""Factor by which the distance grows from one gamma to the next smaller one where a pair of
neurons has become copies."""


def distance_rules(
    apart: Evidence, keys: tuple[str, ...], by: tuple[str, ...] = ()
) -> tuple[Bound, Needed]:
    """Return the rules on the exponent of the distance and on falls on the way.

    Args:
        apart: Runs with a distance, with the columns gamma and distance.
        keys: Columns whose values are told apart, beside the seed.
        by: Those of them that are judged apart.
    """
    selections, base = apart.selections, apart.base
    slopes = base.per(*keys, exponent=exponent_of, fall=steepest_fall)
    for selection in selections:
        slopes = slopes.select(selection)
    return (
        Bound(
            slopes, "exponent", at_most=MOST, by=by,
            name="exponent of the smallest distance in gamma",
        ),
        Needed(
            Bound(
                slopes, "fall", at_least=LEAST_FALL, by=by,
                name=f"least exponent over {WINDOW} neighbouring gammas",
            )
        ),
    )  # fmt: skip


def exponent_of(gamma: Array, distance: Array) -> float:
    """Return the slope of ln distance against ln gamma, from the largest gamma down to a jump.

    NaN where a seed has too few gammas there.
    """
    order = np.argsort(gamma)
    places, values = gamma[order], distance[order]
    jumps = np.flatnonzero(values[:-1] > JUMP * values[1:])
    first = int(jumps[-1]) + 1 if len(jumps) else 0
    is_short = len(np.unique(places[first:])) < MIN_GAMMAS
    return float("nan") if is_short else log_slope(places[first:], values[first:])


def steepest_fall(gamma: Array, distance: Array) -> float:
    """Return the least slope over neighbouring gammas; NaN where a seed has too few gammas."""
    places, place = np.unique(np.log(gamma), return_inverse=True)
    if len(places) < MIN_GAMMAS:
        return float("nan")
    values = np.bincount(place, np.log(distance)) / np.bincount(place)
    x, y = (sliding_window_view(each, WINDOW) for each in (places, values))
    x = x - x.mean(axis=1, keepdims=True)
    return float(((x * y).sum(axis=1) / (x * x).sum(axis=1)).min())
