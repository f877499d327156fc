"""Where the parameters of a transformer lie, where its heads and neurons are, and its symmetries.

The residual stream is the axis `model`. Blocks that write to it have it first (or along it alone),
blocks that read from it have it last.
"""

from symstudy.layout import (
    AttentionLayer,
    Block,
    DeclaredSymmetry,
    Layout,
    NeuronGroup,
    neuron_symmetries,
)
from symstudy.models.transformer.config import TransformerConfig

__all__ = ["declare_transformer"]

STREAM = "model"


class Blocks:
    """Blocks in the order in which they are added, without gaps."""

    def __init__(self, *, bias: bool) -> None:
        """Begin with none; `bias` says whether linear layers have one."""
        self.bias = bias
        self.all: list[Block] = []

    def add(
        self,
        name: str,
        shape: tuple[int, ...],
        axes: tuple[str, ...],
        fan_in: int,
        *,
        is_lookup: bool = False,
    ) -> None:
        """Add a weight."""
        at = self.all[-1].stop if self.all else 0
        self.all.append(
            Block(
                name=name,
                shape=shape,
                offset=at,
                axes=axes,
                role="weight",
                fan_in=fan_in,
                is_lookup=is_lookup,
            )
        )

    def add_bias(self, name: str, shape: tuple[int, ...], axes: tuple[str, ...]) -> None:
        """Add a bias where linear layers have one."""
        if self.bias:
            at = self.all[-1].stop
            self.all.append(
                Block(name=name, shape=shape, offset=at, axes=axes, role="bias", fan_in=1)
            )

    def named(self, *names: str) -> tuple[str, ...]:
        """Return those of `names` that are blocks."""
        known = {block.name for block in self.all}
        return tuple(name for name in names if name in known)


def declare_transformer(
    config: TransformerConfig, *, token_dim: int, output_dim: int, odd: bool, homogeneous: bool
) -> Layout:
    """Return the layout of a transformer on tokens of `token_dim` numbers.

    Hidden layers are numbered in depth: attention layers and MLPs have their own.

    Args:
        config: The `[model]` table.
        token_dim: Numbers of a token.
        output_dim: Outputs.
        odd: Whether the activation of the MLPs is odd.
        homogeneous: Whether it is positively homogeneous.
    """
    blocks = Blocks(bias=config.bias)
    width = config.width
    blocks.add("embed.weight", (width, token_dim), (STREAM, "token"), token_dim)
    blocks.add_bias("embed.bias", (width,), (STREAM,))
    if config.positions:
        blocks.add("positions", (config.tokens, width), ("position", STREAM), width, is_lookup=True)
    attention: list[AttentionLayer] = []
    groups: list[NeuronGroup] = []
    for layer in range(config.layers):
        number = layer * (2 if config.mlp_width else 1) + 1
        attention.append(add_attention(blocks, config, f"attention{layer}", number))
        if config.mlp_width:
            name = f"mlp{layer}"
            add_mlp(blocks, name, width, config.mlp_width)
            groups.append(
                NeuronGroup(
                    name=name,
                    layer=number + 1,
                    size=config.mlp_width,
                    odd=odd,
                    homogeneous=homogeneous,
                )
            )
    blocks.add("readout.weight", (output_dim, width), ("output", STREAM), width)
    blocks.add_bias("readout.bias", (output_dim,), ("output",))
    symmetries = [
        *(found for layer in attention for found in head_symmetries(layer, config.heads)),
        *neuron_symmetries(blocks.all, groups),
        *stream_symmetries(blocks.all, is_normalised=config.norm == "layernorm"),
        DeclaredSymmetry(
            kind="translation",
            blocks=blocks.named("readout.weight", "readout.bias"),
            axis="output",
            preserves="probabilities",
        ),
    ]
    return Layout(
        blocks=tuple(blocks.all),
        groups=tuple(groups),
        symmetries=tuple(symmetries),
        attention=tuple(attention),
        base=base_blocks(config, token_dim, output_dim),
    )


def base_blocks(config: TransformerConfig, token_dim: int, output_dim: int) -> tuple[Block, ...]:
    """Return the blocks of the network of base width, in muP; none elsewhere."""
    if not config.is_width_scaled:
        return ()
    base = config.base_network()
    # Activations have no blocks.
    dims = {"token_dim": token_dim, "output_dim": output_dim}
    return declare_transformer(base, **dims, odd=False, homogeneous=False).blocks


def add_attention(
    blocks: Blocks, config: TransformerConfig, name: str, number: int
) -> AttentionLayer:
    """Add the blocks of an attention layer and return where its heads are.

    Keys have no bias: it adds the same to all logits of a query, which the softmax does not see.
    Nor have values: the weights of attention sum to 1, so that theirs is a bias of the output.
    """
    heads, size, width = config.heads, config.head_dim, config.width
    head, key, value = (f"{name}.{axis}" for axis in ("head", "key", "value"))
    shape = (heads, size, width)
    blocks.add(f"{name}.query.weight", shape, (head, key, STREAM), width)
    blocks.add_bias(f"{name}.query.bias", (heads, size), (head, key))
    blocks.add(f"{name}.key.weight", shape, (head, key, STREAM), width)
    blocks.add(f"{name}.value.weight", shape, (head, value, STREAM), width)
    axes = (STREAM, head, value)
    blocks.add(f"{name}.output.weight", (width, heads, size), axes, heads * size)
    blocks.add_bias(f"{name}.output.bias", (width,), (STREAM,))
    return AttentionLayer(
        layer=number,
        heads=head,
        key=key,
        value=value,
        query_blocks=blocks.named(f"{name}.query.weight", f"{name}.query.bias"),
        key_blocks=(f"{name}.key.weight",),
        value_blocks=(f"{name}.value.weight",),
        output_blocks=(f"{name}.output.weight",),
    )


def add_mlp(blocks: Blocks, name: str, width: int, neurons: int) -> None:
    """Add the blocks of an MLP with one hidden layer."""
    blocks.add(f"{name}.in.weight", (neurons, width), (name, STREAM), width)
    blocks.add_bias(f"{name}.in.bias", (neurons,), (name,))
    blocks.add(f"{name}.out.weight", (width, neurons), (STREAM, name), neurons)
    blocks.add_bias(f"{name}.out.bias", (width,), (STREAM,))


def head_symmetries(attention: AttentionLayer, heads: int) -> list[DeclaredSymmetry]:
    """Return the double rotations within each head, and the permutations of the heads."""
    queries, keys = attention.query_blocks, attention.key_blocks
    values, outputs = attention.value_blocks, attention.output_blocks
    pairs = [(attention.key, queries, keys), (attention.value, values, outputs)]
    found = [
        DeclaredSymmetry(
            kind="double_rotation",
            blocks=first,
            axis=axis,
            partners=second,
            within=attention.heads,
            place=place,
            layer=attention.layer,
        )
        for place in range(heads)
        for axis, first, second in pairs
    ]
    if heads > 1:
        swap = DeclaredSymmetry(
            kind="permutation",
            blocks=(*queries, *keys, *values, *outputs),
            axis=attention.heads,
            layer=attention.layer,
        )
        found.append(swap)
    return found


def stream_symmetries(blocks: list[Block], *, is_normalised: bool) -> list[DeclaredSymmetry]:
    """Return the symmetries of the residual stream.

    Everything that writes to it and reads from it is linear, so without normalisation it has all
    double rotations. A normalisation sees no multiple of the stream (scaling of all that write) and
    no number added to all of a token (translation of what writes), and gives tokens that sum to
    zero, so that the same number may be added to a whole row of what reads (translation); what is
    left of the rotations are permutations of the axis.
    """
    writers = tuple(b.name for b in blocks if STREAM in b.axes and is_writer(b))
    readers = tuple(b.name for b in blocks if STREAM in b.axes and not is_writer(b))
    if not is_normalised:
        turn = DeclaredSymmetry(
            kind="double_rotation", blocks=writers, axis=STREAM, partners=readers
        )
        return [turn]
    return [
        DeclaredSymmetry(kind="permutation", blocks=(*writers, *readers), axis=STREAM),
        DeclaredSymmetry(kind="scaling", blocks=writers),
        DeclaredSymmetry(kind="translation", blocks=writers, axis=STREAM),
        DeclaredSymmetry(kind="translation", blocks=readers, axis=STREAM),
    ]


def is_writer(block: Block) -> bool:
    """Return whether a block on the residual stream writes to it."""
    return block.axes[0] == STREAM or block.name == "positions"
