"""No data: for models that are measured as they are."""

from typing import ClassVar, Literal

import numpy as np

from symstudy.components import DataShape, component
from symstudy.datasets.base import Task
from symstudy.datasets.config import AbstractDatasetConfig

__all__ = ["NoDataConfig"]


@component
class NoDataConfig(AbstractDatasetConfig):
    """No data: for models that are measured as they are."""

    is_absent: ClassVar[bool] = True

    kind: Literal["none"] = "none"
    """No data; with train.optimizer "none"."""

    @property
    def shape(self) -> DataShape:
        """Nothing."""
        return DataShape(0, 0, 0, 0, is_classification=False)

    def build(self, seed: int) -> Task:
        """Return a task without samples, inputs and outputs."""
        nothing = np.empty((0, 0))
        return Task(
            seed=seed,
            is_classification=False,
            x_train=nothing,
            y_train=nothing,
            x_test=nothing,
            y_test=nothing,
        )
