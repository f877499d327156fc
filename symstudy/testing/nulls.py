"""Noise with median 0 for planted nulls: normal, skewed and discrete."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

__all__ = ["NOISES"]

Noise = Callable[[np.random.Generator, tuple[int, ...]], NDArray[np.float64]]

NOISES: dict[str, Noise] = {
    "normal": lambda rng, shape: rng.normal(size=shape),
    "skewed up": lambda rng, shape: rng.exponential(size=shape) - np.log(2.0),
    "skewed down": lambda rng, shape: np.log(2.0) - rng.exponential(size=shape),
    "discrete": lambda rng, shape: rng.choice([-1.0, 1.0], size=shape),
    "uneven": lambda rng, shape: rng.choice([-0.01, 3.0], size=shape),
}
"""By name: from a generator and a shape to noise that is below 0 in half of the cases."""
