"""A random network of the same family labels Gaussian inputs."""

import itertools
from collections.abc import Callable
from typing import Annotated, Literal

import numpy as np
from annotated_types import Ge, Gt, Le
from numpy.typing import NDArray

from symstudy.components import DataShape, Role, component
from symstudy.datasets.base import Task
from symstudy.datasets.config import NoiseMode
from symstudy.datasets.mapped import AbstractMappedConfig
from symstudy.datasets.synthetic import orthogonal, synthetic_task
from symstudy.streams import Stream

__all__ = ["TeacherStudentConfig", "teacher_weights"]

TEACHER_ACTIVATIONS: dict[str, Callable[[NDArray[np.float64]], NDArray[np.float64]]] = {
    "tanh": np.tanh,
    "silu": lambda z: z / (1.0 + np.exp(-z)),
    "relu": lambda z: np.maximum(z, 0.0),
    "sin": np.sin,
    "linear": lambda z: z,
}


@component
class TeacherStudentConfig(AbstractMappedConfig):
    """A random network of the same family labels Gaussian inputs."""

    kind: Literal["teacher_student"] = "teacher_student"
    """Teacher-student regression."""
    input_dim: Annotated[int, Ge(1)] = 8
    """Number of inputs, standard normal."""
    output_dim: Annotated[int, Ge(1)] = 4
    """Number of outputs."""
    teacher_width: Annotated[int, Ge(1), Role.DATA] = 8
    """Neurons of each hidden layer of the teacher."""
    teacher_depth: Annotated[int, Ge(1), Role.DATA] = 2
    """Weight layers of the teacher."""
    teacher_activation: Annotated[Literal["tanh", "silu", "relu", "sin", "linear"], Role.DATA] = (
        "tanh"
    )
    """Activation of the teacher's hidden layers."""
    teacher_scale: Annotated[float, Gt(0), Role.DATA] = 1.0
    """Factor on the teacher's outputs."""
    teacher_directions: Annotated[Literal["random", "orthogonal"], Role.DATA] = "random"
    """Whether the teacher's weights are normal numbers of standard deviation 1 / sqrt(fan-in), or
    those of its neurons are orthogonal, incoming and outgoing (two weight layers)."""
    teacher_norm: Annotated[float, Gt(0), Role.DATA] = 1.0
    """Norm of the incoming weights of each neuron of an orthogonal teacher."""
    teacher_gain_ratio: Annotated[float, Gt(0), Le(1), Role.DATA] = 1.0
    """Norm of the outgoing weights of a neuron of an orthogonal teacher over that of the one before
    it; that of the first is teacher_scale."""
    samples: Annotated[int, Ge(1)] = 300
    """Number of training samples of a fixed data set."""
    test_samples: Annotated[int, Ge(1)] = 1000
    """Number of test samples."""
    fresh: bool = False
    """Whether every batch is drawn anew instead of from a fixed data set."""
    input_scale: Annotated[float, Gt(0), Role.DATA] = 1.0
    """Factor on the inputs, before the teacher sees them."""
    label_noise: Annotated[float, Ge(0), Role.LANE] = 0.0
    """Standard deviation of the Gaussian noise on each target."""
    noise_mode: NoiseMode = "fixed"
    """Whether the noise is drawn once a sample, or at every step."""

    def __post_init__(self) -> None:
        """Check that an orthogonal teacher is possible, and that no key goes unread."""
        if self.teacher_directions == "random":
            for key in ("teacher_norm", "teacher_gain_ratio"):
                if getattr(self, key) != 1.0:
                    raise ValueError(
                        f"`data.{key}` must be left out unless data.teacher_directions = "
                        f"'orthogonal', but got {getattr(self, key)!r}"
                    )
            return
        room = min(self.input_dim, self.output_dim)
        if self.teacher_depth != 2:
            raise ValueError(
                "`data.teacher_depth` must be 2 where data.teacher_directions = 'orthogonal', but "
                f"got {self.teacher_depth}"
            )
        if self.teacher_width > room:
            raise ValueError(
                "`data.teacher_width` must be at most both data.input_dim and data.output_dim "
                f"where data.teacher_directions = 'orthogonal', but got {self.teacher_width} and "
                f"{room}"
            )

    @property
    def shape(self) -> DataShape:
        """The sizes of this data."""
        train = 0 if self.fresh else self.samples
        return DataShape(self.input_dim, self.output_dim, train, self.test_samples, False)

    def build(self, seed: int) -> Task:
        """Return Gaussian inputs labelled by a random network without biases."""
        weights = teacher_weights(self, seed)
        activation = TEACHER_ACTIVATIONS[self.teacher_activation]

        def target(x: NDArray[np.float64]) -> NDArray[np.float64]:
            for weight in weights[:-1]:
                x = activation(x @ weight.T)
            y: NDArray[np.float64] = self.teacher_scale * (x @ weights[-1].T)
            return y

        return synthetic_task(self, seed, target)


def teacher_weights(config: TeacherStudentConfig, seed: int) -> list[NDArray[np.float64]]:
    """Return the weights `[out, in]` of the teacher, layer by layer, without the output's factor.

    Random weights are normal of standard deviation 1 / sqrt(fan-in). Orthogonal ones are of norm
    teacher_norm coming in and teacher_gain_ratio^(k - 1) going out of neuron k, so that each neuron
    is a mode of its own: E[y x^T] has the singular values |out_k| E[z f(teacher_norm z)] with a
    standard normal z. Either way a wider teacher repeats the neurons of a narrower one of the same
    seed and adds to them.
    """
    if config.teacher_directions == "orthogonal":
        count = config.teacher_width
        stream = Stream(seed, "teacher")
        incoming = orthogonal(stream, config.input_dim, 0)[:, :count].T
        outgoing = orthogonal(stream, config.output_dim, 1)[:, :count]
        gains = config.teacher_gain_ratio ** np.arange(count, dtype=np.float64)
        return [config.teacher_norm * incoming, outgoing * gains]
    sizes = [config.input_dim, *[config.teacher_width] * (config.teacher_depth - 1)]
    sizes.append(config.output_dim)
    draws = Stream(seed, "teacher")
    # One block of numbers a neuron: a neuron of the teacher does not depend on the width.
    return [
        np.stack([draws.normal(fan_in, block=layer << 32 | unit) for unit in range(fan_out)])
        / np.sqrt(fan_in)
        for layer, (fan_in, fan_out) in enumerate(itertools.pairwise(sizes))
    ]
