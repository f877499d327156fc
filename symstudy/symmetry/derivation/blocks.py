"""The blocks of a derived layout: parameters, or the parts that they turned out to be a sum of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Literal, NamedTuple, final

from symstudy.layout import Block
from symstudy.symmetry.derivation.axes import Axis, AxisClass, Dim, Variable, find
from symstudy.symmetry.derivation.state import State
from symstudy.symmetry.derivation.values import inside, size_of

__all__ = ["BlockAxis", "BlockPlan", "Labels", "plan_blocks"]


class BlockAxis(NamedTuple):
    """One axis of a block.

    Attributes:
        size: Positions.
        of: Its class; None for what runs over a sum of parts and has no symmetry.
        variable: Factor of each of its positions; None likewise.
    """

    size: int
    of: AxisClass | None
    variable: Variable | None


@final
@dataclass(frozen=True, kw_only=True)
class BlockPlan:
    """A block before its axes have names.

    Attributes:
        name: Of the parameter, with the number of its part in brackets.
        parameter: Name of the parameter.
        axes: Its axes.
        role: As in `symstudy.layout.Block`.
        fan_in: Likewise.
    """

    name: str
    parameter: str
    axes: tuple[BlockAxis, ...]
    role: Literal["weight", "bias"]
    fan_in: int

    def count(self, of: AxisClass) -> int:
        """Return how many of the axes are of a class."""
        return sum(axis.of is not None and find(axis.of) is of for axis in self.axes)

    def has(self, variable: Variable) -> bool:
        """Return whether one of the axes has this factor."""
        return any(axis.variable == variable for axis in self.axes)


def plan_blocks(state: State) -> tuple[list[BlockPlan], dict[AxisClass, str]]:
    """Return the blocks, and why some classes cannot be told in a layout.

    A parameter whose first dimension is a sum is a block for each part, one behind the other. Parts
    of a later dimension do not lie one behind the other, so that what runs along them is left out.
    """
    plans: list[BlockPlan] = []
    refused: dict[AxisClass, str] = {}
    for name, number in state.trace.parameters.items():
        shape = state.trace.tensors[number].shape
        role: Literal["weight", "bias"] = "weight" if len(shape) > 1 else "bias"
        fan_in = max(1, prod(shape[1:])) if shape else 1
        for suffix, dims in parts_of_first(state.values[number].dims):
            axes: list[BlockAxis] = []
            for dim, size in zip(dims, (size_of(dim) for dim in dims), strict=True):
                # One place is an axis too, so that a block has the shape of its parameter.
                axes += axes_of(name, state.plain(dim), refused) if size > 1 else [LONE]
            plans.append(
                BlockPlan(
                    name=f"{name}{suffix}",
                    parameter=name,
                    axes=tuple(axes),
                    role=role,
                    fan_in=fan_in,
                )
            )
    return plans, refused


LONE = BlockAxis(1, None, None)


def parts_of_first(dims: tuple[Dim, ...]) -> list[tuple[str, tuple[Dim, ...]]]:
    """Return the parts of a parameter along its first dimension, each with its number."""
    if not dims or len(dims[0]) != 1 or dims[0][0].kind != "joined":
        return [("", dims)]
    return [
        (f"[{at}]{suffix}", part)
        for at, choice in enumerate(dims[0][0].choices)
        for suffix, part in parts_of_first((choice, *dims[1:]))
    ]


def axes_of(name: str, dim: Dim, refused: dict[AxisClass, str]) -> list[BlockAxis]:
    """Return the axes of one dimension of a block."""
    axes = []
    for axis in dim:
        if axis.kind == "plain":
            axes.append(BlockAxis(axis.size, axis.of, variable_of(axis)))
            continue
        for each in inside(iter((axis,))):
            reason = f"it is a part of an axis of {name} that is not its first"
            refused.setdefault(find(each.of), reason)
        axes.append(BlockAxis(axis.size, None, None))
    return axes


def variable_of(axis: Axis) -> Variable | None:
    """Return the factor of the positions of a parameter's axis."""
    return next(iter(axis.scale), None)


@final
class Labels:
    """Names of axis classes: `input`, `output`, or the module that makes what runs along them."""

    def __init__(self) -> None:
        """Begin with none."""
        self.names: dict[AxisClass, str] = {}

    def name(self, of: AxisClass, wanted: str) -> str:
        """Return the name of a class, `wanted` if it has none yet and no other class has that."""
        root = find(of)
        if root not in self.names:
            taken = set(self.names.values())
            number = 2
            name = wanted
            while name in taken:
                name = f"{wanted}~{number}"
                number += 1
            self.names[root] = name
        return self.names[root]

    def build(self, plans: Sequence[BlockPlan], single: Mapping[AxisClass, str]) -> list[Block]:
        """Return the blocks, with an axis of one head put before those of the classes in `single`.

        Args:
            plans: In order.
            single: Label of the axis of the heads, for attention layers that have one head.
        """
        blocks: list[Block] = []
        for plan in plans:
            shape: list[int] = []
            labels: list[str] = []
            for at, axis in enumerate(plan.axes):
                root = find(axis.of) if axis.of is not None else None
                if root is not None and root in single:
                    shape.append(1)
                    labels.append(single[root])
                shape.append(axis.size)
                own = f"{plan.name}.{at}"
                labels.append(own if root is None else self.names.get(root, own))
            blocks.append(
                Block(
                    name=plan.name,
                    shape=tuple(shape),
                    offset=blocks[-1].stop if blocks else 0,
                    axes=tuple(labels),
                    role=plan.role,
                    fan_in=plan.fan_in,
                )
            )
        return blocks
