"""The contract of a data set."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Real
from numpy.typing import NDArray

from symstudy.streams import Stream

__all__ = ["Task", "flip_labels", "one_hot"]

Target = Callable[[NDArray[np.float64]], NDArray[np.float64]]


@dataclass(frozen=True, kw_only=True)
class Task:
    """The data of all runs that share a data configuration (but its label noise) and a seed.

    A task is a pure function of both. Targets are clean: label noise belongs to the run. Arrays are
    not to be written to. Inputs are flat rows of floats, whose axes `DataShape.input_shape` tells;
    of int64 where `DataShape.is_integer`. Synthetic data is float64.

    Attributes:
        seed: Seed of what is drawn beyond these arrays: fresh inputs and label noise.
        is_classification: Whether targets are one-hot rows.
        x_train: Training inputs; empty where every batch is drawn anew.
        y_train: Training targets.
        x_test: Test inputs.
        y_test: Test targets.
        target: The function that labels fresh inputs, or None for data that cannot be drawn anew.
        input_scale: Factor on fresh standard normal inputs.
        input_map: Matrix `[inputs, inputs]` before the inputs, of the arrays and of fresh ones: row
            x is given to networks as input_map x. Targets are those of x. None for none.
    """

    seed: int
    is_classification: bool
    x_train: Real[np.ndarray, "train inputs"]
    y_train: Float[np.ndarray, "train outputs"]
    x_test: Real[np.ndarray, "test inputs"]
    y_test: Float[np.ndarray, "test outputs"]
    target: Target | None = None
    input_scale: float = 1.0
    input_map: Float[np.ndarray, "inputs inputs"] | None = None

    def fresh(
        self, step: int, steps: int, batch: int
    ) -> tuple[Float[np.ndarray, "samples inputs"], Float[np.ndarray, "samples outputs"]]:
        """Return the inputs and clean targets of `steps` batches, from the one of `step` on.

        Row s * batch + b is sample b of step `step` + s; it does not depend on how many are asked
        for.
        """
        assert self.target is not None, "only a synthetic task can be drawn anew"
        inputs = self.x_test.shape[1]
        blocks = Stream(self.seed, "fresh_inputs").normal_blocks(step, steps, batch, inputs)
        x = self.input_scale * blocks
        # Batch by batch: the last bits of a matrix product depend on how many rows it has.
        y = self.target(x)
        if self.input_map is not None:
            x = x @ self.input_map.T
        return x.reshape(steps * batch, inputs), y.reshape(steps * batch, -1)


def one_hot(labels: NDArray[np.int64], classes: int) -> NDArray[np.float64]:
    """Return a row for each of `labels` with a 1 in its place."""
    return np.eye(classes)[labels]


def flip_labels(
    y: NDArray[np.float64],
    probability: float,
    draws: NDArray[np.float64],
    shifts: NDArray[np.int64],
) -> NDArray[np.float64]:
    """Return one-hot targets in which each label is replaced by another with `probability`.

    Args:
        y: One-hot rows.
        probability: Chance that a label is replaced.
        draws: A number in (0, 1) for each row; below `probability` the label is replaced.
        shifts: By how many classes each label would move on, 1 .. classes - 1.
    """
    labels = y.argmax(axis=1)
    moved = (labels + shifts) % y.shape[1]
    return one_hot(np.where(draws < probability, moved, labels), y.shape[1])
