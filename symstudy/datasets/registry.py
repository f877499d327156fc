"""The data sets by name; a data set's module is imported when it is built."""

import functools
import importlib
from typing import TYPE_CHECKING, NamedTuple

from symstudy.datasets.configs import (
    DataConfig,
    DigitsConfig,
    IdentityConfig,
    InContextConfig,
    NoDataConfig,
    SpectrumConfig,
    TeacherStudentConfig,
)

if TYPE_CHECKING:
    from symstudy.datasets.base import Task

__all__ = ["DATASETS", "DatasetEntry", "build_task"]


class DatasetEntry(NamedTuple):
    """One kind of data.

    Attributes:
        config: Dataclass of its keys in a study file.
        builder: Import path of the function that builds it, `module:function`.
    """

    config: type[DataConfig]
    builder: str


DATASETS: dict[str, DatasetEntry] = {
    "teacher_student": DatasetEntry(
        TeacherStudentConfig, "symstudy.datasets.synthetic:build_teacher_student"
    ),
    "identity": DatasetEntry(IdentityConfig, "symstudy.datasets.synthetic:build_identity"),
    "spectrum": DatasetEntry(SpectrumConfig, "symstudy.datasets.synthetic:build_spectrum"),
    "in_context": DatasetEntry(InContextConfig, "symstudy.datasets.in_context:build_in_context"),
    "digits": DatasetEntry(DigitsConfig, "symstudy.datasets.digits:build_digits"),
    "none": DatasetEntry(NoDataConfig, "symstudy.datasets.absent:build_none"),
}


@functools.lru_cache(maxsize=256)
def build_task(config: DataConfig, seed: int) -> "Task":
    """Return the data that `config` describes for the runs with `seed`; kept for the next pack."""
    path, _, name = DATASETS[config.kind].builder.partition(":")
    task: Task = getattr(importlib.import_module(path), name)(config, seed)
    return task
