"""A transformer as the compiled kernels know it."""

import numpy as np

from symstudy.kernels.encoder import Encoder, LayerBlocks, Sizes
from symstudy.layout import Layout
from symstudy.models.transformer.config import TransformerConfig

__all__ = ["encoder_of"]


def encoder_of(
    config: TransformerConfig, layout: Layout, *, code: int, logit_scale: float, epsilon: float
) -> Encoder:
    """Return the transformer of `config`, whose parameters lie as `layout` says, for the kernels.

    Args:
        config: The `[model]` table, with its tokens.
        layout: Of the same network.
        code: Activation of the MLPs in the kernels.
        logit_scale: Factor on the logits of attention.
        epsilon: Added to the variance in a normalisation.
    """
    offsets = {block.name: block.offset for block in layout.blocks}

    def at(name: str) -> int:
        return offsets.get(name, -1)

    sizes = Sizes(
        tokens=config.tokens,
        token_dim=layout.block("embed.weight").shape[1],
        width=config.width,
        heads=config.heads,
        head_dim=config.head_dim,
        neurons=config.mlp_width,
        outputs=layout.block("readout.weight").shape[0],
        layers=config.layers,
        reads_last=int(config.pool == "last"),
        is_normalised=int(config.norm == "layernorm"),
        code=code,
        embed=at("embed.weight"),
        embed_bias=at("embed.bias"),
        positions=at("positions"),
        readout=at("readout.weight"),
        readout_bias=at("readout.bias"),
    )
    blocks = [
        LayerBlocks(
            query=at(f"attention{layer}.query.weight"),
            query_bias=at(f"attention{layer}.query.bias"),
            # The values lie right after the keys.
            keys=at(f"attention{layer}.key.weight"),
            output=at(f"attention{layer}.output.weight"),
            output_bias=at(f"attention{layer}.output.bias"),
            into=at(f"mlp{layer}.in.weight"),
            into_bias=at(f"mlp{layer}.in.bias"),
            out=at(f"mlp{layer}.out.weight"),
            out_bias=at(f"mlp{layer}.out.bias"),
        )
        for layer in range(config.layers)
    ]
    return Encoder(
        sizes=np.array(sizes, np.int64),
        blocks=np.array(blocks, np.int64),
        epsilon=epsilon,
        logit_scale=logit_scale,
    )
