"""Optimisers, one file each: keys, moments, step, kernel code and decay budget.

Importing this package loads no torch.
"""

from symstudy.optimizers.config import (
    AbstractOptimizer,
    AbstractStepOptimizer,
    KernelNumbers,
    StepNumbers,
)
from symstudy.optimizers.own import adapt_own

__all__ = [
    "AbstractOptimizer",
    "AbstractStepOptimizer",
    "KernelNumbers",
    "StepNumbers",
    "adapt_own",
]
