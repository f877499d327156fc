"""Random numbers that are addressed, not drawn: Philox4x32-10.

A number is a function of a 64-bit key (the stream), a 64-bit block (a step, an epoch) and a
position in the block. So numbers do not depend on how many are asked for at a time, on order or on
the machine, nothing has to be saved in a checkpoint, and any step can be visited first.

References: Salmon, Moraes, Dror and Shaw 2011, "Parallel random numbers: as easy as 1, 2, 3";
    checked
against the known answers of Random123 (tests/kernels/test_random.py).
"""

import math

import numpy as np
from numpy.typing import NDArray

from symstudy.kernels.jit import Floats, Index, Integers, compiled, compiled_allocating

M0 = np.uint64(0xD2511F53)
M1 = np.uint64(0xCD9E8D57)
W0 = np.uint64(0x9E3779B9)
W1 = np.uint64(0xBB67AE85)
LOW = np.uint64(0xFFFFFFFF)
HALF = np.uint64(32)
UNIT = 2.0**-32


@compiled
def philox(
    key: np.uint64, block: np.uint64, position: np.uint64
) -> tuple[np.uint64, np.uint64, np.uint64, np.uint64]:
    """Return the four 32-bit words at `position` of `block` in the stream `key`."""
    k0 = key & LOW
    k1 = key >> HALF
    c0 = position & LOW
    c1 = position >> HALF
    c2 = block & LOW
    c3 = block >> HALF
    for _ in range(10):
        p0 = M0 * c0
        p1 = M1 * c2
        c0 = (p1 >> HALF) ^ c1 ^ k0
        c1 = p1 & LOW
        c2 = (p0 >> HALF) ^ c3 ^ k1
        c3 = p0 & LOW
        k0 = (k0 + W0) & LOW
        k1 = (k1 + W1) & LOW
    return c0, c1, c2, c3


@compiled
def fill_uniform(key: np.uint64, block: np.uint64, out: Floats) -> None:
    """Fill the flat float64 array `out` with numbers in (0, 1)."""
    for i in range((out.size + 3) // 4):
        words = philox(key, block, np.uint64(i))
        for j in range(min(4, out.size - 4 * i)):
            out[4 * i + j] = (float(words[j]) + 0.5) * UNIT


@compiled
def fill_normal(key: np.uint64, block: np.uint64, out: Floats) -> None:
    """Fill the flat float64 array `out` with standard normal numbers (Box and Muller 1958)."""
    for i in range((out.size + 3) // 4):
        words = philox(key, block, np.uint64(i))
        for pair in range(2):
            radius = math.sqrt(-2.0 * math.log((float(words[2 * pair]) + 0.5) * UNIT))
            angle = 2.0 * math.pi * (float(words[2 * pair + 1]) * UNIT)
            at = 4 * i + 2 * pair
            if at < out.size:
                out[at] = radius * math.cos(angle)
            if at + 1 < out.size:
                out[at + 1] = radius * math.sin(angle)


@compiled
def fill_integers(key: np.uint64, block: np.uint64, bound: Index, out: Integers) -> None:
    """Fill the flat array `out` with integers in [0, bound); the bias is below bound / 2^32."""
    for i in range((out.size + 3) // 4):
        words = philox(key, block, np.uint64(i))
        for j in range(min(4, out.size - 4 * i)):
            out[4 * i + j] = np.int64((words[j] * np.uint64(bound)) >> HALF)


@compiled
def fill_permutation(key: np.uint64, block: np.uint64, out: Integers) -> None:
    """Fill the flat array `out` with a permutation of 0 .. size - 1 (Fisher and Yates 1938)."""
    for i in range(out.size):
        out[i] = i
    for i in range(out.size - 1, 0, -1):
        words = philox(key, block, np.uint64(i))
        j = np.int64((words[0] * np.uint64(i + 1)) >> HALF)
        kept = out[i]
        out[i] = out[j]
        out[j] = kept


@compiled_allocating
def fill_shuffled_rows(key: np.uint64, start: Index, count: Index, out: Integers) -> None:
    """Fill `out` with the positions `start`, `start` + 1, ... of an endless row of permutations.

    Permutation e of 0 .. count - 1 is block e of the stream: epoch after epoch without replacement.
    """
    epoch = -1
    order = np.empty(count, np.int64)
    for i in range(out.size):
        if (start + i) // count != epoch:
            epoch = (start + i) // count
            fill_permutation(key, np.uint64(epoch), order)
        out[i] = order[(start + i) % count]


@compiled
def fill_normal_blocks(key: np.uint64, first: Index, out: NDArray[np.float64]) -> None:
    """Fill row i of `out[blocks, count]` with the block `first` + i of normal numbers."""
    for i in range(out.shape[0]):
        fill_normal(key, np.uint64(first + i), out[i])


@compiled
def fill_uniform_blocks(key: np.uint64, first: Index, out: NDArray[np.float64]) -> None:
    """Fill row i of `out[blocks, count]` with the block `first` + i of numbers in (0, 1)."""
    for i in range(out.shape[0]):
        fill_uniform(key, np.uint64(first + i), out[i])


@compiled
def fill_integer_blocks(key: np.uint64, first: Index, bound: Index, out: NDArray[np.int64]) -> None:
    """Fill row i of `out[blocks, count]` with the block `first` + i of integers in [0, bound)."""
    for i in range(out.shape[0]):
        fill_integers(key, np.uint64(first + i), bound, out[i])
