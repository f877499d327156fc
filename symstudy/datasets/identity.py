"""Gaussian inputs that are their own targets."""

from typing import Annotated, Literal

import numpy as np
from annotated_types import Ge, Gt

from symstudy.components import DataShape, Role, component
from symstudy.datasets.base import Task
from symstudy.datasets.config import AbstractDatasetConfig, NoiseMode
from symstudy.datasets.synthetic import synthetic_task

__all__ = ["IdentityConfig"]


@component
class IdentityConfig(AbstractDatasetConfig):
    """Gaussian inputs that are their own targets."""

    kind: Literal["identity"] = "identity"
    """Identity regression."""
    input_dim: Annotated[int, Ge(1)] = 20
    """Number of inputs and of outputs."""
    samples: Annotated[int, Ge(1)] = 100
    """Number of training samples of a fixed data set."""
    test_samples: Annotated[int, Ge(1)] = 1000
    """Number of test samples."""
    fresh: bool = False
    """Whether every batch is drawn anew instead of from a fixed data set."""
    input_scale: Annotated[float, Gt(0), Role.DATA] = 1.0
    """Factor on the inputs."""
    label_noise: Annotated[float, Ge(0), Role.LANE] = 0.0
    """Standard deviation of the Gaussian noise on each target."""
    noise_mode: NoiseMode = "fixed"
    """Whether the noise is drawn once a sample, or at every step."""

    @property
    def shape(self) -> DataShape:
        """The sizes of this data."""
        train = 0 if self.fresh else self.samples
        return DataShape(self.input_dim, self.input_dim, train, self.test_samples, False)

    def build(self, seed: int) -> Task:
        """Return Gaussian inputs that are their own targets (arXiv:2502.05300, Fig. 3)."""
        return synthetic_task(self, seed, np.copy)
