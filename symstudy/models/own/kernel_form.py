"""A user's own module as the compiled kernels know it, or why torch trains it."""

import itertools
from typing import NamedTuple

from torch import nn

from symstudy.components import DataShape
from symstudy.models.own.dense_following import DenseFollower
from symstudy.models.own.factory import ModuleFactory
from symstudy.models.own.following import NotFollowedError, trace
from symstudy.models.own.image_following import ImageFollower
from symstudy.models.own.inspection import Inspection
from symstudy.models.own.kernel_check import why_unlike
from symstudy.models.stacks import DenseStack, ImageStack

__all__ = ["KernelForm", "find_form"]


class KernelForm(NamedTuple):
    """What the kernels know a module as.

    Attributes:
        stack: Dense layers, or convolutions; None where it is neither.
        reason: Why it is neither; empty if it is.
    """

    stack: DenseStack | ImageStack | None
    reason: str = ""

    @property
    def dense(self) -> DenseStack | None:
        """The module as dense layers; None if it is no such thing."""
        return self.stack if isinstance(self.stack, DenseStack) else None

    @property
    def images(self) -> ImageStack:
        """The module as convolutions, or why it is none."""
        if isinstance(self.stack, ImageStack):
            return self.stack
        return ImageStack(None, reason=self.reason or "it has no convolutions")


def find_form(factory: ModuleFactory, data: DataShape, inspected: Inspection) -> KernelForm:
    """Return what the kernels know the module as that `factory` makes.

    It is followed by torch.fx, and what comes of that is held against the module itself. The result
    is a function of the module and the shape of its data alone.
    """
    if data.is_integer:
        return KernelForm(None, "it reads integers")
    if not inspected.is_plain or inspected.draws_in_training or inspected.draws_in_evaluation:
        return KernelForm(None, "it draws random numbers, or returns more than outputs")
    try:
        stack = followed(factory.make(0), data, inspected)
    except NotFollowedError as error:
        return KernelForm(None, str(error))
    kept = set() if isinstance(stack, DenseStack) else stack.buffer_names
    if kept != set(inspected.lane_names):
        others = kept.symmetric_difference(inspected.lane_names)
        return KernelForm(None, f"it holds buffers in another way: {min(others)}")
    reason = why_unlike(factory, data, stack)
    return KernelForm(None if reason else stack, reason)


def followed(module: nn.Module, data: DataShape, inspected: Inspection) -> DenseStack | ImageStack:
    """Return what torch.fx sees of `module`.

    Raises:
        NotFollowedError: If it is neither dense layers nor convolutions.
    """
    sizes = [each.numel() for each in inspected.parameters.values()]
    starts = itertools.accumulate([0, *sizes])
    offsets = dict(zip(inspected.parameters, starts, strict=False))
    has_convolutions = any(isinstance(each, nn.Conv2d) for each in module.modules())
    if has_convolutions and len(data.input_shape) == 3:
        return ImageFollower(trace(module), data, offsets).follow()
    return DenseFollower(trace(module), data, offsets).follow()
