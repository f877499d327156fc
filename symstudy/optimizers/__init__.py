"""Optimisers, one file each: keys, moments, step, kernel code and decay budget.

Importing this package loads no torch.
"""

from symstudy.optimizers.config import (
    AbstractOptimizer,
    AbstractStepOptimizer,
    KernelNumbers,
    StepNumbers,
)

__all__ = ["AbstractOptimizer", "AbstractStepOptimizer", "KernelNumbers", "StepNumbers"]
