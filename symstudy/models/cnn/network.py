"""Plain convolutional networks."""

from typing import final

from torch import Tensor, nn

from symstudy.components import DataShape
from symstudy.models.cnn.config import CnnConfig
from symstudy.models.convolutions import activation_module, as_model, draw_weights, norm_module
from symstudy.models.image_inputs import axes_of
from symstudy.models.own.factory import ModuleFactory
from symstudy.models.own.network import OwnModel

__all__ = ["Cnn", "build_cnn"]


@final
class Cnn(nn.Module):
    """Convolutions, each with norm and activation, then the mean over pixels and a linear readout.

    Inputs are `[batch, channels, rows, columns]`, outputs `[batch, outputs]`.
    """

    def __init__(self, config: CnnConfig, channels: int, outputs: int) -> None:
        """Build the network of `config` between so many channels and outputs."""
        super().__init__()
        stack: list[nn.Module] = []
        for layer in range(1, config.layers + 1):
            stack += [
                nn.Conv2d(
                    channels,
                    config.width,
                    config.kernel,
                    padding=config.kernel // 2,
                    bias=config.norm == "none",
                ),
                norm_module(config.norm, config.width, config.groups),
                activation_module(config.activation),
            ]
            channels = config.width
            if config.pool_every and layer % config.pool_every == 0:
                stack.append(nn.AvgPool2d(2, ceil_mode=True))
        self.stack = nn.Sequential(*stack)
        self.readout = nn.Linear(channels, outputs)
        draw_weights(self, config.init_scale)

    def forward(self, x: Tensor) -> Tensor:
        """Return the outputs."""
        outputs: Tensor = self.readout(self.stack(x).mean(dim=(2, 3)))
        return outputs


def build_cnn(config: CnnConfig, data: DataShape) -> OwnModel:
    """Return the network that `config` describes, on images."""
    axes = axes_of(config.input_shape, data)
    arguments = {"config": config, "channels": axes[0], "outputs": data.outputs}
    factory = ModuleFactory(name="Cnn", call=Cnn, arguments=arguments)
    return as_model(factory, data, axes, config.reparametrise)
