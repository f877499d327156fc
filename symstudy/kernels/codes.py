"""Codes by which the compiled kernels know optimisers and losses; this module imports no numba."""

__all__ = ["ADAM", "ADAMW", "CROSS_ENTROPY", "MOMENTUM", "SGD", "SQUARED"]

SGD, MOMENTUM, ADAM, ADAMW = range(4)
"""Codes of the optimisers; `MOMENTUM` is SGD with a velocity."""

SQUARED, CROSS_ENTROPY = range(2)
"""Codes of the losses: sum of squares, and cross-entropy of one-hot targets."""
