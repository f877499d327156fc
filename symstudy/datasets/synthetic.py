"""What synthetic data sets share: Gaussian inputs, labelled by a function."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from symstudy.components import DataShape
from symstudy.datasets.base import Target, Task
from symstudy.streams import Stream

__all__ = ["labelled", "orthogonal", "synthetic_task"]


class SyntheticConfig(Protocol):
    """Keys that synthetic data sets have in common."""

    @property
    def input_dim(self) -> int:
        """Number of inputs."""

    @property
    def test_samples(self) -> int:
        """Number of test samples."""

    @property
    def input_scale(self) -> float:
        """Factor on the inputs."""

    @property
    def shape(self) -> DataShape:
        """Sizes of the data."""


def synthetic_task(config: SyntheticConfig, seed: int, target: Target) -> Task:
    """Return standard normal inputs times `input_scale`, labelled by `target`."""
    inputs = config.input_dim
    train = config.shape.train
    x_train = config.input_scale * Stream(seed, "train_inputs").normal(train, inputs)
    x_test = config.input_scale * Stream(seed, "test_inputs").normal(config.test_samples, inputs)
    return labelled(seed, x_train, x_test, target, config.input_scale)


def labelled(
    seed: int,
    x_train: NDArray[np.float64],
    x_test: NDArray[np.float64],
    target: Target,
    input_scale: float,
) -> Task:
    """Return the regression of `target` on these inputs."""
    return Task(
        seed=seed,
        is_classification=False,
        x_train=x_train,
        y_train=target(x_train),
        x_test=x_test,
        y_test=target(x_test),
        target=target,
        input_scale=input_scale,
    )


def orthogonal(stream: Stream, dim: int, block: int) -> NDArray[np.float64]:
    """Return a random orthogonal matrix, uniform over the group (Mezzadri 2007)."""
    q, r = np.linalg.qr(stream.normal(dim, dim, block=block))
    return q * np.sign(np.diag(r))
