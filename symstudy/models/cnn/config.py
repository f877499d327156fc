"""Keys of `model.kind = "cnn"`."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from annotated_types import Ge, Gt

from symstudy.components import DataShape, NetworkSize, component
from symstudy.models.config import AbstractModelConfig, Reparametrise
from symstudy.models.image_inputs import (
    NORM_CALLS,
    READOUT_CALLS,
    ConvActivation,
    ConvNorm,
    Tally,
    axes_of,
    check_groups,
    image_misfits,
)

if TYPE_CHECKING:
    from symstudy.models.base import AbstractModel

__all__ = ["CnnConfig"]


@component
class CnnConfig(AbstractModelConfig):
    """A convolutional network: convolutions with a norm and an activation, then a linear readout.

    The readout sees the mean of each channel over the pixels.
    """

    network: ClassVar[str] = "symstudy.models.cnn.network:build_cnn"

    kind: Literal["cnn"] = "cnn"
    """Convolutional network."""
    layers: Annotated[int, Ge(1)] = 4
    """Number of convolutions."""
    width: Annotated[int, Ge(1)] = 16
    """Channels of each convolution, which are the neurons of its layer."""
    kernel: Annotated[int, Ge(1)] = 3
    """Rows and columns of the kernels, an odd number; images are padded to keep their size."""
    pool_every: Annotated[int, Ge(0)] = 2
    """After so many convolutions, pixels are averaged two by two; 0 for never."""
    norm: ConvNorm = "batch"
    """Normalisation after each convolution: over the batch (batch), over groups of channels of a
    sample (group), or none."""
    groups: Annotated[int, Ge(1)] = 1
    """Groups of channels that group norm goes over; divides the width."""
    activation: ConvActivation = "relu"
    """Activation after each convolution and its norm."""
    init_scale: Annotated[float, Gt(0)] = 1.0
    """Weights start as normal numbers of standard deviation init_scale / sqrt(fan-in), gains of
    norms at 1, and biases at 0."""
    input_shape: tuple[int, ...] = ()
    """Channels, rows and columns of an image; empty where the data tell them."""
    reparametrise: Reparametrise = "none"
    """Weights as products, so that gamma makes them sparse (hadamard: u v elementwise), drops whole
    matrices (gate: v W) or lowers their rank (factorised: U V)."""

    def __post_init__(self) -> None:
        """Check that the kernels have a middle, and the groups of the norm divide the channels."""
        if self.kernel % 2 == 0:
            raise ValueError(f"model.kernel must be odd, but got {self.kernel}")
        check_groups(self.norm, self.groups, self.width)

    @property
    def scale(self) -> float:
        """1: the initial weights are scaled when they are drawn, and gains are not."""
        return 1.0

    def misfits(self, data: DataShape) -> Iterator[tuple[str, str]]:
        """Yield a mistake where the data are no images."""
        yield from image_misfits(self.input_shape, data)

    def build(self, data: DataShape) -> "AbstractModel":
        """Return the network, which is told the axes of an image.

        Raises:
            ModelError: If it cannot be built.
        """
        model: AbstractModel = self.builder()(self, data)
        return model

    def size(self, data: DataShape) -> NetworkSize:
        """Return the size of the network on data of the given shape."""
        channels, rows, columns = axes_of(self.input_shape, data)
        total = Tally(rows, columns, self.norm)
        calls = (2 + NORM_CALLS[self.norm]) * self.layers + READOUT_CALLS
        for layer in range(1, self.layers + 1):
            total.convolve(channels, self.width, self.kernel, 1)
            channels = self.width
            if self.pool_every and layer % self.pool_every == 0:
                total.shrink(2, self.width)
                calls += 1
        return NetworkSize(
            parameters=total.parameters + (self.width + 1) * data.outputs,
            products=total.products + self.width * data.outputs,
            activations=total.activations + self.width,
            hidden=(self.width,) * self.layers,
            stages=self.layers,
            calls=calls,
            channels=self.width,
        )
