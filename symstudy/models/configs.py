"""What a study file says of a model: one dataclass a kind, read without torch.

A field whose metadata has `lane` may differ between the runs of one pack; any other field fixes the
shapes or the control flow of the pack.
"""

from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Gt

__all__ = ["CustomConfig", "DeepLinearConfig", "FcnConfig", "ModelConfig"]

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


@dataclass(frozen=True, kw_only=True)
class CustomConfig:
    """A torch module of the user's own, called `package.module:Class`."""

    kind: str
    """Import path of the class and its name, separated by a colon."""
    arguments: dict[str, Any] = field(default_factory=dict)
    """Keyword arguments of the class: every other key of the `[model]` table."""


ModelConfig = FcnConfig | DeepLinearConfig | CustomConfig
