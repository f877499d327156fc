"""Data sets whose inputs may be multiplied by a random matrix: x -> Z x for every sample."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Annotated, ClassVar, Literal, Self

import numpy as np
from annotated_types import Ge
from numpy.typing import NDArray

from symstudy.components import Role, component
from symstudy.datasets.base import Task
from symstudy.datasets.config import AbstractDatasetConfig
from symstudy.streams import Stream

__all__ = ["AbstractMappedConfig", "input_map"]


@component
class AbstractMappedConfig(AbstractDatasetConfig):
    """A data set whose inputs may be multiplied by a random square matrix Z.

    Targets stay those of the inputs before Z: with an invertible Z the task is the same, in other
    coordinates. Z follows from the seed of the run and these keys alone.
    """

    idle_without: ClassVar[Mapping[str, str]] = {
        "input_condition": "input_matrix",
        "input_rank": "input_matrix",
    }

    input_matrix: Annotated[Literal["none", "gaussian"], Role.DATA] = "none"
    """Whether a network is given Z x for each input x, training and test alike, with one random
    matrix Z a seed: normal entries of variance 1 / inputs. Targets are those of x."""
    input_condition: Annotated[float, Ge(0), Role.DATA] = 0.0
    """Condition number of Z: its singular values become a geometric series whose mean square is 1;
    0 leaves them as drawn."""
    input_rank: Annotated[int, Ge(0), Role.DATA] = 0
    """Rank of Z: all but so many singular values, the largest, become 0; 0 leaves all."""

    def build_mapped(self, seed: int) -> Task:
        """Return what `build` returns, with inputs multiplied by the matrix."""
        task = self.unmapped().build(seed)
        if self.input_matrix == "none":
            return task
        matrix = input_map(self, task.x_test.shape[1], seed)
        kind = task.x_test.dtype
        return replace(
            task,
            x_train=(task.x_train @ matrix.T).astype(kind, copy=False),
            x_test=(task.x_test @ matrix.T).astype(kind, copy=False),
            input_map=matrix,
        )

    def unmapped(self) -> Self:
        """Return the configuration without the matrix."""
        if self.input_matrix == "none":
            return self
        return replace(self, input_matrix="none", input_condition=0.0, input_rank=0)

    def identified(self) -> tuple[Self, list[tuple[str, str]]]:
        """Return the configuration, and what is wrong with the matrix."""
        return self.without_idle_keys(), list(self.misfits())

    def without_idle_keys(self) -> Self:
        """Return the configuration with keys of the matrix at their defaults where there is none.

        So a study may vary both, and what is not read makes no run another one.
        """
        if self.input_matrix != "none":
            return self
        return replace(self, input_condition=0.0, input_rank=0)

    def misfits(self) -> Iterator[tuple[str, str]]:
        """Yield the key and what must hold where the matrix does not fit the data."""
        yield from super().misfits()
        shape = self.shape
        if self.input_matrix == "none":
            return
        if shape.is_integer:
            yield "input_matrix", "must be 'none' for integer inputs, but got 'gaussian'"
        elif self.augmentation is not None:
            what = "must be 'none' where data.augment is given, which moves pixels, but got"
            yield "input_matrix", f"{what} 'gaussian'"
        if 0 < self.input_condition < 1:
            yield "input_condition", f"must be 0 or at least 1, but got {self.input_condition!r}"
        if self.input_rank > shape.inputs:
            yield (
                "input_rank",
                f"must be at most the {shape.inputs} inputs, but got {self.input_rank}",
            )


def input_map(config: AbstractMappedConfig, inputs: int, seed: int) -> NDArray[np.float64]:
    """Return the matrix Z `[inputs, inputs]` of the runs with `seed`.

    The directions of its singular vectors are uniform, as those of a Gaussian matrix are, whatever
    its singular values. Where `input_condition` or `input_rank` set them, their mean square is 1,
    so that E |Z x|^2 = |x|^2 over Z as for the matrix as drawn.
    """
    drawn: NDArray[np.float64] = Stream(seed, "input_matrix").normal(inputs, inputs) / np.sqrt(
        inputs
    )
    if not (config.input_condition or config.input_rank):
        return drawn
    left, values, right = np.linalg.svd(drawn)
    if config.input_condition:
        values = config.input_condition ** -np.linspace(0.0, 1.0, inputs)
    values[config.input_rank or inputs :] = 0.0
    values *= np.sqrt(inputs / np.square(values).sum())
    mapped: NDArray[np.float64] = left * values @ right
    return mapped
