"""Random streams by seed and name.

A stream holds infinitely many blocks (one a step, say) of infinitely many numbers; any of them can
be asked for in any order, and the answer does not depend on what else was asked. Numbers are made
in float64 from 32 random bits each and handed out as NumPy arrays, the same on every device.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from symstudy.identity import stream_key

__all__ = ["Stream"]


@dataclass(frozen=True)
class Stream:
    """The random stream called `name` of the runs with `seed`.

    Attributes:
        seed: Seed of the run, at least 0.
        name: What the numbers are for, such as `initialisation`.

    Examples:
        >>> Stream(0, "example").integers(10, 4).tolist() == Stream(0, "example").integers(
        ...     10, 4
        ... ).tolist()
        True
    """

    seed: int
    name: str

    @property
    def key(self) -> np.uint64:
        """The key of the generator."""
        return np.uint64(stream_key(self.seed, self.name))

    def uniform(self, *shape: int, block: int = 0) -> NDArray[np.float64]:
        """Return an array of `shape` of numbers from (0, 1)."""
        from symstudy.kernels import random

        out = np.empty(math.prod(shape))
        random.fill_uniform(self.key, np.uint64(block), out)
        return out.reshape(shape)

    def normal(self, *shape: int, block: int = 0) -> NDArray[np.float64]:
        """Return an array of `shape` of standard normal numbers."""
        from symstudy.kernels import random

        out = np.empty(math.prod(shape))
        random.fill_normal(self.key, np.uint64(block), out)
        return out.reshape(shape)

    def normal_blocks(self, first: int, count: int, *shape: int) -> NDArray[np.float64]:
        """Return `[count, *shape]` standard normal numbers, row i from block `first` + i."""
        from symstudy.kernels import random

        out = np.empty((count, math.prod(shape)))
        random.fill_normal_blocks(self.key, first, out)
        return out.reshape(count, *shape)

    def uniform_blocks(self, first: int, count: int, *shape: int) -> NDArray[np.float64]:
        """Return `[count, *shape]` numbers from (0, 1), row i from block `first` + i."""
        from symstudy.kernels import random

        out = np.empty((count, math.prod(shape)))
        random.fill_uniform_blocks(self.key, first, out)
        return out.reshape(count, *shape)

    def integers(self, bound: int, *shape: int, block: int = 0) -> NDArray[np.int64]:
        """Return an array of `shape` of integers from 0 to `bound` - 1."""
        from symstudy.kernels import random

        out = np.empty(math.prod(shape), np.int64)
        random.fill_integers(self.key, np.uint64(block), bound, out)
        return out.reshape(shape)

    def integer_blocks(self, bound: int, first: int, count: int, *shape: int) -> NDArray[np.int64]:
        """Return `[count, *shape]` integers below `bound`, row i from block `first` + i."""
        from symstudy.kernels import random

        out = np.empty((count, math.prod(shape)), np.int64)
        random.fill_integer_blocks(self.key, first, bound, out)
        return out.reshape(count, *shape)

    def permutation(self, count: int, block: int = 0) -> NDArray[np.int64]:
        """Return a permutation of 0 .. `count` - 1."""
        from symstudy.kernels import random

        out = np.empty(count, np.int64)
        random.fill_permutation(self.key, np.uint64(block), out)
        return out

    def shuffled(self, start: int, length: int, count: int) -> NDArray[np.int64]:
        """Return `length` places from `start` on of permutations of 0 .. `count` - 1 in a row."""
        from symstudy.kernels import random

        out = np.empty(length, np.int64)
        random.fill_shuffled_rows(self.key, start, count, out)
        return out
