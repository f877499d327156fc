"""CMA-ES: generations of points from a normal distribution that adapts to the best of them.

The strategy is replayed from its first generation each time, with the values that the trials have
by then. Its state is never stored, so nothing that is read from a study's folder is unpickled.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from symstudy.launch.search.history import History
from symstudy.launch.search.sequences import point_at
from symstudy.study.search import Point

__all__ = ["evolve"]

MOST_GENERATIONS = 10_000
START_WIDTH = 0.25
"""Standard deviation of the first generation, as a share of each range."""


def evolve(history: History) -> Iterator[Point]:
    """Yield the points of the first generation that has not ended; none while it is open.

    A generation has as many points as the method's rule of thumb asks for, or the search's batch
    if that is larger. A trial without a value counts as the worst of its generation.

    References:
        Hansen 2016, arXiv:1604.00772 (the method, with its bounds by resampling).
    """
    strategy = make_strategy(history)
    search = history.search
    sign = 1.0 if search.config.direction == "minimize" else -1.0
    ended = {a.trial.cell.cell_id: a for a in history.trials if not a.is_open}
    for _ in range(MOST_GENERATIONS):
        shares = [strategy.ask() for _ in range(strategy.population_size)]
        points = [point_at(search.space, x.tolist()) for x in shares]
        cells = [cell.cell_id for cell in search.cells(history.branch, points)]
        if not all(cell in ended for cell in cells):
            yield from points
            return
        # Of this generation alone, so that a replay tells the strategy what it was told before.
        found = history.values([ended[cell] for cell in cells])
        worst = max((sign * v for v in found if v is not None), default=0.0)
        values = [worst + 1.0 if v is None else sign * v for v in found]
        strategy.tell(list(zip(shares, values, strict=True)))


def make_strategy(history: History) -> Any:
    """Return the strategy before its first generation, on the unit cube."""
    import cmaes

    dimensions = len(history.search.space)
    usual = 4 + int(3 * np.log(dimensions))
    return cmaes.CMA(
        mean=np.full(dimensions, 0.5),
        sigma=START_WIDTH,
        bounds=np.tile([0.0, 1.0], (dimensions, 1)),
        seed=history.seed("strategy"),
        population_size=max(usual, history.search.config.batch),
    )
