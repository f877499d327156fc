"""No data: for models that are measured as they are."""

import numpy as np

from symstudy.datasets.base import Task
from symstudy.datasets.configs import NoDataConfig

__all__ = ["build_none"]


def build_none(config: NoDataConfig, seed: int) -> Task:  # noqa: ARG001  # it has no keys
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
