"""Linear regression in context: each sequence has its own task, which its tokens are examples of.

Shapes, of the last axes: T tokens, D numbers of a token, E = D - 1 coefficients.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from annotated_types import Ge, Gt
from jaxtyping import Float
from numpy.typing import NDArray

from symstudy.components import DataShape, Role, component
from symstudy.datasets.base import Task
from symstudy.datasets.config import AbstractDatasetConfig, NoiseMode
from symstudy.streams import Stream

__all__ = ["InContextConfig", "InContextTask"]

Sequences = Callable[[NDArray[np.float64]], tuple[NDArray[np.float64], NDArray[np.float64]]]


@dataclass(frozen=True, kw_only=True)
class InContextTask(Task):
    """Sequences that each have a task of their own, which inputs alone do not tell.

    Attributes:
        sequences: From batches of standard normal numbers, `numbers` a sequence, to inputs and
            clean targets.
        numbers: How many numbers a sequence is made of.
    """

    sequences: Sequences
    numbers: int

    def fresh(
        self, step: int, steps: int, batch: int
    ) -> tuple[Float[np.ndarray, "samples inputs"], Float[np.ndarray, "samples outputs"]]:
        """Return the inputs and clean targets of `steps` batches, as `Task.fresh`."""
        stream = Stream(self.seed, "fresh_inputs")
        x, y = self.sequences(stream.normal_blocks(step, steps, batch, self.numbers))
        return x.reshape(steps * batch, -1), y.reshape(steps * batch, 1)


@component
class InContextConfig(AbstractDatasetConfig):
    """Linear regression in context: sequences of tokens, each sequence with its own task.

    The last number of a token is a linear combination of its others, whose coefficients the tokens
    of a sequence share; that of the final token is the target, and zero in the input. All else is
    standard normal.
    """

    kind: Literal["in_context"] = "in_context"
    """In-context linear regression."""
    length: Annotated[int, Ge(2)] = 8
    """Tokens of a sequence."""
    token_dim: Annotated[int, Ge(2)] = 4
    """Numbers of a token, the linear combination among them."""
    task_dim: Annotated[int, Ge(0), Role.DATA] = 0
    """Dimensions of the subspace that the coefficients of all sequences lie in; 0 for all."""
    samples: Annotated[int, Ge(1)] = 1000
    """Number of training sequences of a fixed data set."""
    test_samples: Annotated[int, Ge(1)] = 1000
    """Number of test sequences."""
    fresh: bool = True
    """Whether every batch is drawn anew instead of from a fixed data set."""
    input_scale: Annotated[float, Gt(0), Role.DATA] = 1.0
    """Factor on the tokens, before they are combined."""
    label_noise: Annotated[float, Ge(0), Role.LANE] = 0.0
    """Standard deviation of the Gaussian noise on each target."""
    noise_mode: NoiseMode = "fixed"
    """Whether the noise is drawn once a sequence, or at every step."""

    def __post_init__(self) -> None:
        """Check that the subspace has no more dimensions than the coefficients."""
        if self.task_dim > self.token_dim - 1:
            raise ValueError(
                "`data.task_dim` must be at most `data.token_dim` - 1, the number of coefficients, "
                f"but got {self.task_dim} and {self.token_dim}"
            )

    @property
    def shape(self) -> DataShape:
        """The sizes of this data."""
        train = 0 if self.fresh else self.samples
        inputs = self.length * self.token_dim
        return DataShape(inputs, 1, train, self.test_samples, False, self.length)

    def build(self, seed: int) -> Task:
        """Return sequences of tokens (u, c . u) with normal u, and the last c . u as target.

        The numbers u are input_scale times standard normal ones. The coefficients c are normal of
        covariance P / task_dim * E, with P the projection on a random subspace of `task_dim` of
        their E dimensions, the same for all sequences of a seed: the variance of the target does
        not depend on `task_dim`, and a subspace holds those of fewer dimensions.

        References:
            Garg et al. 2022, arXiv:2208.01066; arXiv:2502.05300, Fig. 10, second row.
        """
        coefficients = self.token_dim - 1
        rank = self.task_dim or coefficients
        basis, triangle = np.linalg.qr(Stream(seed, "teacher").normal(coefficients, coefficients))
        basis *= np.sign(np.diag(triangle))
        # From normal numbers to coefficients: columns of the subspace, scaled to what it lacks.
        spread_EE = np.sqrt(coefficients / rank) * (basis[:, :rank] @ basis[:, :rank].T)

        def sequences(
            draws: NDArray[np.float64],
        ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
            # Batch by batch: the last bits of a matrix product depend on how many rows it has.
            c_E = draws[..., :coefficients] @ spread_EE
            u_TE = self.input_scale * draws[..., coefficients:].reshape(
                *draws.shape[:-1], self.length, coefficients
            )
            combined_T = (u_TE * c_E[..., None, :]).sum(axis=-1)
            x_TD = np.concatenate([u_TE, combined_T[..., None]], axis=-1)
            x_TD[..., -1, -1] = 0.0
            inputs = self.shape.inputs
            return x_TD.reshape(*draws.shape[:-1], inputs), combined_T[..., -1:]

        numbers = coefficients * (self.length + 1)
        x_train, y_train = sequences(Stream(seed, "train_inputs").normal(self.shape.train, numbers))
        x_test, y_test = sequences(Stream(seed, "test_inputs").normal(self.test_samples, numbers))
        return InContextTask(
            seed=seed,
            is_classification=False,
            x_train=x_train,
            y_train=y_train,
            x_test=x_test,
            y_test=y_test,
            sequences=sequences,
            numbers=numbers,
        )
