"""How large a network is, found from its table without building it."""

import itertools
from typing import NamedTuple

from symstudy.datasets.configs import DataShape
from symstudy.models.configs import ModelConfig, TransformerConfig
from symstudy.models.registry import dense_sizes

__all__ = ["UNKNOWN_PARAMETERS", "NetworkSize", "network_size"]

UNKNOWN_PARAMETERS = 100_000
"""Assumed size of a model whose parameters cannot be counted without building it."""


class NetworkSize(NamedTuple):
    """What a cost estimate needs of a network.

    Attributes:
        parameters: Number of parameters, about.
        products: Multiplications of one sample's forward pass.
        hidden: Neurons of each layer that is measured neuron by neuron.
        heads: Heads of all attention layers.
        head_numbers: Numbers of a head's matrix.
        activations: Numbers that one sample leaves for the backward pass.
        is_dense: Whether the network is nothing but dense layers.
    """

    parameters: int
    products: int
    hidden: tuple[int, ...]
    heads: int
    head_numbers: int
    activations: int
    is_dense: bool


def network_size(model: ModelConfig, data: DataShape) -> NetworkSize:
    """Return the size of the network that `model` describes, on data of the given shape."""
    if isinstance(model, TransformerConfig):
        return transformer_size(model, data)
    sizes = dense_sizes(model, data.inputs, data.outputs)
    if sizes is None:
        widest = max(data.inputs, data.outputs)
        return NetworkSize(UNKNOWN_PARAMETERS, UNKNOWN_PARAMETERS, (), 0, 0, 2 * widest, False)
    parameters = sum((i + 1) * o for i, o in itertools.pairwise(sizes))
    hidden = tuple(sizes[1:-1])
    activations = (len(hidden) + 2) * max(sizes)
    return NetworkSize(parameters, parameters, hidden, 0, 0, activations, True)


def transformer_size(model: TransformerConfig, data: DataShape) -> NetworkSize:
    """Return the size of a transformer; biases are left out, being few."""
    tokens = model.tokens or data.tokens or 1
    width, inner = model.width, model.heads * model.head_dim
    embedding, readout = width * (data.inputs // tokens), width * data.outputs
    layer = 4 * width * inner + 2 * width * model.mlp_width
    # Logits and what is read with them.
    mixing = 2 * tokens * inner
    full = model.layers - (1 if model.pool == "last" else 0)
    # Of the last layer only keys and values are computed for all tokens, if one is read out.
    last = (model.layers - full) * 2 * width * inner
    each_token = embedding + full * (layer + mixing) + last
    return NetworkSize(
        parameters=embedding + model.layers * layer + readout + model.positions * tokens * width,
        products=tokens * each_token + readout,
        hidden=(model.mlp_width,) * (model.layers if model.mlp_width else 0),
        heads=model.layers * model.heads,
        head_numbers=width * model.head_dim,
        activations=tokens * (width + model.layers * (3 * width + 5 * inner + 2 * model.mlp_width)),
        is_dense=False,
    )
