"""Keys of `model.kind = "deep_linear"`."""

from typing import Annotated, ClassVar, Literal

from annotated_types import Ge, Gt

from symstudy.components import DataShape, NetworkSize, Role, component
from symstudy.components.sizes import dense_size
from symstudy.models.checks import check_factors, check_init_rank
from symstudy.models.config import Reparametrise
from symstudy.models.width_scaled import AbstractWidthScaled

__all__ = ["DeepLinearConfig"]


@component
class DeepLinearConfig(AbstractWidthScaled):
    """A deep linear network: a product of weight matrices without biases."""

    network: ClassVar[str] = "symstudy.models.fcn.network:build_deep_linear"
    pads: ClassVar[str] = "width"

    kind: Literal["deep_linear"] = "deep_linear"
    """Deep linear network."""
    depth: Annotated[int, Ge(1)] = 2
    """Number of weight matrices."""
    width: Annotated[int, Ge(1)] = 64
    """Size of each hidden layer."""
    init_scale: Annotated[float, Gt(0), Role.LANE] = 1.0
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
        """Check that the weights can start as they are to."""
        check_init_rank(self.init_rank, self.width)
        check_factors(self.reparametrise, self.init_copies, self.init_rank)
        self.check_base({"base_width": self.base_width})
        if self.init_balanced and self.is_width_scaled:
            raise ValueError(
                "`model.init_balanced` must be false where model.parametrization = 'mup', whose "
                "layers do not all start at one scale, but got true"
            )
        special = self.init_copies > 1 or self.init_rank > 0 or self.reparametrise != "none"
        if self.init_balanced and special:
            raise ValueError(
                "`model.init_balanced` must be false where init_copies, init_rank or reparametrise "
                "is set, but got true"
            )

    def size(self, data: DataShape) -> NetworkSize:
        """Return the size of the network on data of the given shape."""
        return dense_size(data.inputs, self.width, self.depth - 1, data.outputs)
