"""Losses, one file each, batched over runs.

Importing this package loads no torch.
"""

from symstudy.losses.config import AbstractLoss
from symstudy.losses.own import adapt_own

__all__ = ["AbstractLoss", "adapt_own"]
