"""Points that depend on no result: uniform random ones and a Sobol sequence."""

from collections.abc import Iterator, Sequence

import numpy as np

from symstudy.launch.search.history import History
from symstudy.study.search import Point
from symstudy.study.space import Dimension

__all__ = ["point_at", "random_points", "sobol_points"]

MOST_POINTS = 2**20
"""Greatest length of a sequence."""


def point_at(space: Sequence[Dimension], shares: Sequence[float]) -> Point:
    """Return the point at a share from 0 to 1 of the way through each dimension."""
    return {d.field: d.at(float(share)) for d, share in zip(space, shares, strict=True)}


def random_points(history: History) -> Iterator[Point]:
    """Yield independent points, uniform on the scale of each dimension."""
    space = history.search.space
    rng = np.random.default_rng(history.seed(str(len(history.trials))))
    while True:
        yield point_at(space, rng.random(len(space)).tolist())


def sobol_points(history: History) -> Iterator[Point]:
    """Yield the points of a scrambled Sobol sequence from the number of the next trial on.

    References:
        Owen 1998 (scrambling), by SciPy.
    """
    from scipy.stats import qmc

    space = history.search.space
    sequence = qmc.Sobol(len(space), scramble=True, rng=history.seed("sequence"))
    start = len(history.trials)
    if start:
        sequence.fast_forward(start)
    for _ in range(start, MOST_POINTS):
        (shares,) = sequence.random(1)
        yield point_at(space, shares.tolist())
