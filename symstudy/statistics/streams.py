"""Named streams of random numbers for resampling."""

import zlib

import numpy as np

__all__ = ["generator"]


def generator(stream: str) -> np.random.Generator:
    """Return a generator that gives the same numbers each time for the same name."""
    return np.random.default_rng(zlib.crc32(stream.encode()))
