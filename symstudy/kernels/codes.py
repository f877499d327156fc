"""Codes by which the compiled kernels know losses; this module imports no numba."""

__all__ = ["CROSS_ENTROPY", "SQUARED"]

SQUARED, CROSS_ENTROPY = range(2)
"""Codes of the losses: sum of squares, and cross-entropy of one-hot targets."""
