"""Threads in which the compiled kernels work on the lanes of a pack, each on a share of them."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, final

import numpy as np
from jaxtyping import Int64
from numpy.typing import NDArray

from symstudy.kernels.passes import AnyNetwork, scratch_of

__all__ = ["LaneThreads", "LaneWork"]

LaneWork = Callable[[NDArray[np.int64], Any], None]
"""Called with the lanes to work on and the scratch memory of one thread."""


@final
class LaneThreads:
    """A pool of threads with scratch memory for each; the kernels release Python's lock."""

    def __init__(self, network: AnyNetwork, dtype: np.dtype[np.floating], count: int) -> None:
        """Start `count` threads for the layers of `network` in the precision `dtype`."""
        self.scratch = [scratch_of(network, dtype) for _ in range(count)]
        self.pool = ThreadPoolExecutor(count)

    def run(self, lanes: Int64[np.ndarray, " chosen"], work: LaneWork) -> None:
        """Call `work` once a thread, with its share of `lanes`; return when all have ended."""
        count = len(self.scratch)
        if count == 1:
            work(np.ascontiguousarray(lanes), self.scratch[0])
            return
        futures = [
            self.pool.submit(work, np.ascontiguousarray(lanes[i::count]), scratch)
            for i, scratch in enumerate(self.scratch)
        ]
        for future in futures:
            future.result()
