"""Packed training: many runs of one shape in one process.

Importing this package loads torch.
"""

from symstudy.training.checkpoints import Keeper, Paused, State, Wish
from symstudy.training.halting import Halting
from symstudy.training.loop import PackResult, Progress, train_pack

__all__ = [
    "Halting",
    "Keeper",
    "PackResult",
    "Paused",
    "Progress",
    "State",
    "Wish",
    "train_pack",
]
