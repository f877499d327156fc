"""The attention of a trained vision transformer, read from a file and measured as it is.

Shapes: K runs, P parameters, H heads, N directions of a head, D numbers that a direction has.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from symstudy.errors import ModelError
from symstudy.layout import AttentionLayer, Block, DeclaredSymmetry, Layout
from symstudy.models.base import AbstractModel, Forward
from symstudy.models.pretrained.attention_keys import (
    SIDES,
    AttentionKeys,
    find_attention,
    read_side,
)
from symstudy.models.pretrained.config import PretrainedConfig
from symstudy.models.pretrained.weight_files import NamedTensors, open_weights
from symstudy.models.pretrained.weight_paths import content_of, find_weights
from symstudy.models.stacks import DenseStack
from symstudy.streams import Stream

__all__ = ["Pretrained", "build_pretrained"]


class Pretrained(AbstractModel):
    """The attention layers of trained weights; there is nothing to train and nothing to evaluate.

    Parameters lie layer by layer: queries, keys, values and outputs, each `[head, direction,
    number]`, with the bias of a direction as its last number. Every run has the same weights, those
    of the file; with `weights = "random"` each has draws of its seed of the same shapes.
    """

    def __init__(self, tensors: NamedTensors, keys: AttentionKeys, *, is_random: bool) -> None:
        """Declare the layers at `keys` among `tensors`; nothing is read yet."""
        self.tensors = tensors
        self.keys = keys
        self.is_random = is_random
        self.declared = declare_layout(keys)

    @property
    def layout(self) -> Layout:
        """The four sides of each attention layer, whose heads have double rotations."""
        return self.declared

    @property
    def dense(self) -> DenseStack | None:
        """None: it is no stack of dense layers."""
        return None

    def initialise(
        self, seeds: Sequence[int], scales_K: Float[Tensor, " runs"]
    ) -> Float[Tensor, "runs parameters"]:
        """Return the weights of the file, or normal ones, for each run.

        Normal weights have standard deviation 1 / sqrt(D), and the biases that are there are 0, as
        at an initialisation.
        """
        theta_KP = torch.empty(len(seeds), self.layout.size, dtype=scales_K.dtype)
        for place, block in enumerate(self.layout.blocks):
            layer, side = place // len(SIDES), SIDES[place % len(SIDES)]
            for k, seed in enumerate(seeds):
                rows_HND = (
                    self.draw(place, seed)
                    if self.is_random
                    else read_side(self.tensors, self.keys, layer, side)
                )
                theta_KP[k, block.offset : block.stop] = rows_HND.flatten()
        return theta_KP * scales_K[:, None] if (scales_K != 1).any() else theta_KP

    def draw(self, place: int, seed: int) -> Float[Tensor, "heads directions numbers"]:
        """Return random weights for the block at `place`."""
        shape = self.layout.blocks[place].shape
        rows = Stream(seed, "initialisation").normal(*shape, block=place) * self.keys.width**-0.5
        if SIDES[place % len(SIDES)] in self.keys.biased:
            rows[..., -1] = 0.0
        return torch.from_numpy(rows.astype(np.float32))

    def forward(
        self, theta_KP: Float[Tensor, "runs parameters"], x_KBI: Float[Tensor, "runs batch ..."]
    ) -> Forward:
        """Raise: of a file only the attention is read, and it meets no data."""
        raise ModelError(
            f"{len(theta_KP)} pretrained models must be measured as they are, with data.kind = "
            f"'none', but got {x_KBI.shape[1]} samples."
        )


def declare_layout(keys: AttentionKeys) -> Layout:
    """Return the layout of the attention layers at `keys`."""
    blocks: list[Block] = []
    layers: list[AttentionLayer] = []
    symmetries: list[DeclaredSymmetry] = []
    at = 0
    for number in range(1, len(keys.prefixes) + 1):
        heads, key, value = (f"attention{number}.{axis}" for axis in ("heads", "key", "value"))
        names = [f"attention{number}.{side}" for side in SIDES]
        for side, name in zip(SIDES, names, strict=True):
            block = Block(
                name=name,
                shape=(keys.heads, keys.directions, keys.width + (side in keys.biased)),
                offset=at,
                axes=(heads, key if side in {"query", "key"} else value, f"{name}.numbers"),
                role="weight",
                fan_in=keys.width,
            )
            blocks.append(block)
            at = block.stop
        layers.append(
            AttentionLayer(
                layer=number,
                heads=heads,
                key=key,
                value=value,
                query_blocks=(names[0],),
                key_blocks=(names[1],),
                value_blocks=(names[2],),
                output_blocks=(names[3],),
            )
        )
        symmetries += [
            DeclaredSymmetry(
                kind="double_rotation",
                blocks=(first,),
                partners=(second,),
                axis=axis,
                within=heads,
                place=head,
                layer=number,
            )
            for first, second, axis in ((*names[:2], key), (*names[2:], value))
            for head in range(keys.heads)
        ]
    return Layout(blocks=tuple(blocks), attention=tuple(layers), symmetries=tuple(symmetries))


def heads_beside(folder: Path) -> int | None:
    """Return how many heads the `config.json` in `folder` tells, if there is one that does."""
    try:
        told = json.loads((folder / "config.json").read_bytes())["num_attention_heads"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return told if isinstance(told, int) and told > 0 else None


def build_pretrained(config: PretrainedConfig, input_dim: int, output_dim: int) -> Pretrained:  # noqa: ARG001  # the file tells the sizes
    """Return the attention of the weights that `config` names.

    Raises:
        ModelError: If the file is not there, is not the one that was planned, or holds no vision
            transformer.
    """
    paths = find_weights(config.path)
    if config.content and content_of(config.path) != config.content:
        raise ModelError(
            f"model.path must hold what it held when the study was planned, but {config.path!r} "
            "has changed since. Run the study again."
        )
    tensors = open_weights(paths.files)
    keys = find_attention(tensors.shapes, config.heads or heads_beside(paths.folder))
    return Pretrained(tensors, keys, is_random=config.weights == "random")
