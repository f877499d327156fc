"""Threads in which the compiled kernels work on the lanes of a pack, each on a share of them."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, final

import numpy as np
import torch
from jaxtyping import Int64
from numpy.typing import NDArray

__all__ = ["LaneThreads", "LaneWork"]

LaneWork = Callable[[NDArray[np.int64], Any], None]
"""Called with the lanes to work on and the scratch memory of one thread."""


@final
class LaneThreads:
    """A pool of threads with scratch memory for each; the kernels release Python's lock."""

    def __init__(self, make_scratch: Callable[[], Any], count: int) -> None:
        """Start `count` threads, each with what `make_scratch` returns."""
        self.scratch = [make_scratch() for _ in range(count)]
        self.pool = ThreadPoolExecutor(count)

    def run(self, lanes: Int64[np.ndarray, " chosen"], work: LaneWork) -> None:
        """Call `work` once a thread, with its share of `lanes`; return when all have ended."""
        count = len(self.scratch)
        if count == 1:
            flushing(work, np.ascontiguousarray(lanes), self.scratch[0])
            return
        futures = [
            self.pool.submit(flushing, work, np.ascontiguousarray(lanes[i::count]), scratch)
            for i, scratch in enumerate(self.scratch)
        ]
        for future in futures:
            future.result()


def flushing(work: LaneWork, lanes: NDArray[np.int64], scratch: Any) -> None:
    """Call `work` with numbers below 1e-38 taken as 0.

    Weights of dead neurons decay to such numbers, with which a processor is twenty times slower.
    """
    torch.set_flush_denormal(True)
    try:
        work(lanes, scratch)
    finally:
        torch.set_flush_denormal(False)
