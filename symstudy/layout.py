"""How a model's flat vector of parameters is laid out, where its neurons are, and its symmetries.

A model declares its parameters as blocks of one flat vector and names what runs along each axis of
each block. A group of neurons is a name that runs along axis 0 of its incoming blocks and along a
later axis of its outgoing ones, unless it names them. It also declares which groups of matrices
act on these blocks without changing what it computes. Symmetries read this declaration and never
the model.

The idea follows the permutation specification of Ainsworth, Hayase and Srinivasa 2023 ("Git
Re-Basin", arXiv:2209.04836).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

__all__ = [
    "AttentionLayer",
    "Block",
    "DeclaredSymmetry",
    "Layout",
    "NeuronGroup",
    "neuron_symmetries",
]

Preserved = Literal["function", "probabilities", "gram", "data"]


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
        is_lookup: Whether a unit of its first axis is read as it is, as the vector of a position:
            no inputs are summed, whatever `fan_in` says.
    """

    name: str
    shape: tuple[int, ...]
    offset: int
    axes: tuple[str, ...]
    role: Literal["weight", "bias"]
    fan_in: int
    is_lookup: bool = False

    @property
    def size(self) -> int:
        """How many numbers the block holds."""
        return math.prod(self.shape)

    @property
    def stop(self) -> int:
        """Where the block ends in the flat vector."""
        return self.offset + self.size

    def length(self, axis: str) -> int:
        """Return how many positions the block has along the axis labelled `axis`."""
        return self.shape[self.axes.index(axis)]


@dataclass(frozen=True, kw_only=True)
class NeuronGroup:
    """The interchangeable neurons of one hidden layer.

    Attributes:
        name: The label of the axes that these neurons run along.
        layer: 1-based number of the hidden layer.
        size: Number of neurons.
        odd: Whether the activation is odd, so that a neuron and its negative act alike.
        homogeneous: Whether the activation is positively homogeneous of degree 1 (ReLU, linear).
        even: Whether the activation is even (the absolute value, the cosine), so that a neuron
            whose incoming side alone changes sign acts alike.
        incoming_blocks: Names of the blocks that make the neurons, where these are not the ones
            that have them along axis 0, as for weights that are stored as `[in, out]`.
        outgoing_blocks: Names of the blocks that read them, where `incoming_blocks` are named.
    """

    name: str
    layer: int
    size: int
    odd: bool
    homogeneous: bool
    even: bool = False
    incoming_blocks: tuple[str, ...] = ()
    outgoing_blocks: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class AttentionLayer:
    """The heads of one attention layer, each with a query, a key, a value and an output matrix.

    Every block named has the axis `heads` once; queries and keys have the axis `key`, values and
    outputs the axis `value`, along which lie the directions of a head.

    Attributes:
        layer: 1-based number of the hidden layer.
        heads: Label of the axis of the heads.
        key: Label of the axis along which queries meet keys.
        value: Label of the axis along which values meet the output.
        query_blocks: Names of the blocks that make the queries, biases too.
        key_blocks: Names of the blocks that make the keys.
        value_blocks: Names of the blocks that make the values.
        output_blocks: Names of the blocks that read the values.
    """

    layer: int
    heads: str
    key: str
    value: str
    query_blocks: tuple[str, ...]
    key_blocks: tuple[str, ...]
    value_blocks: tuple[str, ...]
    output_blocks: tuple[str, ...]

    @property
    def name(self) -> str:
        """What messages call the layer."""
        return f"attention layer {self.layer}"


@dataclass(frozen=True, kw_only=True)
class DeclaredSymmetry:
    """A symmetry that a model says it has: what acts, on which blocks, and what stays as it is.

    A group element acts on the positions along one axis: as g on the numbers that each position has
    in `blocks`, and as the inverse transpose of g on those in `partners`.

    Attributes:
        kind: Name of a symmetry (`symstudy list symmetries`), or `package.module:Class`.
        blocks: Names of the blocks that g acts on.
        axis: The label, of one axis of each block, along which it acts; empty where each block is
            acted on as a whole (scaling).
        partners: Names of the blocks on the other side of the axis; none where there is one side.
            A recurrent block `[h, h]` has the axis twice: its rows are meant in `blocks`, its
            columns in `partners`, and it may be in both. A sign flip without partners has the rows
            alone.
        within: Label of another axis, of one place along which alone the group acts, such as that
            of the heads of an attention layer; empty where it acts on all of the blocks.
        place: Which place along `within`.
        direction: For a translation, the vector along the axis that is added; ones if empty.
        preserves: What is left as it is: the network's `function` of its input; only the softmax
            `probabilities` of its outputs; only the `gram` matrix of its outputs, their inner
            products over pairs of inputs; or the outputs on the `data` it is trained on, since
            these lie in a subspace.
        layer: Hidden layer in whose rows its measures are recorded; None for none.
    """

    kind: str
    blocks: tuple[str, ...]
    axis: str = ""
    partners: tuple[str, ...] = ()
    within: str = ""
    place: int = 0
    direction: tuple[float, ...] = ()
    preserves: Preserved = "function"
    layer: int | None = None


@dataclass(frozen=True, kw_only=True)
class Layout:
    """All blocks of a model, in order and without gaps, its hidden layers and its symmetries.

    A hidden layer is a group of neurons or an attention layer; each has its own number.

    Attributes:
        blocks: Parameter tensors.
        groups: Hidden layers of neurons.
        symmetries: What may act on the blocks.
        attention: Attention layers.
        base: The blocks of the network of base width, under the same names, where the maximal
            update parametrisation scales initialisation and learning rates
            (`symstudy.width_rules`); empty in the standard parametrisation.
    """

    blocks: tuple[Block, ...]
    groups: tuple[NeuronGroup, ...] = ()
    symmetries: tuple[DeclaredSymmetry, ...] = ()
    attention: tuple[AttentionLayer, ...] = ()
    base: tuple[Block, ...] = ()

    def __post_init__(self) -> None:
        """Check that the blocks tile the vector, and that groups and symmetries fit the axes."""
        at = 0
        for block in self.blocks:
            assert block.offset == at, f"{block.name} starts at {block.offset}, not at {at}"
            assert len(block.axes) == len(block.shape), f"{block.name} names its axes"
            at = block.stop
        sizes = {group.name: group.size for group in self.groups}
        for block in self.blocks:
            for axis, length in zip(block.axes, block.shape, strict=True):
                assert sizes.get(axis, length) == length, f"{block.name} and {axis} disagree"
        names = [block.name for block in self.blocks]
        base = [block.name for block in self.base]
        assert base in ([], names), f"the base network has the blocks {names}, not {base}"
        for layer in self.attention:
            self.check_attention(layer)
        for symmetry in self.symmetries:
            self.check_symmetry(symmetry)

    def check_attention(self, attention: AttentionLayer) -> None:
        """Check that the blocks of `attention` are there, with its axes, and its number its own."""
        numbers = [layer.layer for layer in self.hidden_layers]
        assert numbers.count(attention.layer) == 1, f"{attention.name} has a number of its own"
        known = {block.name: block for block in self.blocks}
        sides = (
            (attention.key, (*attention.query_blocks, *attention.key_blocks)),
            (attention.value, (*attention.value_blocks, *attention.output_blocks)),
        )
        for axis, names in sides:
            for name in names:
                assert name in known, f"{attention.name} has blocks of the layout, not {name}"
                labels = known[name].axes
                is_whole = labels.count(axis) == labels.count(attention.heads) == 1
                assert is_whole, f"{name} has the axes {axis} and {attention.heads} once"

    def check_symmetry(self, symmetry: DeclaredSymmetry) -> None:
        """Check that `symmetry` names blocks of this layout that share its axis."""
        what = f"the {symmetry.kind} of {', '.join(symmetry.blocks)}"
        names = (*symmetry.blocks, *symmetry.partners)
        known = {block.name: block for block in self.blocks}
        assert symmetry.blocks, f"a {symmetry.kind} acts on at least one block"
        assert set(names) <= set(known), f"{what} acts on blocks of the layout, not on {names}"
        for side in (symmetry.blocks, symmetry.partners):
            assert len(set(side)) == len(side), f"{what} names each block once"
        assert symmetry.axis or not symmetry.partners, f"{what} has partners along an axis"
        if symmetry.axis:
            for name in names:
                count = known[name].axes.count(symmetry.axis)
                is_alone = symmetry.kind == "sign_flip" and not symmetry.partners
                is_square = count == 2 and (name in symmetry.partners or is_alone)
                assert count == 1 or is_square, (
                    f"{what} finds {symmetry.axis} once in each block, or as rows and columns"
                )
                sides = (name in symmetry.blocks) + (name in symmetry.partners)
                assert sides == 1 or is_square, f"{what} names each block once, unless it is square"
            lengths = {known[name].length(symmetry.axis) for name in names}
            assert len(lengths) == 1, f"{what} finds {symmetry.axis} of one length"
            if symmetry.within:
                counts = [known[name].axes.count(symmetry.within) for name in names]
                assert set(counts) == {1}, f"{what} finds {symmetry.within} once in each block"
                shortest = min(known[name].length(symmetry.within) for name in names)
                assert 0 <= symmetry.place < shortest, f"{what} has a place along {symmetry.within}"
            along = len(symmetry.direction)
            assert along in {0, *lengths}, f"{what} has a direction along {symmetry.axis}"
        layers = {layer.layer for layer in self.hidden_layers}
        assert symmetry.layer is None or symmetry.layer in layers, f"{what} names a hidden layer"

    def block(self, name: str) -> Block:
        """Return the block called `name`.

        Raises:
            KeyError: If there is none.
        """
        return {block.name: block for block in self.blocks}[name]

    @property
    def size(self) -> int:
        """Number of parameters P."""
        return self.blocks[-1].stop if self.blocks else 0

    @property
    def hidden_layers(self) -> tuple[NeuronGroup | AttentionLayer, ...]:
        """Groups of neurons and attention layers, by their number."""
        layers: list[NeuronGroup | AttentionLayer] = [*self.groups, *self.attention]
        return tuple(sorted(layers, key=lambda layer: layer.layer))

    def incoming(self, group: NeuronGroup) -> tuple[Block, ...]:
        """Return the blocks with a row for each neuron of `group`: its weights and its bias."""
        if group.incoming_blocks:
            return tuple(block for block in self.blocks if block.name in group.incoming_blocks)
        return tuple(block for block in self.blocks if block.axes[0] == group.name)

    def outgoing(self, group: NeuronGroup) -> tuple[Block, ...]:
        """Return the blocks that read the neurons of `group`, along a later axis."""
        if group.incoming_blocks:
            return tuple(block for block in self.blocks if block.name in group.outgoing_blocks)
        return tuple(block for block in self.blocks if group.name in block.axes[1:])


def neuron_symmetries(
    blocks: Sequence[Block], groups: Sequence[NeuronGroup]
) -> tuple[DeclaredSymmetry, ...]:
    """Return the symmetries that the neurons of elementwise activations have.

    Every group has permutations; one of an odd activation sign flips of both sides, one of an even
    activation of what enters alone; one of a positively homogeneous activation rescalings. A
    function that is odd and homogeneous is linear, f(z) = z f(1), and then the group has double
    rotations.

    Args:
        blocks: All blocks of the model; a group's name may run along one axis of a block.
        groups: Groups of neurons, each with incoming and outgoing blocks.
    """
    declared = []
    for group in groups:
        kinds = ["permutation"]
        kinds += ["sign_flip"] if group.odd else []
        kinds += ["rescaling"] if group.homogeneous else []
        kinds += ["double_rotation"] if group.odd and group.homogeneous else []
        incoming = tuple(block.name for block in blocks if block.axes[:1] == (group.name,))
        outgoing = tuple(block.name for block in blocks if group.name in block.axes[1:])
        declared += [
            DeclaredSymmetry(
                kind=kind, blocks=incoming, axis=group.name, partners=outgoing, layer=group.layer
            )
            for kind in kinds
        ]
        if group.even:
            declared.append(
                DeclaredSymmetry(
                    kind="sign_flip", blocks=incoming, axis=group.name, layer=group.layer
                )
            )
    return tuple(declared)
