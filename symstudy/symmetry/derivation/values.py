"""What is known of one tensor of a forward pass: its dimensions, and the factors along them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from math import prod

import torch
from torch import Tensor

from symstudy.symmetry.derivation.axes import Axis, AxisClass, Dim, Expression

__all__ = ["Contraction", "Value", "constant_value", "inside", "map_dim", "size_of"]

LARGEST_CONSTANT = 10**7
"""Constants of more numbers are not read; their positions count as different."""


@dataclass(frozen=True, eq=False)
class Contraction:
    """A product of two tensors that both depend on the inputs, such as that of queries and keys.

    Attributes:
        left: First factor.
        right: Second factor.
    """

    left: "Value"
    right: "Value"


@dataclass(frozen=True, eq=False)
class Value:
    """A tensor as far as it is known.

    Attributes:
        dims: Its dimensions.
        scale: Logarithm of a positive factor of all of it.
        is_weight: Whether it depends on parameters alone.
        is_constant: Whether it depends on nothing.
        is_zero: Whether it is 0 whatever the parameters, as the first state of a recurrent layer:
            every factor leaves it as it is.
        product: What it is the product of, through what acts on each number; None for nothing.
        pattern: The product that a softmax was taken of, for what that gave.
        shifted: Parameters that were added to it last, with nothing since that bends it.
        activated: Number of the operation that made it activations of neurons: a function of each
            number by itself, which was not summed over since; -1 for none.
    """

    dims: tuple[Dim, ...]
    scale: Expression = field(default_factory=dict)
    is_weight: bool = False
    is_constant: bool = False
    is_zero: bool = False
    product: Contraction | None = None
    pattern: Contraction | None = None
    shifted: frozenset[str] = frozenset()
    activated: int = -1

    @property
    def axes(self) -> Iterator[Axis]:
        """All axes, those inside of others too."""
        return inside(axis for dim in self.dims for axis in dim)

    def mapped(self, change: Callable[[Axis], Axis]) -> "Value":
        """Return the tensor with every plain axis changed."""
        return replace(self, dims=tuple(map_dim(dim, change) for dim in self.dims))


def inside(axes: Iterator[Axis]) -> Iterator[Axis]:
    """Yield plain axes, and those that others are put together from."""
    for axis in axes:
        if axis.kind == "plain":
            yield axis
        else:
            yield from inside(each for choice in axis.choices for each in choice)


def map_dim(dim: Dim, change: Callable[[Axis], Axis]) -> Dim:
    """Return a dimension with every plain axis changed."""
    return tuple(
        change(axis)
        if axis.kind == "plain"
        else replace(axis, choices=tuple(map_dim(choice, change) for choice in axis.choices))
        for axis in dim
    )


def size_of(dim: Dim) -> int:
    """Return how many places a dimension has."""
    return prod(axis.size for axis in dim)


def constant_value(tensor: Tensor) -> Value:
    """Return what the numbers of a constant say: along which dimensions they are all alike."""
    dims: list[Dim] = []
    for at, size in enumerate(tensor.shape):
        reason = "" if is_uniform(tensor, at) else "fixed numbers of the module differ along it"
        dims.append((Axis(size, AxisClass(size, reason)),) if size != 1 else ())
    is_zero = 0 < tensor.numel() <= LARGEST_CONSTANT and not tensor.any()
    return Value(tuple(dims), is_weight=True, is_constant=True, is_zero=is_zero)


def is_uniform(tensor: Tensor, dim: int) -> bool:
    """Return whether all numbers along a dimension are alike."""
    if tensor.shape[dim] == 0 or tensor.numel() > LARGEST_CONSTANT:
        return False
    first = tensor.narrow(dim, 0, 1)
    return bool(torch.isclose(tensor, first, rtol=0.0, atol=0.0, equal_nan=True).all())
