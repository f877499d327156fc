"""How a model's flat vector of parameters is laid out, and where its neurons are.

A model declares its parameters as blocks of one flat vector and names what runs along each axis of
each block. A group of neurons is a name that runs along axis 0 of its incoming blocks and along a
later axis of its outgoing ones. Symmetries read this declaration and never the model.

The idea follows the permutation specification of Ainsworth, Hayase and Srinivasa 2023 ("Git
Re-Basin", arXiv:2209.04836).
"""

import math
from dataclasses import dataclass
from typing import Literal

__all__ = ["Block", "Layout", "NeuronGroup"]


@dataclass(frozen=True, kw_only=True)
class Block:
    """One parameter tensor inside the flat vector.

    Attributes:
        name: Unique name, such as `layers.0.weight`.
        shape: Shape of the tensor, row-major.
        offset: Where it starts in the flat vector.
        axes: What runs along each axis: a neuron group's name, `input`, `output` or another label.
        role: `weight` or `bias`.
        fan_in: Inputs that feed one unit; sets the scale of the initialisation.
    """

    name: str
    shape: tuple[int, ...]
    offset: int
    axes: tuple[str, ...]
    role: Literal["weight", "bias"]
    fan_in: int

    @property
    def size(self) -> int:
        """How many numbers the block holds."""
        return math.prod(self.shape)

    @property
    def stop(self) -> int:
        """Where the block ends in the flat vector."""
        return self.offset + self.size


@dataclass(frozen=True, kw_only=True)
class NeuronGroup:
    """The interchangeable neurons of one hidden layer.

    Attributes:
        name: The label of the axes that these neurons run along.
        layer: 1-based number of the hidden layer.
        size: Number of neurons.
        odd: Whether the activation is odd, so that a neuron and its negative act alike.
        homogeneous: Whether the activation is positively homogeneous of degree 1 (ReLU, linear).
    """

    name: str
    layer: int
    size: int
    odd: bool
    homogeneous: bool


@dataclass(frozen=True, kw_only=True)
class Layout:
    """All blocks of a model, in order and without gaps, and its groups of neurons."""

    blocks: tuple[Block, ...]
    groups: tuple[NeuronGroup, ...] = ()

    def __post_init__(self) -> None:
        """Check that the blocks tile the vector and that the groups' sizes agree with the axes."""
        at = 0
        for block in self.blocks:
            assert block.offset == at, f"{block.name} starts at {block.offset}, not at {at}"
            assert len(block.axes) == len(block.shape), f"{block.name} names its axes"
            at = block.stop
        sizes = {group.name: group.size for group in self.groups}
        for block in self.blocks:
            for axis, length in zip(block.axes, block.shape, strict=True):
                assert sizes.get(axis, length) == length, f"{block.name} and {axis} disagree"

    @property
    def size(self) -> int:
        """Number of parameters P."""
        return self.blocks[-1].stop if self.blocks else 0

    def incoming(self, group: NeuronGroup) -> tuple[Block, ...]:
        """Return the blocks with a row for each neuron of `group`: its weights and its bias."""
        return tuple(block for block in self.blocks if block.axes[0] == group.name)

    def outgoing(self, group: NeuronGroup) -> tuple[Block, ...]:
        """Return the blocks in which the neurons of `group` run along a later axis."""
        return tuple(block for block in self.blocks if group.name in block.axes[1:])
