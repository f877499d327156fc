"""What samples that were given lose where training has numbers of 32 bits.

Samples of files and functions have up to 64 bits. Seconds since 1970 are rounded to multiples of
128 in 32 bits: what varies by less is one number there.
"""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from symstudy.datasets.readers.split import blocks, sum_of

if TYPE_CHECKING:
    from symstudy.datasets.config import AbstractDatasetConfig

__all__ = ["lost_in_32_bits"]

LARGEST = float(np.finfo(np.float32).max)
LARGEST_SHARE = 0.01
"""Rounding may change what varies by this share of its standard deviation."""


def lost_in_32_bits(data: "AbstractDatasetConfig") -> tuple[str, str] | None:
    """Return the key and what must hold where 32 bits do not hold the samples; None if they do.

    Args:
        data: A data set whose files have been read, or whose function has been called.
    """
    for name, train, test in data.given():
        key = name if hasattr(data, name) else "kind"
        what = too_large(name, train) or too_large(name, test) or too_coarse(name, train)
        if what:
            return key, f'{what}, or type train.dtype = "float64"'
    return None


def too_large(name: str, values: NDArray[Any]) -> str:
    """Return what must hold where a number is infinite in 32 bits; empty if none is."""
    if values.dtype != np.float64:
        return ""
    for rows in blocks(len(values)):
        block = values[rows]
        is_large = np.abs(block) > LARGEST
        if is_large.any():
            return (
                f"must be at most {LARGEST:.3g} in size in the 32 bits of train.dtype, but one of "
                f"the numbers of {name} is {float(block[is_large][0])!r}. Divide them first"
            )
    return ""


def too_coarse(name: str, values: NDArray[Any]) -> str:
    """Return what must hold where rounding changes what varies; empty if it changes little."""
    if values.dtype != np.float64 or not len(values):
        return ""
    mean = sum_of(values, (0,), None) / len(values)
    variance = (sum_of(values, (0,), mean) / len(values))[0]
    change = np.zeros_like(variance)
    varies = np.zeros(variance.shape, np.bool_)
    for rows in blocks(len(values)):
        block = values[rows]
        change += np.square(block.astype(np.float32) - block).sum(axis=0) / len(values)
        varies |= (block != values[0]).any(axis=0)
    is_lost = varies & (change > LARGEST_SHARE**2 * variance)
    if not is_lost.any():
        return ""
    column = int(is_lost.argmax())
    first = float(values[0, column])
    return (
        f"must differ by more than the 32 bits of train.dtype round away, but number {column + 1} "
        f"of the {name} of a sample is changed by more than {LARGEST_SHARE:.0%} of its standard "
        f"deviation, {float(np.sqrt(variance[column])):.3g}: {first!r} of the first sample "
        f"becomes {float(np.float32(first))!r}. Take an offset away and scale them first, as "
        "data.standardise of a file does"
    )
