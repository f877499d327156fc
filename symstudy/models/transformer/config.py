"""Keys of `model.kind = "transformer"`."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated, Any, ClassVar, Literal, Self

from annotated_types import Ge, Gt

from symstudy.components import DataShape, NetworkSize, Role, component
from symstudy.models.config import Activation, Reparametrise
from symstudy.models.width_scaled import AbstractWidthScaled

__all__ = ["TransformerConfig"]


@component
class TransformerConfig(AbstractWidthScaled):
    """A transformer encoder: self-attention with residual connections, and MLPs where wanted.

    With `mlp_width = 0` it is attention layers and a linear readout.
    """

    network: ClassVar[str] = "symstudy.models.transformer.network:build_transformer"

    kind: Literal["transformer"] = "transformer"
    """Transformer encoder."""
    layers: Annotated[int, Ge(1)] = 2
    """Number of attention layers."""
    width: Annotated[int, Ge(1)] = 16
    """Size of the residual stream, d_model."""
    heads: Annotated[int, Ge(1)] = 1
    """Heads of each attention layer."""
    head_dim: Annotated[int, Ge(1)] = 16
    """Size of the queries, keys and values of each head."""
    mlp_width: Annotated[int, Ge(0)] = 0
    """Neurons of the MLP after each attention layer; 0 for none."""
    activation: Activation = "gelu"
    """Activation of the MLPs; polynomial is z + activation_coefficient z^2."""
    activation_coefficient: float = 0.25
    """Coefficient of z^2 in the polynomial activation."""
    pool: Literal["last", "mean"] = "last"
    """What the readout sees: the last token, or the mean of all."""
    norm: Literal["none", "layernorm"] = "none"
    """Normalisation before each attention layer, each MLP and the readout; it has no gain and bias,
    which the linear layers that follow already have."""
    positions: bool = False
    """Whether a learned vector is added to the token at each position."""
    bias: bool = True
    """Whether linear layers have a bias, which starts at 0; not those of keys and values, which
    change no function that the others do not."""
    tokens: Annotated[int, Ge(0)] = 0
    """Tokens that the inputs are cut into; 0 for as many as the data say."""
    init_scale: Annotated[float, Gt(0), Role.LANE] = 1.0
    """Weights start as normal numbers of standard deviation init_scale / sqrt(fan-in)."""
    reparametrise: Reparametrise = "none"
    """Weights as products, so that gamma makes them sparse (hadamard: u v elementwise), drops whole
    matrices (gate: v W) or lowers their rank (factorised: U V)."""

    base_heads: Annotated[int, Ge(1)] | None = None
    """Heads of the network of base_width, where parametrization is mup; as many as heads if these
    do not grow with the width."""
    base_head_dim: Annotated[int, Ge(1)] | None = None
    """Size of a head of the network of base_width, likewise; logits are divided by
    head_dim / sqrt(base_head_dim) then."""
    base_mlp_width: Annotated[int, Ge(1)] | None = None
    """Neurons of the MLPs of the network of base_width, likewise."""

    def __post_init__(self) -> None:
        """Check that muP knows the base network."""
        base = {
            "base_width": self.base_width,
            "base_heads": self.base_heads,
            "base_head_dim": self.base_head_dim,
        }
        if self.mlp_width:
            base["base_mlp_width"] = self.base_mlp_width
        self.check_base(base)

    def base_network(self) -> Self:
        """Return the network whose learning rate and initial weights muP takes as they are."""
        sizes: dict[str, Any] = {
            "width": self.base_width,
            "heads": self.base_heads,
            "head_dim": self.base_head_dim,
            "mlp_width": self.base_mlp_width if self.mlp_width else 0,
        }
        return replace(self, parametrization="standard", **sizes)

    def size(self, data: DataShape) -> NetworkSize:
        """Return the size of the network on data of the given shape, without its few biases."""
        tokens = self.tokens or data.tokens or 1
        width, inner = self.width, self.heads * self.head_dim
        embedding, readout = width * (data.inputs // tokens), width * data.outputs
        layer = 4 * width * inner + 2 * width * self.mlp_width
        # Logits and what is read with them.
        mixing = 2 * tokens * inner
        full = self.layers - (1 if self.pool == "last" else 0)
        # Of the last layer only keys and values are computed for all tokens, if one is read out.
        last = (self.layers - full) * 2 * width * inner
        each_token = embedding + full * (layer + mixing) + last
        numbers = width + self.layers * (3 * width + 5 * inner + 2 * self.mlp_width)
        return NetworkSize(
            parameters=embedding + self.layers * layer + readout + self.positions * tokens * width,
            products=tokens * each_token + readout,
            activations=tokens * numbers,
            hidden=(self.mlp_width,) * (self.layers if self.mlp_width else 0),
            heads=self.layers * self.heads,
            head_numbers=width * self.head_dim,
            has_step_kernels=True,
            stages=1 + self.layers,
        )

    def misfits(self, data: DataShape) -> Iterator[tuple[str, str]]:
        """Yield a mistake where the inputs cannot be cut into tokens."""
        tokens, inputs = self.tokens or data.tokens, data.inputs
        if tokens == 0 or inputs % tokens:
            given = f"{inputs} inputs and {f'{tokens} tokens' if tokens else 'no tokens'}"
            what = (
                "must divide the inputs of the data, or be left to data that come as tokens "
                f"(in_context, or digits with data.patch), but got {given}"
            )
            yield "tokens", what

    def fitted(self, data: DataShape) -> Self:
        """Return the configuration with as many tokens as the data say, where it says none."""
        return self if self.tokens else replace(self, tokens=data.tokens)
