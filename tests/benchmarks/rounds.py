"""Engines timed side by side, in rounds of processor time on a machine that other work shares."""

import statistics
import time
from collections.abc import Mapping
from typing import Any, Literal

from symstudy.study import PackConfig, Run
from symstudy.training.engines.torch import TorchEngine
from symstudy.training.loop import make_pack

__all__ = ["Rounds", "time_rounds", "torch_engine"]

ROUNDS = 5
ROUND_S = 0.15
"""Processor time of one piece of a round, about."""


def torch_engine(runs: list[Run], vmap: Literal["always", "never"]) -> TorchEngine:
    """Return the torch engine of a pack, its runs in one call or one after another."""
    return TorchEngine(make_pack(runs, PackConfig(device="cpu", engine="torch", vmap=vmap)))


class Rounds:
    """What a step of one run took, way by way and round by round.

    Attributes:
        times: Microseconds, a number a round, by way.
    """

    def __init__(self, times: dict[str, list[float]]) -> None:
        """Hold what was timed."""
        self.times = times

    def median(self, way: str) -> float:
        """Return the median microseconds of a step and run."""
        return statistics.median(self.times[way])

    def over(self, way: str, other: str) -> float:
        """Return the median over rounds of the time of `way` over that of `other`."""
        pairs = zip(self.times[way], self.times[other], strict=True)
        return statistics.median(one / two for one, two in pairs)


def time_rounds(ways: Mapping[str, Any], runs: Mapping[str, int]) -> Rounds:
    """Return what a step takes, each round timing all ways one after the other.

    Args:
        ways: What is timed by `advance(first, steps)`.
        runs: How many runs each of them trains.
    """
    steps = {}
    for way, engine in ways.items():
        engine.advance(0, 1)
        start = time.process_time()
        engine.advance(1, 1)
        steps[way] = max(1, int(ROUND_S / (time.process_time() - start)))
    times: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(ROUNDS):
        for way, engine in ways.items():
            start = time.process_time()
            engine.advance(2, steps[way])
            times[way].append((time.process_time() - start) / steps[way] / runs[way] * 1e6)
    return Rounds(times)
