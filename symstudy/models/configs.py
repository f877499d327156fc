"""What a study file says of a model: one dataclass a kind, read without torch.

A field whose metadata has `lane` may differ between the runs of one pack; any other field fixes the
shapes or the control flow of the pack.
"""

from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Gt

__all__ = [
    "CustomConfig",
    "DeepLinearConfig",
    "FcnConfig",
    "ModelConfig",
    "PretrainedConfig",
    "TransformerConfig",
]

Reparametrise = Literal["none", "hadamard", "gate", "factorised"]
Activation = Literal["tanh", "silu", "relu", "gelu", "sin", "linear", "polynomial"]


@dataclass(frozen=True, kw_only=True)
class FcnConfig:
    """A fully connected network with hidden layers of equal width."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    kind: Literal["fcn"] = "fcn"
    """Fully connected network."""
    depth: Annotated[int, Ge(1)] = 2
    """Number of weight layers; depth - 1 hidden layers."""
    width: Annotated[int, Ge(1)] = 64
    """Neurons of each hidden layer."""
    activation: Activation = "tanh"
    """Activation of the hidden layers; polynomial is z + activation_coefficient z^2."""
    activation_coefficient: float = 0.25
    """Coefficient of z^2 in the polynomial activation."""
    bias: bool = True
    """Whether every layer has a bias, which starts at 0."""
    init_scale: Annotated[float, Gt(0)] = field(default=1.0, metadata={"lane": True})
    """Weights start as normal numbers of standard deviation init_scale / sqrt(fan-in)."""
    init_copies: Annotated[int, Ge(1)] = 1
    """Every block of this many consecutive neurons of a hidden layer starts as copies of one."""
    init_rank: Annotated[int, Ge(0)] = 0
    """Incoming and outgoing weights of each hidden layer start in a common subspace of this many
    of its dimensions; 0 leaves them as drawn."""
    reparametrise: Reparametrise = "none"
    """Weights as products, so that gamma makes them sparse (hadamard: u v elementwise), drops whole
    matrices (gate: v W) or lowers their rank (factorised: U V)."""

    def __post_init__(self) -> None:
        """Check that the initial rank fits the width, and the weights can start as they are to."""
        check_init_rank(self.init_rank, self.width)
        check_factors(self.reparametrise, self.init_copies, self.init_rank)


@dataclass(frozen=True, kw_only=True)
class DeepLinearConfig:
    """A deep linear network: a product of weight matrices without biases."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    kind: Literal["deep_linear"] = "deep_linear"
    """Deep linear network."""
    depth: Annotated[int, Ge(1)] = 2
    """Number of weight matrices."""
    width: Annotated[int, Ge(1)] = 64
    """Size of each hidden layer."""
    init_scale: Annotated[float, Gt(0)] = field(default=1.0, metadata={"lane": True})
    """Weights start as normal numbers of standard deviation init_scale / sqrt(fan-in)."""
    init_copies: Annotated[int, Ge(1)] = 1
    """Every block of this many consecutive neurons of a hidden layer starts as copies of one."""
    init_rank: Annotated[int, Ge(0)] = 0
    """Incoming and outgoing weights of each hidden layer start in a common subspace of this many
    of its dimensions; 0 leaves them as drawn."""
    init_balanced: bool = False
    """Whether weights start balanced and aligned with the axes instead: the product of the first
    layers maps each input axis to a random direction of its own, that of all to the same output
    axis, and every singular value of every layer is init_scale."""
    reparametrise: Reparametrise = "none"
    """Weights as products, so that gamma makes them sparse (hadamard: u v elementwise), drops whole
    matrices (gate: v W) or lowers their rank (factorised: U V)."""

    def __post_init__(self) -> None:
        """Check that the initial rank fits the width, and the weights can start as they are to."""
        check_init_rank(self.init_rank, self.width)
        check_factors(self.reparametrise, self.init_copies, self.init_rank)
        special = self.init_copies > 1 or self.init_rank > 0 or self.reparametrise != "none"
        if self.init_balanced and special:
            raise ValueError(
                "`model.init_balanced` must be false where init_copies, init_rank or reparametrise "
                "is set, but got true"
            )


@dataclass(frozen=True, kw_only=True)
class PretrainedConfig:
    """The attention of a trained vision transformer, read from a file and measured as it is.

    A run is known by what the file holds, not by where it lies.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    kind: Literal["pretrained"] = "pretrained"
    """Trained weights from a file; with data.kind and train.optimizer "none"."""
    path: str = field(metadata={"known_by": "content"})
    """File of safetensors or of torch, index of several, or folder of Hugging Face, with the keys
    of torchvision, Hugging Face or timm; below the working directory, or from the root."""
    heads: Annotated[int, Ge(1)] | None = None
    """Heads of an attention layer; by default what a config.json beside the file says, or that of
    the vision transformers Ti, S, B, L and H of its width."""
    weights: Literal["file", "random"] = "file"
    """Those of the file, or normal ones of the same shapes, drawn anew for each seed."""
    content: str = ""
    """SHA-256 of the file; found by itself, and checked where it is given."""

    @property
    def reparametrise(self) -> Reparametrise:
        """Weights are what they are."""
        return "none"


@dataclass(frozen=True, kw_only=True)
class TransformerConfig:
    """A transformer encoder: self-attention with residual connections, and MLPs where wanted.

    With `mlp_width = 0` it is attention layers and a linear readout.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

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
    init_scale: Annotated[float, Gt(0)] = field(default=1.0, metadata={"lane": True})
    """Weights start as normal numbers of standard deviation init_scale / sqrt(fan-in)."""
    reparametrise: Reparametrise = "none"
    """Weights as products, so that gamma makes them sparse (hadamard: u v elementwise), drops whole
    matrices (gate: v W) or lowers their rank (factorised: U V)."""


@dataclass(frozen=True, kw_only=True)
class CustomConfig:
    """A torch module of the user's own, called `package.module:Class`."""

    kind: str
    """Import path of the class and its name, separated by a colon."""
    arguments: dict[str, Any] = field(default_factory=dict)
    """Keyword arguments of the class: every other key of the `[model]` table."""
    reparametrise: Reparametrise = "none"
    """As for the other kinds."""


def check_init_rank(rank: int, width: int) -> None:
    """Check that `width` neurons have `rank` dimensions.

    Raises:
        ValueError: If they have not.
    """
    if rank > width:
        raise ValueError(
            f"`model.init_rank` must be at most `model.width`, but got {rank} and {width}"
        )


def check_factors(reparametrise: str, copies: int, rank: int) -> None:
    """Check that initial weights of a special form are not drawn anew as products.

    Raises:
        ValueError: If they would be.
    """
    if reparametrise in ("hadamard", "factorised") and (copies > 1 or rank > 0):
        raise ValueError(
            "`model.reparametrise` must be 'none' or 'gate' where init_copies or init_rank is set, "
            f"but got {reparametrise!r}, which draws the factors of the weights anew"
        )


ModelConfig = FcnConfig | DeepLinearConfig | TransformerConfig | PretrainedConfig | CustomConfig
