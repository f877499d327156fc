"""The workload of the benchmarks: three weight layers on a teacher's regression.

One process, one thread: every competitor gets the same networks, data sizes and numbers of steps.
"""

import statistics
import time
from collections.abc import Callable
from typing import NamedTuple

from symstudy.study import Study, make_study

__all__ = ["BATCH", "DIM", "Sizes", "median_seconds", "study_of"]

DIM = 10
BATCH = 32


class Sizes(NamedTuple):
    """Layer sizes of a network.

    Attributes:
        width: Neurons of both hidden layers.
    """

    width: int

    @property
    def parameters(self) -> int:
        """Number of weights and biases."""
        width = self.width
        return DIM * width + width + width * width + width + width * DIM + DIM

    def flops(self) -> float:
        """Multiplications and additions of one step of one run."""
        width = self.width
        weights = DIM * width + width * width + width * DIM
        # Forward, the weights' gradient, and the inputs' gradient of all layers but the first.
        return 2.0 * BATCH * (2 * weights + weights - DIM * width)


def study_of(widths: list[int], runs: int, steps: int, optimizer: str, name: str) -> Study:
    """Return a study of `runs` runs that differ in gamma and seed, spread over `widths`."""
    seeds = max(1, runs // len(widths) // 8)
    return make_study(
        {
            "schema": 1,
            "name": name,
            "title": "Benchmark",
            "model": {"kind": "fcn", "depth": 3, "activation": "tanh"},
            "data": {
                "kind": "teacher_student",
                "input_dim": DIM,
                "output_dim": DIM,
                "samples": 256,
                "test_samples": 256,
            },
            "train": {"optimizer": optimizer, "lr": 1e-3, "batch_size": BATCH, "steps": steps},
            "sweep": {
                "model.width": widths,
                "train.gamma": [0.0, 1e-5, 1e-4, 1e-3, 2e-3, 5e-3, 0.01, 0.02],
                "seed": seeds,
            },
            "probe": {"num": 2, "detail": 1},
            "pack": {"certify": 0, "device": "cpu"},
        }
    )


def median_seconds(call: Callable[[], object], repeats: int = 5) -> float:
    """Return the median wall time of `call`, after one call that does not count."""
    call()
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)
