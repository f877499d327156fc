"""Keys of `model.kind = "resnet"`."""

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

__all__ = ["ResNetConfig"]


@component
class ResNetConfig(AbstractModelConfig):
    """A residual network of basic blocks (He et al. 2015, arXiv:1512.03385, tables 1 and 6).

    As it stands, with `stem = "large"`, it is ResNet-18. `stages = 3`, `blocks = 3` and `width =
    16` is the ResNet-20 that the authors trained on CIFAR-10, but for their ways past blocks.
    """

    network: ClassVar[str] = "symstudy.models.resnet.network:build_resnet"

    kind: Literal["resnet"] = "resnet"
    """Residual network of basic blocks."""
    stages: Annotated[int, Ge(1)] = 4
    """Number of stages; each has half the pixels and twice the channels of the one before."""
    blocks: Annotated[int, Ge(1)] = 2
    """Basic blocks of each stage, of two convolutions of 3x3 each."""
    width: Annotated[int, Ge(1)] = 64
    """Channels of the first stage."""
    stem: Literal["small", "large"] = "small"
    """First convolution: 3x3 at every pixel, for small images; or 7x7 at every second, followed by
    the maximum of 3x3 at every second."""
    norm: ConvNorm = "batch"
    """Normalisation after each convolution: over the batch (batch), over groups of channels of a
    sample (group), or none."""
    groups: Annotated[int, Ge(1)] = 1
    """Groups of channels that group norm goes over; divides the width."""
    activation: ConvActivation = "relu"
    """Activation inside and after each block."""
    init_scale: Annotated[float, Gt(0)] = 1.0
    """Weights start as normal numbers of standard deviation init_scale / sqrt(fan-in), gains of
    norms at 1, and biases at 0."""
    input_shape: tuple[int, ...] = ()
    """Channels, rows and columns of an image; empty where the data tell them."""
    reparametrise: Reparametrise = "none"
    """Weights as products, so that gamma makes them sparse (hadamard: u v elementwise), drops whole
    matrices (gate: v W) or lowers their rank (factorised: U V)."""

    def __post_init__(self) -> None:
        """Check that the groups of the norm divide the channels."""
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
        total.convolve(channels, self.width, 3 if self.stem == "small" else 7, self.stem_stride)
        if self.stem == "large":
            total.shrink(2, self.width)
        hidden = [self.width]
        channels = self.width
        for stage in range(self.stages):
            planes = self.width * 2**stage
            for block in range(self.blocks):
                stride = 2 if stage and not block else 1
                if stride != 1 or channels != planes:
                    total.convolve(channels, planes, 1, stride, keeps=True)
                total.convolve(channels, planes, 3, stride)
                total.convolve(planes, planes, 3, 1)
                hidden.append(planes)
                channels = planes
            hidden += [channels] if stage else []
        return NetworkSize(
            parameters=total.parameters + (channels + 1) * data.outputs,
            products=total.products + channels * data.outputs,
            activations=total.activations + channels,
            hidden=tuple(hidden),
            stages=total.convolutions,
            calls=self.calls(total.convolutions),
            channels=channels,
        )

    def calls(self, convolutions: int) -> int:
        """Return the torch operations of a forward pass with so many convolutions."""
        blocks = self.stages * self.blocks
        around = 1 + 3 * blocks + (self.stem == "large")  # activations, sums, maximum of the stem
        return (1 + NORM_CALLS[self.norm]) * convolutions + around + READOUT_CALLS

    @property
    def stem_stride(self) -> int:
        """Pixels from one place of the first convolution to the next."""
        return 1 if self.stem == "small" else 2
