"""A linear target whose singular values follow a power law, on exactly white inputs."""

from typing import Annotated, Literal

import numpy as np
from annotated_types import Ge, Gt
from numpy.typing import NDArray

from symstudy.components import DataShape, Role, component
from symstudy.datasets.base import Task
from symstudy.datasets.config import NoiseMode
from symstudy.datasets.mapped import AbstractMappedConfig
from symstudy.datasets.synthetic import labelled, orthogonal, synthetic_task
from symstudy.streams import Stream

__all__ = ["SpectrumConfig"]


@component
class SpectrumConfig(AbstractMappedConfig):
    """A linear target whose singular values follow a power law, on exactly white inputs.

    The target is y = U diag(amplitude k^-exponent) V^T x with random orthogonal U and V; the inputs
    of a fixed data set satisfy (1/n) sum x x^T = input_scale^2 I exactly. With `axes`, U and V are
    the identity and each input is a multiple of a unit vector, so that a ReLU network sees
    orthogonal inputs and non-negative targets of disjoint supports.
    """

    kind: Literal["spectrum"] = "spectrum"
    """Linear regression with a power-law spectrum."""
    input_dim: Annotated[int, Ge(1)] = 64
    """Number of inputs, of outputs and of singular values."""
    exponent: Annotated[float, Gt(0), Role.DATA] = 1.0
    """How fast the singular values fall."""
    amplitude: Annotated[float, Gt(0), Role.DATA] = 1.0
    """The largest singular value."""
    axes: bool = False
    """Whether inputs and singular vectors lie along the axes: exactly solvable for ReLU, too."""
    samples: Annotated[int, Ge(1)] = 64
    """Number of training samples of a fixed data set; at least input_dim."""
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

    def __post_init__(self) -> None:
        """Check that the inputs can be white."""
        if not self.fresh and self.samples < self.input_dim:
            raise ValueError(
                "`data.samples` must be at least `data.input_dim`, so that the inputs can be "
                f"white, but got {self.samples} and {self.input_dim}"
            )
        if self.axes and (self.fresh or self.samples % self.input_dim):
            raise ValueError(
                "`data.axes` must have a fixed data set with each axis equally often, but got "
                f"{self.samples} samples of {self.input_dim} inputs and fresh = {self.fresh}"
            )

    @property
    def shape(self) -> DataShape:
        """The sizes of this data."""
        train = 0 if self.fresh else self.samples
        return DataShape(self.input_dim, self.input_dim, train, self.test_samples, False)

    def build(self, seed: int) -> Task:
        """Return white inputs and a linear target with singular values amplitude k^-exponent."""
        dim = self.input_dim
        values = self.amplitude * np.arange(1, dim + 1, dtype=np.float64) ** -self.exponent
        if self.axes:
            return axes_task(self, seed, values)
        left = orthogonal(Stream(seed, "teacher"), dim, 0)
        right = orthogonal(Stream(seed, "teacher"), dim, 1)
        matrix = left * values @ right.T

        def target(x: NDArray[np.float64]) -> NDArray[np.float64]:
            return x @ matrix.T

        task = synthetic_task(self, seed, target)
        if self.fresh:
            return task
        basis, _ = np.linalg.qr(task.x_train)
        x_train = self.input_scale * np.sqrt(self.samples) * basis
        return labelled(seed, x_train, task.x_test, target, self.input_scale)


def axes_task(config: SpectrumConfig, seed: int, values: NDArray[np.float64]) -> Task:
    """Return inputs along the axes, each equally often, scaled by its own singular value."""
    dim = config.input_dim

    def target(x: NDArray[np.float64]) -> NDArray[np.float64]:
        return x * values

    scale = config.input_scale * np.sqrt(dim)
    x_train = scale * np.eye(dim)[np.arange(config.samples) % dim]
    x_test = scale * np.eye(dim)[np.arange(config.test_samples) % dim]
    return labelled(seed, x_train, x_test, target, config.input_scale)
