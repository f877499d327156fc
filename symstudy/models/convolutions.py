"""Layers of convolutional networks, and how their weights start.

These networks are torch modules that go the way of a user's own (`symstudy.models.own`): batched
over runs by `torch.func.vmap`, with the running means of batch norm a run each, and with a layout
that is derived from what they do and verified on random group elements.
"""

from collections.abc import Mapping

from torch import nn

from symstudy.components import DataShape
from symstudy.models.config import Reparametrise
from symstudy.models.image_inputs import ConvActivation, ConvNorm
from symstudy.models.own.building import wrap_module
from symstudy.models.own.factory import ModuleFactory
from symstudy.models.own.network import OwnModel

__all__ = ["activation_module", "as_model", "draw_weights", "norm_module"]

ACTIVATIONS: Mapping[ConvActivation, type[nn.Module]] = {
    "relu": nn.ReLU,
    "tanh": nn.Tanh,
    "silu": nn.SiLU,
    "gelu": nn.GELU,
}


def activation_module(name: ConvActivation) -> nn.Module:
    """Return an activation as a module: what leaves it are the layer's activations."""
    return ACTIVATIONS[name]()


def norm_module(norm: ConvNorm, channels: int, groups: int) -> nn.Module:
    """Return the normalisation of a convolution's channels; nothing with `none`."""
    if norm == "batch":
        return nn.BatchNorm2d(channels)
    if norm == "group":
        return nn.GroupNorm(groups, channels)
    assert norm == "none", f"no such norm: {norm}"
    return nn.Identity()


def draw_weights(module: nn.Module, init_scale: float) -> None:
    """Draw the weights of convolutions and linear layers, and set biases to 0.

    They are normal with standard deviation init_scale / sqrt(fan-in), as those of the other kinds
    are. Gains of norms stay at 1. Torch's generator is the run's stream by then.
    """
    for each in module.modules():
        if isinstance(each, nn.Conv2d | nn.Linear):
            fan_in = each.weight[0].numel()
            nn.init.normal_(each.weight, std=init_scale / fan_in**0.5)
            if each.bias is not None:
                nn.init.zeros_(each.bias)


def as_model(
    factory: ModuleFactory, data: DataShape, axes: tuple[int, int, int], how: Reparametrise
) -> OwnModel:
    """Return the module that `factory` makes as a model for packs.

    Args:
        factory: Makes the module.
        data: Shape of the data.
        axes: Channels, rows and columns of a sample.
        how: How weights are written as products.
    """
    return wrap_module(factory, data._replace(input_shape=axes), how)
