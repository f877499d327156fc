"""Clipping of a lane's gradient to a largest norm."""

import math

from symstudy.kernels.jit import Floats, Real, compiled, compiled_sum


@compiled_sum
def squared_norm(values: Floats) -> float:
    """Return the sum of squares, in float64."""
    total = 0.0
    for i in range(values.size):
        total += float(values[i]) * float(values[i])
    return total


@compiled
def clip_to_norm(gradient: Floats, largest: Real) -> None:
    """Scale `gradient` to the norm `largest` where it is longer, as torch's `clip_grad_norm_`."""
    share = float(largest) / (math.sqrt(squared_norm(gradient)) + 1e-6)
    if share < 1.0:
        factor = gradient.dtype.type(share)
        for i in range(gradient.size):
            gradient[i] *= factor
