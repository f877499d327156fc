"""Teachers, synthetic tasks and real images.

Importing this package loads no data; `build_task` does.
"""

from symstudy.datasets.configs import (
    DataConfig,
    DataShape,
    DigitsConfig,
    IdentityConfig,
    InContextConfig,
    SpectrumConfig,
    TeacherStudentConfig,
)
from symstudy.datasets.registry import DATASETS, build_task

__all__ = [
    "DATASETS",
    "DataConfig",
    "DataShape",
    "DigitsConfig",
    "IdentityConfig",
    "InContextConfig",
    "SpectrumConfig",
    "TeacherStudentConfig",
    "build_task",
]
