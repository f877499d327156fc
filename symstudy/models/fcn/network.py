"""Fully connected networks, deep linear ones among them."""

import itertools
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from symstudy.layout import Block, DeclaredSymmetry, Layout, NeuronGroup, neuron_symmetries
from symstudy.models.activations import activation_of
from symstudy.models.base import (
    AbstractModel,
    Forward,
    LastLayer,
    normal_parameters,
    split_parameters,
)
from symstudy.models.deep_linear.config import DeepLinearConfig
from symstudy.models.fcn.config import FcnConfig
from symstudy.models.initial_states import align_balanced
from symstudy.models.stacks import DenseStack

__all__ = ["Fcn", "build_deep_linear", "build_fcn"]


class Fcn(AbstractModel):
    """A stack of dense layers, x -> W_D f(W_{D-1} ... f(W_1 x + b_1) ...) + b_D, for K runs.

    Parameters lie layer by layer: the weight `[out, in]`, then the bias `[out]`.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        activation: str,
        *,
        bias: bool = True,
        activation_coefficient: float = 0.25,
        init_copies: int = 1,
        init_rank: int = 0,
        init_balanced: bool = False,
        base_width: int | None = None,
    ) -> None:
        """Declare a network of layer sizes `sizes`, the input's first and the output's last.

        With a `base_width` it is in muP: hidden layers of that width have the standard rules.
        """
        self.sizes = tuple(sizes)
        self.activation = activation_of(activation, activation_coefficient)
        self.coefficient = activation_coefficient
        self.init_copies = init_copies
        self.init_rank = init_rank
        self.init_balanced = init_balanced
        self.bias = bias
        self.declared = declare_layout(
            self.sizes,
            bias=bias,
            odd=self.activation.odd,
            homogeneous=self.activation.homogeneous,
            base_width=base_width,
        )

    @property
    def layout(self) -> Layout:
        """Weights and biases layer by layer, with a neuron group for each hidden layer."""
        return self.declared

    @property
    def dense(self) -> DenseStack:
        """The whole network: it is nothing but dense layers."""
        weights = [block.offset for block in self.layout.blocks if block.role == "weight"]
        biases = [block.offset for block in self.layout.blocks if block.role == "bias"]
        codes = [self.activation.code] * (len(weights) - 1) + [0]
        return DenseStack(
            sizes=np.array(self.sizes, np.int64),
            weights=np.array(weights, np.int64),
            biases=np.array(biases if self.bias else [-1] * len(weights), np.int64),
            codes=np.array(codes, np.int64),
            coefficient=self.coefficient,
        )

    @property
    def why_no_features(self) -> str:
        """Nothing: they are the activations of the last hidden layer, or the inputs without one."""
        return ""

    def initialise(
        self, seeds: Sequence[int], scales_K: Float[Tensor, " runs"]
    ) -> Float[Tensor, "runs parameters"]:
        """Return normal weights of standard deviation scale / sqrt(fan-in), and biases of 0.

        With `init_balanced` weights are aligned instead, with singular values of scale.
        """
        if self.init_balanced:
            rows = {seed: torch.from_numpy(align_balanced(self.layout, seed)) for seed in seeds}
            theta_KP = torch.stack([rows[seed] for seed in seeds])
            return (theta_KP * scales_K.double()[:, None]).to(scales_K.dtype)
        return normal_parameters(
            self.layout, seeds, scales_K, rank=self.init_rank, copies=self.init_copies
        )

    def forward(
        self, theta_KP: Float[Tensor, "runs parameters"], x_KBI: Float[Tensor, "runs batch ..."]
    ) -> Forward:
        """Return outputs and hidden activations; inputs of more axes are flattened."""
        blocks = split_parameters(self.layout, theta_KP)
        h_KBI = features_KBF = x_KBI.flatten(2)
        hidden: dict[str, Tensor] = {}
        sums: dict[str, Tensor] = {}
        last = len(self.sizes) - 2
        for layer in range(last + 1):
            features_KBF = h_KBI
            w_KIO = blocks[f"layers.{layer}.weight"].transpose(1, 2)
            if self.bias:
                h_KBI = torch.baddbmm(blocks[f"layers.{layer}.bias"][:, None], h_KBI, w_KIO)
            else:
                h_KBI = torch.bmm(h_KBI, w_KIO)
            if layer < last:
                sums[group_name(layer + 1)] = h_KBI
                h_KBI = self.activation.apply(h_KBI)
                hidden[group_name(layer + 1)] = h_KBI
        bias_KO = blocks[f"layers.{last}.bias"] if self.bias else None
        read = LastLayer(features_KBF, blocks[f"layers.{last}.weight"], bias_KO)
        return Forward(h_KBI, hidden, preactivations=sums, last=read)


def group_name(layer: int) -> str:
    """Return the name of the neurons of hidden layer `layer`, counted from 1."""
    return f"hidden{layer}"


def declare_layout(
    sizes: tuple[int, ...],
    *,
    bias: bool,
    odd: bool,
    homogeneous: bool,
    base_width: int | None = None,
) -> Layout:
    """Return the layout of a stack of dense layers of the given sizes.

    Its symmetries are those of its neurons, and the translation of the output axis: adding the same
    vector to all rows of the last layer shifts all logits of a sample alike.
    """
    last = len(sizes) - 2
    blocks = declare_blocks(sizes, bias=bias)
    base_sizes = (sizes[0], *[base_width or 0] * last, sizes[-1])
    groups = tuple(
        NeuronGroup(
            name=group_name(layer),
            layer=layer,
            size=sizes[layer],
            odd=odd,
            homogeneous=homogeneous,
        )
        for layer in range(1, last + 1)
    )
    shift = DeclaredSymmetry(
        kind="translation",
        blocks=tuple(block.name for block in blocks if block.axes[0] == "output"),
        axis="output",
        preserves="probabilities",
        layer=last if groups else None,
    )
    return Layout(
        blocks=tuple(blocks),
        groups=groups,
        symmetries=(*neuron_symmetries(blocks, groups), shift),
        base=() if base_width is None else tuple(declare_blocks(base_sizes, bias=bias)),
    )


def declare_blocks(sizes: tuple[int, ...], *, bias: bool) -> list[Block]:
    """Return the weights and biases of a stack of dense layers, layer by layer."""
    last = len(sizes) - 2
    labels = ["input", *(group_name(layer) for layer in range(1, last + 1)), "output"]
    blocks: list[Block] = []
    at = 0
    for layer, (fan_in, fan_out) in enumerate(itertools.pairwise(sizes)):
        weight = Block(
            name=f"layers.{layer}.weight",
            shape=(fan_out, fan_in),
            offset=at,
            axes=(labels[layer + 1], labels[layer]),
            role="weight",
            fan_in=fan_in,
        )
        blocks.append(weight)
        at = weight.stop
        if bias:
            blocks.append(
                Block(
                    name=f"layers.{layer}.bias",
                    shape=(fan_out,),
                    offset=at,
                    axes=(labels[layer + 1],),
                    role="bias",
                    fan_in=fan_in,
                )
            )
            at = blocks[-1].stop
    return blocks


def build_fcn(config: FcnConfig, input_dim: int, output_dim: int) -> Fcn:
    """Return the network that `config` describes between the given dimensions."""
    return Fcn(
        [input_dim, *[config.width] * (config.depth - 1), output_dim],
        config.activation,
        bias=config.bias,
        activation_coefficient=config.activation_coefficient,
        init_copies=config.init_copies,
        init_rank=config.init_rank,
        base_width=config.base_width if config.is_width_scaled else None,
    )


def build_deep_linear(config: DeepLinearConfig, input_dim: int, output_dim: int) -> Fcn:
    """Return the deep linear network that `config` describes between the given dimensions."""
    sizes = [input_dim, *[config.width] * (config.depth - 1), output_dim]
    return Fcn(
        sizes,
        "linear",
        bias=False,
        init_copies=config.init_copies,
        init_rank=config.init_rank,
        init_balanced=config.init_balanced,
        base_width=config.base_width if config.is_width_scaled else None,
    )
