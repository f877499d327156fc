"""What convolutional kinds of models share in their keys: axes of an image, norms, sizes."""

import math
from collections.abc import Iterator
from typing import Literal

from symstudy.components import DataShape

__all__ = [
    "NORM_CALLS",
    "READOUT_CALLS",
    "ConvActivation",
    "ConvNorm",
    "Tally",
    "axes_of",
    "check_groups",
    "image_misfits",
    "pixels_after",
]

ConvActivation = Literal["relu", "tanh", "silu", "gelu"]
ConvNorm = Literal["batch", "group", "none"]
NORM_CALLS: dict[ConvNorm, int] = {"batch": 3, "group": 1, "none": 0}
"""Torch operations of a normalisation, its running means among them."""
READOUT_CALLS = 3
"""Torch operations of the mean over pixels and the linear readout."""


def axes_of(input_shape: tuple[int, ...], data: DataShape) -> tuple[int, int, int]:
    """Return channels, rows and columns of an image.

    Args:
        input_shape: Of the model; empty to leave it to the data.
        data: Shape of the data.

    Raises:
        ValueError: If it is no image, or not one of so many numbers; says what was given.
    """
    given = input_shape or data.input_shape
    axes = (1, *given) if len(given) == 2 else given
    if len(axes) != 3 or math.prod(axes) != data.inputs:
        whose = "model.input_shape is" if input_shape else "the data's axes are"
        raise ValueError(f"{whose} {list(given)}, and a sample has {data.inputs} numbers")
    return (axes[0], axes[1], axes[2])


def image_misfits(input_shape: tuple[int, ...], data: DataShape) -> Iterator[tuple[str, str]]:
    """Yield a mistake where the data are no images."""
    try:
        axes_of(input_shape, data)
    except ValueError as error:
        what = (
            "must be channels, rows and columns of the images where the data do not tell them, as "
            f"in [1, 8, 8] for digits, but {error}"
        )
        yield "input_shape", what
    if data.is_integer:
        yield "kind", "must be a model of integers, but got one of images, for data of integers"


def pixels_after(pixels: int, stride: int) -> int:
    """Return how many rows are left of `pixels` after a padded convolution with a stride."""
    return -(-pixels // stride)


def check_groups(norm: ConvNorm, groups: int, width: int) -> None:
    """Check that the groups of a norm divide the channels.

    Raises:
        ValueError: If they do not.
    """
    if norm == "group" and width % groups:
        raise ValueError(f"model.groups must divide model.width, but got {groups} and {width}")


class Tally:
    """Counts parameters, multiplications and activations along a network of convolutions."""

    def __init__(self, rows: int, columns: int, norm: ConvNorm) -> None:
        """Start at images of so many rows and columns.

        Args:
            rows: Of the images.
            columns: Of the images.
            norm: What follows each convolution.
        """
        self.rows, self.columns = rows, columns
        # What a place of a convolution leaves for the backward pass, activation and norm with it.
        self.numbers = 2 if norm == "none" else 3
        self.parameters = self.products = self.activations = self.convolutions = 0

    def convolve(
        self, channels: int, planes: int, kernel: int, stride: int, *, keeps: bool = False
    ) -> None:
        """Add a convolution with its norm, or bias, and its activation.

        Args:
            channels: Channels that it reads.
            planes: Channels that it makes.
            kernel: Rows and columns of its kernels.
            stride: Pixels from one place to the next.
            keeps: Whether what follows sees the images that it saw, as beside a block.
        """
        rows, columns = pixels_after(self.rows, stride), pixels_after(self.columns, stride)
        weights = planes * channels * kernel**2
        self.parameters += weights + (self.numbers - 1) * planes
        self.products += weights * rows * columns
        self.activations += self.numbers * planes * rows * columns
        self.convolutions += 1
        if not keeps:
            self.rows, self.columns = rows, columns

    def shrink(self, stride: int, planes: int) -> None:
        """Add a pooling with a stride."""
        self.rows = pixels_after(self.rows, stride)
        self.columns = pixels_after(self.columns, stride)
        self.activations += planes * self.rows * self.columns
