"""Keys of `model.kind = "fcn"`."""

from typing import Annotated, ClassVar, Literal

from annotated_types import Ge, Gt

from symstudy.components import DataShape, NetworkSize, Role, component
from symstudy.components.sizes import dense_size
from symstudy.models.checks import check_factors, check_init_rank
from symstudy.models.config import Activation, Reparametrise
from symstudy.models.width_scaled import AbstractWidthScaled

__all__ = ["FcnConfig"]


@component
class FcnConfig(AbstractWidthScaled):
    """A fully connected network with hidden layers of equal width."""

    network: ClassVar[str] = "symstudy.models.fcn.network:build_fcn"
    pads: ClassVar[str] = "width"

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
    init_scale: Annotated[float, Gt(0), Role.LANE] = 1.0
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
        """Check that the weights can start as they are to."""
        check_init_rank(self.init_rank, self.width)
        check_factors(self.reparametrise, self.init_copies, self.init_rank)
        self.check_base({"base_width": self.base_width})

    def size(self, data: DataShape) -> NetworkSize:
        """Return the size of the network on data of the given shape."""
        return dense_size(data.inputs, self.width, self.depth - 1, data.outputs)
