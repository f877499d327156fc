"""Linear regression in context: each sequence has its own task, which its tokens are examples of.

Shapes, of the last axes: T tokens, D numbers of a token, E = D - 1 coefficients.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from symstudy.datasets.base import Task
from symstudy.datasets.configs import InContextConfig
from symstudy.streams import Stream

__all__ = ["InContextTask", "build_in_context"]

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


def build_in_context(config: InContextConfig, seed: int) -> Task:
    """Return sequences of tokens (u, c . u) with normal u, and the last c . u as target.

    The numbers u are input_scale times standard normal ones. The coefficients c are normal of
    covariance P / task_dim * E, with P the projection on a random subspace of `task_dim` of their E
    dimensions, the same for all sequences of a seed: the variance of the target does not depend on
    `task_dim`, and a subspace holds those of fewer dimensions.

    References:
        Garg et al. 2022, arXiv:2208.01066; arXiv:2502.05300, Fig. 10, second row.
    """
    coefficients = config.token_dim - 1
    rank = config.task_dim or coefficients
    basis, triangle = np.linalg.qr(Stream(seed, "teacher").normal(coefficients, coefficients))
    basis *= np.sign(np.diag(triangle))
    # From normal numbers to coefficients: the columns of the subspace, scaled up to what it lacks.
    spread_EE = np.sqrt(coefficients / rank) * (basis[:, :rank] @ basis[:, :rank].T)

    def sequences(draws: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        # Batch by batch: the last bits of a matrix product depend on how many rows it has.
        c_E = draws[..., :coefficients] @ spread_EE
        u_TE = config.input_scale * draws[..., coefficients:].reshape(
            *draws.shape[:-1], config.length, coefficients
        )
        combined_T = (u_TE * c_E[..., None, :]).sum(axis=-1)
        x_TD = np.concatenate([u_TE, combined_T[..., None]], axis=-1)
        x_TD[..., -1, -1] = 0.0
        inputs = config.shape.inputs
        return x_TD.reshape(*draws.shape[:-1], inputs), combined_T[..., -1:]

    numbers = coefficients * (config.length + 1)
    x_train, y_train = sequences(Stream(seed, "train_inputs").normal(config.shape.train, numbers))
    x_test, y_test = sequences(Stream(seed, "test_inputs").normal(config.test_samples, numbers))
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
