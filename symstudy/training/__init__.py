"""Packed training: many runs of one shape in one process.

Importing this package loads torch.
"""

from symstudy.training.checkpoints import Checkpointer, NextAction, Paused, State
from symstudy.training.early_stopping import StopRule
from symstudy.training.loop import PackResult, Progress, train_pack

__all__ = [
    "Checkpointer",
    "NextAction",
    "PackResult",
    "Paused",
    "Progress",
    "State",
    "StopRule",
    "train_pack",
]
