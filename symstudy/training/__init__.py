"""Packed training: many runs of one shape in one process.

Importing this package loads torch.
"""

from symstudy.training.checkpoints import Checkpointer, NextAction, Paused, State
from symstudy.training.halting import Halting
from symstudy.training.loop import PackResult, Progress, train_pack

__all__ = [
    "Checkpointer",
    "Halting",
    "NextAction",
    "PackResult",
    "Paused",
    "Progress",
    "State",
    "train_pack",
]
