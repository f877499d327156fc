"""Data sets, one file each: teachers, synthetic tasks and real images.

Importing this package loads no data; `build_task` does.
"""

from symstudy.datasets.base import Task
from symstudy.datasets.config import AbstractDatasetConfig, build_task
from symstudy.datasets.own import adapt_own

__all__ = ["AbstractDatasetConfig", "Task", "adapt_own", "build_task"]
