"""Residual networks of basic blocks.

References:
    He, Zhang, Ren and Sun 2015, arXiv:1512.03385.
"""

from typing import final

from torch import Tensor, nn

from symstudy.components import DataShape
from symstudy.models.convolutions import activation_module, as_model, draw_weights, norm_module
from symstudy.models.image_inputs import axes_of
from symstudy.models.own.factory import ModuleFactory
from symstudy.models.own.network import OwnModel
from symstudy.models.resnet.config import ResNetConfig

__all__ = ["BasicBlock", "ResNet", "build_resnet"]


@final
class BasicBlock(nn.Module):
    """Two convolutions of 3x3 and a way past them: f(x) + x, or f(x) + W x where sizes change."""

    def __init__(self, config: ResNetConfig, channels: int, planes: int, stride: int) -> None:
        """Build a block from so many channels to `planes` channels."""
        super().__init__()
        bias = config.norm == "none"
        self.conv1 = nn.Conv2d(channels, planes, 3, stride, padding=1, bias=bias)
        self.bn1 = norm_module(config.norm, planes, config.groups)
        self.inside = activation_module(config.activation)
        self.conv2 = nn.Conv2d(planes, planes, 3, padding=1, bias=bias)
        self.bn2 = norm_module(config.norm, planes, config.groups)
        self.downsample: nn.Module = nn.Identity()
        if stride != 1 or channels != planes:
            self.downsample = nn.Sequential(
                nn.Conv2d(channels, planes, 1, stride, bias=bias),
                norm_module(config.norm, planes, config.groups),
            )
        self.after = activation_module(config.activation)

    def forward(self, x: Tensor) -> Tensor:
        """Return the channels after the block."""
        hidden = self.inside(self.bn1(self.conv1(x)))
        left: Tensor = self.after(self.bn2(self.conv2(hidden)) + self.downsample(x))
        return left


@final
class ResNet(nn.Module):
    """A stem, stages of basic blocks, and a linear readout of the mean over pixels.

    Parameters have the names of torchvision's ResNet, and its weights can be loaded. Inputs are
    `[batch, channels, rows, columns]`, outputs `[batch, outputs]`.
    """

    def __init__(self, config: ResNetConfig, channels: int, outputs: int) -> None:
        """Build the network of `config` between so many channels and outputs."""
        super().__init__()
        kernel = 3 if config.stem == "small" else 7
        self.conv1 = nn.Conv2d(
            channels,
            config.width,
            kernel,
            config.stem_stride,
            padding=kernel // 2,
            bias=config.norm == "none",
        )
        self.bn1 = norm_module(config.norm, config.width, config.groups)
        self.stem = activation_module(config.activation)
        self.maxpool: nn.Module = nn.Identity()
        if config.stem == "large":
            self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        before = config.width
        self.stages = config.stages
        for stage in range(config.stages):
            planes = config.width * 2**stage
            blocks = []
            for block in range(config.blocks):
                blocks.append(BasicBlock(config, before, planes, 2 if stage and not block else 1))
                before = planes
            self.add_module(f"layer{stage + 1}", nn.Sequential(*blocks))
        self.fc = nn.Linear(before, outputs)
        draw_weights(self, config.init_scale)

    def forward(self, x: Tensor) -> Tensor:
        """Return the outputs."""
        hidden = self.maxpool(self.stem(self.bn1(self.conv1(x))))
        for stage in range(1, self.stages + 1):
            hidden = self.get_submodule(f"layer{stage}")(hidden)
        outputs: Tensor = self.fc(hidden.mean(dim=(2, 3)))
        return outputs


def build_resnet(config: ResNetConfig, data: DataShape) -> OwnModel:
    """Return the network that `config` describes, on images."""
    axes = axes_of(config.input_shape, data)
    arguments = {"config": config, "channels": axes[0], "outputs": data.outputs}
    factory = ModuleFactory(name="ResNet", call=ResNet, arguments=arguments)
    return as_model(factory, data, axes, config.reparametrise)
