"""Synthetic regression: random teachers, the identity, and linear targets of known spectrum."""

import itertools
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from symstudy.datasets.base import Target, Task
from symstudy.datasets.configs import IdentityConfig, SpectrumConfig, TeacherStudentConfig
from symstudy.streams import Stream

__all__ = ["build_identity", "build_spectrum", "build_teacher_student"]

TEACHER_ACTIVATIONS: dict[str, Callable[[NDArray[np.float64]], NDArray[np.float64]]] = {
    "tanh": np.tanh,
    "silu": lambda z: z / (1.0 + np.exp(-z)),
    "relu": lambda z: np.maximum(z, 0.0),
    "sin": np.sin,
    "linear": lambda z: z,
}


def build_teacher_student(config: TeacherStudentConfig, seed: int) -> Task:
    """Return Gaussian inputs labelled by a random network without biases."""
    weights = teacher_weights(config, seed)
    activation = TEACHER_ACTIVATIONS[config.teacher_activation]

    def target(x: NDArray[np.float64]) -> NDArray[np.float64]:
        for weight in weights[:-1]:
            x = activation(x @ weight.T)
        y: NDArray[np.float64] = config.teacher_scale * (x @ weights[-1].T)
        return y

    return synthetic_task(config, seed, target)


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


def build_identity(config: IdentityConfig, seed: int) -> Task:
    """Return Gaussian inputs that are their own targets (arXiv:2502.05300, width experiments)."""
    return synthetic_task(config, seed, np.copy)


def build_spectrum(config: SpectrumConfig, seed: int) -> Task:
    """Return white inputs and a linear target with singular values amplitude k^-exponent."""
    dim = config.input_dim
    values = config.amplitude * np.arange(1, dim + 1, dtype=np.float64) ** -config.exponent
    if config.axes:
        return axes_task(config, seed, values)
    left = orthogonal(Stream(seed, "teacher"), dim, 0)
    right = orthogonal(Stream(seed, "teacher"), dim, 1)
    matrix = left * values @ right.T

    def target(x: NDArray[np.float64]) -> NDArray[np.float64]:
        return x @ matrix.T

    task = synthetic_task(config, seed, target)
    if config.fresh:
        return task
    basis, _ = np.linalg.qr(task.x_train)
    x_train = config.input_scale * np.sqrt(config.samples) * basis
    return labelled(seed, x_train, task.x_test, target, config.input_scale)


def axes_task(config: SpectrumConfig, seed: int, values: NDArray[np.float64]) -> Task:
    """Return inputs along the axes, each equally often, scaled by its own singular value."""
    dim = config.input_dim

    def target(x: NDArray[np.float64]) -> NDArray[np.float64]:
        return x * values

    scale = config.input_scale * np.sqrt(dim)
    x_train = scale * np.eye(dim)[np.arange(config.samples) % dim]
    x_test = scale * np.eye(dim)[np.arange(config.test_samples) % dim]
    return labelled(seed, x_train, x_test, target, config.input_scale)


def synthetic_task(
    config: TeacherStudentConfig | IdentityConfig | SpectrumConfig, seed: int, target: Target
) -> Task:
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
