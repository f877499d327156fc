"""Optimisers, one file each: keys, moments, step in torch and compiled, decay budget.

Importing this package loads no torch.
"""

from symstudy.kernels.steps import KernelStep, LaneNumbers
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
    "KernelStep",
    "LaneNumbers",
    "StepNumbers",
    "adapt_own",
]
