"""Packed training: many runs of one shape in one process.

Importing this package loads torch.
"""

from symstudy.training.loop import PackResult, Progress, train_pack

__all__ = ["PackResult", "Progress", "train_pack"]
