"""What a study file says of a model: one dataclass a kind, read without torch.

A field whose metadata has `lane` may differ between the runs of one pack; any other field fixes the
shapes or the control flow of the pack.
"""

from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Gt

__all__ = ["CustomConfig", "DeepLinearConfig", "FcnConfig", "ModelConfig"]

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
    reparametrise: Reparametrise = "none"
    """Weights as products, so that gamma makes them sparse (hadamard: u v elementwise), drops whole
    matrices (gate: v W) or lowers their rank (factorised: U V)."""

    def __post_init__(self) -> None:
        """Check that the initial rank fits the width, and the weights can start as they are to."""
        check_init_rank(self.init_rank, self.width)
        check_factors(self.reparametrise, self.init_copies, self.init_rank)


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


ModelConfig = FcnConfig | DeepLinearConfig | CustomConfig
