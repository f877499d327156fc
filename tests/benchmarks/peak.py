"""The most arithmetic that one core can do: fused multiply-adds on registers, and nothing else."""

import time

import numpy as np

from symstudy.kernels.jit import Floats, Index, compiled
from symstudy.kernels.tiles import WIDE, make_tile
from symstudy.kernels.vector_instructions import VECTOR_BYTES

__all__ = ["multiply_add_peak"]

ROWS = 6
COLUMNS = WIDE * (VECTOR_BYTES // 4)
DEPTH = 20_000
REPEATS = 500
tile = make_tile(ROWS, WIDE)


@compiled
def many(c: Floats, a: Floats, b: Floats, depth: Index, step: Index) -> None:
    """Multiply and add `depth` times into each register of a tile; numbers lie `step` apart.

    With a `step` of 0 they are the same each time. The compiler may not know: it would add a
    product once, times the number of rounds.
    """
    zero = np.int64(0)
    tile(c, zero, np.int64(COLUMNS), a, zero, np.int64(1), step, b, zero, step, depth, zero)


def multiply_add_peak() -> float:
    """Return the float32 operations a second of one core.

    It is the best of many tries of a tenth of a millisecond: other programs cannot reach them all.
    """
    c = np.zeros(ROWS * COLUMNS, np.float32)
    a, b = np.full(ROWS, 0.5, np.float32), np.full(COLUMNS, 0.5, np.float32)
    seconds = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        many(c, a, b, np.int64(DEPTH), np.int64(0))
        seconds.append(time.perf_counter() - start)
    return 2.0 * ROWS * COLUMNS * DEPTH / min(seconds[1:])
