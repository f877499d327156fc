"""Files of weights as the authors of vision transformers publish them, with a known truth.

Shapes: H heads, N directions of a head, D inputs or outputs.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import torch
from safetensors.torch import save_file
from torch import Tensor

__all__ = ["NAMINGS", "PlantedLayer", "planted_layers", "state_dict_of", "write_weights"]

Naming = Literal["torchvision", "huggingface", "huggingface_bare", "timm"]
NAMINGS: tuple[Naming, ...] = ("torchvision", "huggingface", "huggingface_bare", "timm")
"""Ways to name tensors; Hugging Face's with and without the prefix of its classifiers."""

PlantedLayer = dict[str, Tensor]
"""Query, key, value and output `[heads, directions, numbers]`; the first three end in a bias."""


def planted_layers(
    ranks: Sequence[tuple[int, int]],
    *,
    heads: int,
    directions: int,
    seed: int = 0,
    condition: float = 10.0,
    dtype: torch.dtype = torch.float64,
) -> list[PlantedLayer]:
    """Return attention layers whose heads have products of known rank, each in a random gauge.

    Args:
        ranks: For each layer the rank of query with key, and that of value with output.
        heads: Heads of a layer; the width is heads times directions.
        directions: Of a head.
        seed: Of the draws.
        condition: Of the matrix A of the gauge (W_Q A, W_K A^-T), at most.
        dtype: Of the result.
    """
    generator = torch.Generator().manual_seed(seed)
    width = heads * directions

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    def pair(rank: int, numbers: tuple[int, int]) -> tuple[Tensor, Tensor]:
        # Orthonormal rows: all singular values of the product are 1, or 0.
        sides = [torch.linalg.qr(normal(heads, n, directions)).Q.transpose(1, 2) for n in numbers]
        for side in sides:
            side[:, rank:] = 0.0
        left, right = (torch.linalg.qr(normal(heads, directions, directions)).Q for _ in range(2))
        stretch = condition ** (torch.rand(heads, directions, 1, generator=generator) - 0.5)
        gauge = left @ (stretch.double() * right)
        first = gauge @ sides[0]
        second = torch.linalg.solve(gauge.transpose(1, 2), sides[1])
        return first, second

    layers = []
    for query_key, value_output in ranks:
        query, key = pair(query_key, (width + 1, width + 1))
        value, output = pair(value_output, (width + 1, width))
        sides = {"query": query, "key": key, "value": value, "output": output}
        layers.append({name: side.to(dtype) for name, side in sides.items()})
    return layers


def state_dict_of(layers: Sequence[PlantedLayer], naming: Naming) -> dict[str, Tensor]:
    """Return the tensors of `layers` under the names of `naming`, and a few others."""
    tensors: dict[str, Tensor] = {}
    for number, layer in enumerate(layers):
        width = layer["output"].shape[2]
        weights = {
            side: rows.reshape(width, -1)[:, :width].contiguous() for side, rows in layer.items()
        }
        biases = {
            side: layer[side].reshape(width, -1)[:, width] for side in ("query", "key", "value")
        }
        own = weights.pop("output").T.contiguous()
        own_bias = torch.zeros(width, dtype=own.dtype)
        if naming == "torchvision":
            head = f"encoder.layers.encoder_layer_{number}.self_attention."
            tensors[f"{head}in_proj_weight"] = torch.cat(list(weights.values()))
            tensors[f"{head}in_proj_bias"] = torch.cat(list(biases.values()))
            tensors[f"{head}out_proj.weight"], tensors[f"{head}out_proj.bias"] = own, own_bias
        elif naming == "timm":
            head = f"blocks.{number}.attn."
            tensors[f"{head}qkv.weight"] = torch.cat(list(weights.values()))
            tensors[f"{head}qkv.bias"] = torch.cat(list(biases.values()))
            tensors[f"{head}proj.weight"], tensors[f"{head}proj.bias"] = own, own_bias
        else:
            prefix = "vit." if naming == "huggingface" else ""
            head = f"{prefix}encoder.layer.{number}.attention."
            for side, rows in weights.items():
                tensors[f"{head}attention.{side}.weight"] = rows
                tensors[f"{head}attention.{side}.bias"] = biases[side].contiguous()
            tensors[f"{head}output.dense.weight"] = own
            tensors[f"{head}output.dense.bias"] = own_bias
        mlp = head.rsplit(".", 2)[0]
        tensors[f"{mlp}.mlp.0.weight"] = torch.zeros(2, width, dtype=own.dtype)
    return tensors


def write_weights(path: Path, tensors: dict[str, Tensor]) -> Path:
    """Write `tensors` as safetensors or, for any other ending, as torch does; return the path."""
    if path.suffix == ".safetensors":
        save_file(tensors, path)
    else:
        torch.save(tensors, path)
    return path
