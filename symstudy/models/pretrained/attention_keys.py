"""The attention layers of a vision transformer, found by the names of its tensors.

Three ways to name them are known: torchvision's, Hugging Face's (ViT, DeiT, BEiT, DINOv2) and
timm's, which the authors of DeiT, MAE and DINO use too. All keep matrices as `torch.nn.Linear`
does, `[out, in]`, and the directions of head h in rows h d_k .. (h + 1) d_k of queries, keys and
values, and in the same columns of the output; where the three lie in one tensor, queries come
first, then keys, then values.

Shapes: H heads, N directions of a head, D inputs or outputs.
"""

import re
from collections.abc import Mapping
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from symstudy.errors import ModelError
from symstudy.models.pretrained.weight_files import NamedTensors

__all__ = ["SIDES", "AttentionKeys", "find_attention", "read_side"]

SIDES = ("query", "key", "value", "output")
HEADS = {192: 3, 384: 6, 768: 12, 1024: 16, 1280: 16}
"""Heads by width of the vision transformers Ti, S, B, L and H (Dosovitskiy et al. 2021; Touvron et
al. 2021): 64 directions a head, 80 for H."""
SHOWN_KEYS = 6


class Naming(NamedTuple):
    """One way to name the tensors of an attention layer.

    Attributes:
        name: Who names so.
        layer: Pattern of what comes before a tensor's own name; its group is the layer's number.
        own: Name of the tensor of each side, without `.weight` or the like.
        is_fused: Whether queries, keys and values share a tensor.
    """

    name: str
    layer: str
    own: Mapping[str, str]
    is_fused: bool


NAMINGS = (
    Naming(
        "torchvision",
        r"encoder\.layers\.encoder_layer_(\d+)\.self_attention\.",
        {"query": "in_proj_", "key": "in_proj_", "value": "in_proj_", "output": "out_proj."},
        is_fused=True,
    ),
    Naming(
        "huggingface",
        r"encoder\.layer\.(\d+)\.attention\.",
        {**{side: f"attention.{side}." for side in SIDES[:3]}, "output": "output.dense."},
        is_fused=False,
    ),
    Naming(
        "timm",
        r"blocks\.(\d+)\.attn\.",
        {"query": "qkv.", "key": "qkv.", "value": "qkv.", "output": "proj."},
        is_fused=True,
    ),
)


class AttentionKeys(NamedTuple):
    """Where the attention layers of a model are among its tensors.

    Attributes:
        naming: `torchvision`, `huggingface` or `timm`.
        prefixes: What the names of each layer's tensors begin with, in order.
        width: Inputs of a layer.
        heads: Heads of a layer.
        directions: Of a head, d_k.
        biased: Which of query, key and value have a bias.
    """

    naming: str
    prefixes: tuple[str, ...]
    width: int
    heads: int
    directions: int
    biased: frozenset[str]


def find_attention(shapes: Mapping[str, tuple[int, ...]], heads: int | None) -> AttentionKeys:
    """Return where the attention layers are among tensors of the given `shapes`.

    Args:
        shapes: By name.
        heads: Heads of a layer, or None to take those of the usual vision transformer of its width.

    Raises:
        ModelError: If the names are none that are known, layers are missing or differ, or the heads
            do not divide the width.
    """
    for naming in NAMINGS:
        layers = layers_of(shapes, naming)
        if layers:
            return check_layers(shapes, naming, layers, heads)
    first = ", ".join(list(shapes)[:SHOWN_KEYS])
    raise ModelError(
        "model.path must name a vision transformer with the keys of torchvision, Hugging Face or "
        f"timm, but got {len(shapes)} tensors, the first of them {first}."
    )


def layers_of(shapes: Mapping[str, tuple[int, ...]], naming: Naming) -> dict[int, str]:
    """Return the prefix of each attention layer that is named by `naming`."""
    pattern = re.compile(rf"((?:.*\.)?{naming.layer})")
    found: dict[int, str] = {}
    for name in shapes:
        match = pattern.match(name)
        if match and found.setdefault(int(match[2]), match[1]) != match[1]:
            raise ModelError(
                "model.path must name one vision transformer, but it has two: "
                f"{found[int(match[2])]}* and {match[1]}*. Save one of them alone."
            )
    return dict(sorted(found.items()))


def check_layers(
    shapes: Mapping[str, tuple[int, ...]],
    naming: Naming,
    layers: dict[int, str],
    heads: int | None,
) -> AttentionKeys:
    """Return the attention layers at the prefixes `layers`, all of one shape.

    Raises:
        ModelError: As `find_attention`.
    """
    if list(layers) != list(range(len(layers))):
        raise ModelError(
            f"model.path must have attention layers 0 to {max(layers)}, but got "
            f"{', '.join(map(str, layers))}."
        )
    prefixes = tuple(layers.values())
    first = own_shapes(shapes, prefixes[0])
    for prefix in prefixes:
        if own_shapes(shapes, prefix) != first:
            raise ModelError(
                "the attention layers of model.path must have the same tensors, but "
                f"{prefix}* has {own_shapes(shapes, prefix)} and {prefixes[0]}* has {first}."
            )
    known = {f"{own}{kind}" for own in naming.own.values() for kind in ("weight", "bias")}
    strange = [name for name in first if name not in known]
    if strange:
        raise ModelError(
            "an attention layer of model.path must have projections and nothing else, since what "
            f"is between them changes its symmetries, but got {prefixes[0]}{strange[0]}."
        )
    lacking = [own for own in dict.fromkeys(naming.own.values()) if f"{own}weight" not in first]
    if lacking:
        raise ModelError(f"model.path must have {prefixes[0]}{lacking[0]}weight, but has not.")
    return of_shapes(naming, prefixes, first, heads)


def own_shapes(shapes: Mapping[str, tuple[int, ...]], prefix: str) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the tensors that begin with `prefix`, by the rest of their names."""
    return {
        name.removeprefix(prefix): shape
        for name, shape in shapes.items()
        if name.startswith(prefix)
    }


def of_shapes(
    naming: Naming,
    prefixes: tuple[str, ...],
    own: Mapping[str, tuple[int, ...]],
    heads: int | None,
) -> AttentionKeys:
    """Return the attention layers whose tensors have the shapes `own`.

    Raises:
        ModelError: If these do not fit each other, or the heads do not divide the width.
    """
    width = own[f"{naming.own['query']}weight"][-1]
    rows = 3 * width if naming.is_fused else width
    wanted: dict[str, tuple[int, ...]] = {
        f"{naming.own[side]}weight": (rows, width) for side in SIDES[:3]
    }
    wanted[f"{naming.own['output']}weight"] = (width, width)
    wanted |= {
        name.replace("weight", "bias"): shape[:1]
        for name, shape in list(wanted.items())
        if name.replace("weight", "bias") in own
    }
    for name, shape in wanted.items():
        if own[name] != shape:
            raise ModelError(
                f"{prefixes[0]}{name} of model.path must be {list(shape)}, but is "
                f"{list(own[name])}."
            )
    if heads is None:
        if width not in HEADS:
            raise ModelError(
                f"model.heads must be given for a vision transformer of width {width}: "
                "the weights do not tell it. Type model.heads=N."
            )
        heads = HEADS[width]
    if width % heads:
        raise ModelError(
            f"model.heads must divide the width {width} of model.path, but got {heads}."
        )
    biased = frozenset(side for side in SIDES[:3] if f"{naming.own[side]}bias" in own)
    return AttentionKeys(naming.name, prefixes, width, heads, width // heads, biased)


def read_side(
    tensors: NamedTensors, keys: AttentionKeys, layer: int, side: str
) -> Float[Tensor, "heads directions numbers"]:
    """Return one side of the heads of a layer: a row for each direction, its bias at the end.

    Args:
        tensors: Of the file.
        keys: Where its attention layers are.
        layer: Which of them, from 0.
        side: Of `SIDES`; the output has no bias that is its heads' own.

    Returns:
        In float32, or float64 where the file has that.
    """
    naming = next(naming for naming in NAMINGS if naming.name == keys.naming)
    name = f"{keys.prefixes[layer]}{naming.own[side]}"
    matrix = tensors.read(f"{name}weight")
    at = slice(None)
    if side == "output":
        matrix = matrix.T
    elif naming.is_fused:
        start = SIDES.index(side) * keys.width
        at = slice(start, start + keys.width)
    rows = matrix[at]
    if side in keys.biased:
        rows = torch.cat([rows, tensors.read(f"{name}bias")[at, None]], dim=1)
    wide = rows.to(torch.promote_types(rows.dtype, torch.float32))
    return wide.reshape(keys.heads, keys.directions, -1)
