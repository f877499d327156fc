"""Loops over single vectors that the passes of all networks use."""

from symstudy.kernels.jit import Floats, Real, compiled_inline, compiled_sum


@compiled_inline
def fill(target: Floats, value: Real) -> None:
    """Set every item of `target` to `value`."""
    for i in range(target.size):
        target[i] = value


@compiled_inline
def copy(target: Floats, source: Floats) -> None:
    """Copy `source` over `target`."""
    for i in range(target.size):
        target[i] = source[i]


@compiled_inline
def accumulate(target: Floats, source: Floats) -> None:
    """Add `source` to `target`."""
    for i in range(target.size):
        target[i] += source[i]


@compiled_inline
def scale_by(target: Floats, factors: Floats) -> None:
    """Multiply `target` by `factors`, item by item."""
    for i in range(target.size):
        target[i] *= factors[i]


@compiled_sum
def total_of(values: Floats) -> Real:
    """Return the sum of `values`, in their own precision."""
    total = values.dtype.type(0.0)
    for i in range(values.size):
        total += values[i]
    return total
