"""Transformer encoders: attention layers, and MLPs where wanted, on a residual stream.

Shapes: K runs, P parameters, B samples, T tokens, D width of the residual stream, H heads, N size
of a query, key or value of a head, O outputs.
"""

import math
from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from symstudy.errors import ModelError
from symstudy.kernels.encoder import Encoder
from symstudy.layout import Block, Layout
from symstudy.models.activations import activation_of
from symstudy.models.base import (
    AbstractModel,
    Forward,
    LastLayer,
    normal_parameters,
)
from symstudy.models.stacks import DenseStack
from symstudy.models.transformer.config import TransformerConfig
from symstudy.models.transformer.kernels import encoder_of
from symstudy.models.transformer.layout import declare_transformer

__all__ = ["NORM_EPSILON", "Transformer", "build_transformer"]

FUSED: dict[str, Callable[[Tensor], Tensor]] = {
    "gelu": torch.nn.functional.gelu,
    "silu": torch.nn.functional.silu,
}
"""Activations that torch computes in one pass, as `symstudy.models.activations` up to rounding. A
pack of transformers equals its runs up to rounding anyway."""
MOST_SAMPLES = 32_768
"""Samples of all runs that attention is computed of at a time."""
NORM_EPSILON = 1e-12
"""Added to the variance in a normalisation: so little that its scaling symmetry is exact up to
round-off."""


class Transformer(AbstractModel):
    """An encoder for K runs: h = E x + p, then h + W_O attention(h) and h + MLP(h), layer by layer.

    The readout is linear in the last token or in the mean of all. With `norm = "layernorm"` what
    attention, MLP and readout see of h is normalised first (Xiong et al. 2020: before the layers).
    A layer of which only the last token is read out is computed for that token alone.

    Inputs are `[runs, batch, tokens, token_dim]`, or flat with the tokens one after the other.

    References:
        Vaswani et al. 2017, arXiv:1706.03762.
    """

    def __init__(self, config: TransformerConfig, input_dim: int, output_dim: int) -> None:
        """Declare the network of `config`, whose `tokens` is above 0, between two dimensions."""
        self.config = config
        self.activation = activation_of(config.activation, config.activation_coefficient)
        self.activate = FUSED.get(config.activation, self.activation.apply)
        self.declared = declare_transformer(
            config,
            token_dim=input_dim // config.tokens,
            output_dim=output_dim,
            odd=self.activation.odd,
            homogeneous=self.activation.homogeneous,
        )
        self.logit_scale = logit_scale(config)
        self.pieces = joined_blocks(self.declared.blocks)

    @property
    def layout(self) -> Layout:
        """Embedding, attention layers, MLPs and readout, with the symmetries of all."""
        return self.declared

    @property
    def dense(self) -> DenseStack | None:
        """None: attention is no dense layer."""
        return None

    @property
    def why_no_features(self) -> str:
        """Nothing: they are what the readout reads of the tokens."""
        return ""

    @property
    def encoder(self) -> Encoder:
        """All of it, for the compiled kernels."""
        config = self.config
        return encoder_of(
            config,
            self.declared,
            code=self.activation.code,
            logit_scale=self.logit_scale or config.head_dim**-0.5,
            epsilon=NORM_EPSILON,
        )

    def initialise(
        self, seeds: Sequence[int], scales_K: Float[Tensor, " runs"]
    ) -> Float[Tensor, "runs parameters"]:
        """Return normal weights of standard deviation scale / sqrt(fan-in), and biases of 0."""
        return normal_parameters(self.layout, seeds, scales_K)

    def forward(
        self, theta_KP: Float[Tensor, "runs parameters"], x_KBI: Float[Tensor, "runs batch ..."]
    ) -> Forward:
        """Return outputs, and the activations of each MLP with all its tokens one below another."""
        config = self.config
        weights = self.split(theta_KP)
        runs, batch = x_KBI.shape[:2]
        tokens = config.tokens
        h_KTD = affine(weights, "embed", x_KBI.reshape(runs, batch * tokens, -1))
        if config.positions:
            h_KTD = (h_KTD.view(runs, batch, tokens, -1) + weights["positions"][:, None]).flatten(
                1, 2
            )
        hidden: dict[str, Tensor] = {}
        sums: dict[str, Tensor] = {}
        for layer in range(config.layers):
            is_last = layer == config.layers - 1 and config.pool == "last"
            h_KTD = self.attend(weights, f"attention{layer}", h_KTD, batch, only_last=is_last)
            if config.mlp_width:
                name = f"mlp{layer}"
                sums[name] = affine(weights, f"{name}.in", self.normalised(h_KTD))
                hidden[name] = self.activate(sums[name])
                h_KTD = h_KTD + affine(weights, f"{name}.out", hidden[name])
        h_KTD = self.normalised(h_KTD)
        if config.pool == "mean":
            h_KTD = h_KTD.view(runs, batch, tokens, -1).mean(dim=2)
        else:
            assert config.pool == "last", f"no such pooling of tokens: {config.pool}"
        bias_K1O = weights.get("readout.bias")
        bias_KO = None if bias_K1O is None else bias_K1O[:, 0]
        last = LastLayer(h_KTD, weights["readout.weight"], bias_KO)
        outputs_KBO = affine(weights, "readout", h_KTD)
        return Forward(outputs_KBO, hidden, preactivations=sums, last=last)

    def attend(
        self,
        weights: dict[str, Tensor],
        name: str,
        h_KTD: Float[Tensor, "runs batch_tokens width"],
        batch: int,
        *,
        only_last: bool,
    ) -> Float[Tensor, "runs batch_queries width"]:
        """Return the residual stream after attention layer `name`, of all tokens or of the last."""
        config = self.config
        runs, tokens = len(h_KTD), config.tokens
        seen_KTD = self.normalised(h_KTD)
        asking_KTD = seen_KTD
        if only_last:
            h_KTD, asking_KTD = (
                z.view(runs, batch, tokens, -1)[:, :, -1] for z in (h_KTD, seen_KTD)
            )
        q_KTHN = affine(weights, f"{name}.query", asking_KTD)
        kv_KTHN = affine(weights, f"{name}.key+{name}.value", seen_KTD)
        heads = (config.heads, config.head_dim)
        q = q_KTHN.view(runs * batch, -1, *heads).transpose(1, 2)
        k, v = kv_KTHN.view(runs * batch, tokens, 2, *heads).permute(2, 0, 3, 1, 4).unbind(0)
        read = attention(q, k, v, self.logit_scale).transpose(1, 2)
        read_KTN = read.reshape(runs, -1, config.heads * config.head_dim)
        return h_KTD + affine(weights, f"{name}.output", read_KTN)

    def normalised(
        self, h_KTD: Float[Tensor, "runs tokens width"]
    ) -> Float[Tensor, "runs tokens width"]:
        """Return each token less its mean, over its standard deviation; as it is without a norm."""
        if self.config.norm == "none":
            return h_KTD
        assert self.config.norm == "layernorm", f"no such norm: {self.config.norm}"
        return torch.nn.functional.layer_norm(h_KTD, h_KTD.shape[-1:], eps=NORM_EPSILON)

    def split(self, theta_KP: Float[Tensor, "runs parameters"]) -> dict[str, Tensor]:
        """Return weights as matrices `[runs, out, in]` and biases as rows, by name, as views."""
        parts = torch.split(theta_KP, [size for _, size, _ in self.pieces], dim=1)
        runs = len(theta_KP)
        return {
            name: part.view(runs, *shape)
            for (name, _, shape), part in zip(self.pieces, parts, strict=True)
        }


def attention(
    q_SHTN: Float[Tensor, "samples heads queries head_dim"],
    k_SHTN: Float[Tensor, "samples heads tokens head_dim"],
    v_SHTN: Float[Tensor, "samples heads tokens head_dim"],
    scale: float | None = None,
) -> Float[Tensor, "samples heads queries head_dim"]:
    """Return what each query reads, for the samples of all runs in parts that a GPU can take.

    CUDA has at most 65,535 blocks along an axis: torch's fused kernels fail or change beyond so
    many samples (pytorch#142228, #146733).

    Args:
        q_SHTN: Queries.
        k_SHTN: Keys.
        v_SHTN: Values.
        scale: Factor on the logits; 1 / sqrt(head_dim) if None.
    """
    if len(q_SHTN) <= MOST_SAMPLES:
        return scaled_dot_product_attention(q_SHTN, k_SHTN, v_SHTN, scale=scale)
    parts = zip(
        *(torch.split(each, MOST_SAMPLES) for each in (q_SHTN, k_SHTN, v_SHTN)), strict=True
    )
    return torch.cat([scaled_dot_product_attention(q, k, v, scale=scale) for q, k, v in parts])


def logit_scale(config: TransformerConfig) -> float | None:
    """Return the factor on logits in muP, sqrt(base_head_dim) / head_dim; None for torch's own.

    Queries and keys come to agree in training, so that their product grows as head_dim.
    """
    base = config.base_head_dim
    if not config.is_width_scaled or base is None or base == config.head_dim:
        return None
    return math.sqrt(base) / config.head_dim


def affine(
    weights: dict[str, Tensor], name: str, h_KTI: Float[Tensor, "runs tokens inputs"]
) -> Float[Tensor, "runs tokens outputs"]:
    """Return what the linear layer `name` makes of `h_KTI`, with its bias where it has one."""
    w_KIO = weights[f"{name}.weight"].transpose(1, 2)
    bias = weights.get(f"{name}.bias")
    return torch.bmm(h_KTI, w_KIO) if bias is None else torch.baddbmm(bias, h_KTI, w_KIO)


def joined_blocks(blocks: Sequence[Block]) -> list[tuple[str, int, tuple[int, ...]]]:
    """Return name, size and shape of what forward passes read, in the order of `blocks`.

    Keys and values, which lie one after the other, are one matrix: one product instead of two.
    """
    pieces: list[tuple[str, int, tuple[int, ...]]] = []
    for block in blocks:
        name, shape = block.name, block.shape
        if block.role == "bias":
            shape = (1, block.size)
        elif name == "positions":
            pass
        elif name.endswith("output.weight"):
            shape = (shape[0], block.size // shape[0])
        elif len(shape) > 2:
            shape = (block.size // shape[-1], shape[-1])
        if name.endswith("value.weight"):
            first, size, before = pieces.pop()
            name = f"{first.removesuffix('.weight')}+{name}"
            pieces.append((name, size + block.size, (before[0] + shape[0], shape[1])))
        else:
            pieces.append((name, block.size, shape))
    return pieces


def build_transformer(config: TransformerConfig, input_dim: int, output_dim: int) -> Transformer:
    """Return the network that `config` describes between the given dimensions.

    Raises:
        ModelError: If `config.tokens` is 0 or does not divide the inputs.
    """
    if config.tokens == 0 or input_dim % config.tokens:
        given = f"{input_dim} inputs and " + (
            f"{config.tokens} tokens" if config.tokens else "none of the two"
        )
        raise ModelError(
            "model.tokens must divide the inputs of the data, or be left to data that come as "
            f"tokens (data.kind = 'in_context', or 'digits' with data.patch), but got {given}."
        )
    return Transformer(config, input_dim, output_dim)
