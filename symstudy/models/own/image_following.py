"""A module of convolutions as the compiled kernels know it.

Followed are modules from images to outputs that are made of convolutions, batch and group norms,
activations, sums and poolings, then the mean over pixels and one linear layer.
"""

import operator
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, final

import torch
from torch import fx, nn

from symstudy.components import DataShape
from symstudy.kernels.layer_graph import BATCH_NORM, GROUP_NORM
from symstudy.models.layer_table import Images, LayerTable, Norm
from symstudy.models.own.following import AbstractFollower, NotFollowedError
from symstudy.models.stacks import ImageStack

__all__ = ["ImageFollower"]


class Means(NamedTuple):
    """The means over the pixels of images.

    Attributes:
        images: Whose.
        is_flat: Whether they are `[samples, channels]`, without axes of one row and one column.
    """

    images: Images
    is_flat: bool


class Outputs(NamedTuple):
    """What the network returns.

    Attributes:
        images: Whose means are read out.
        outputs: Number of outputs.
        places: Where weights and biases of the readout start; -1 for no biases.
    """

    images: Images
    outputs: int
    places: tuple[int, int]


Followed = Images | Means | Outputs


SUMS = (operator.add, operator.iadd, torch.add)


@final
class ImageFollower(AbstractFollower[ImageStack]):
    """Goes through the operations of a traced module and fills a table."""

    def __init__(self, traced: fx.GraphModule, data: DataShape, offsets: Mapping[str, int]) -> None:
        """Begin at the images that a module reads whose parameters lie at `offsets`."""
        super().__init__(traced, offsets)
        self.table = LayerTable(*data.input_shape)

    def start(self) -> Images:
        """Return the images that are read."""
        return self.table.buffers[0]

    def finish(self, result: Any) -> ImageStack:
        """Return the module, whose output is known.

        Raises:
            NotFollowedError: If it is not the output of a linear layer, or not of all layers.
        """
        if not isinstance(result, Outputs):
            raise NotFollowedError("it returns something else than the outputs of a linear layer")
        if result.images.buffer == 0:
            raise NotFollowedError("it has no layers of images")
        if self.table.unused(result.images):
            raise NotFollowedError("it has layers that its outputs do not depend on")
        self.check_read(
            {
                f"{path}.{key}"
                for path in self.called
                for key, _ in self.traced.get_submodule(path).named_parameters()
            }
        )
        graph = self.table.finish(result.images, result.outputs, result.places)
        return ImageStack(graph, tuple(self.table.norms))

    def layers(self) -> Mapping[type[nn.Module], Callable[[Any, Any, str], Followed]]:
        """Return what adds a layer, by its class."""
        return {
            nn.Conv2d: self.convolve,
            nn.BatchNorm2d: self.batch_norm,
            nn.GroupNorm: self.group_norm,
            nn.AvgPool2d: self.pool_mean,
            nn.MaxPool2d: self.pool_maximum,
            nn.AdaptiveAvgPool2d: self.pool_all,
            nn.Linear: self.read_out,
        }

    def images(self, node: Any) -> Images:
        """Return the images that an argument is."""
        found = self.value(node)
        if not isinstance(found, Images):
            raise NotFollowedError(f"{node} is not images")
        return found

    def follow_other_function(self, node: fx.Node) -> Any:
        """Add a sum."""
        if node.target in SUMS and len(node.args) == 2 and not node.kwargs:
            return self.add(node)
        return super().follow_other_function(node)

    def follow_other_method(self, node: fx.Node) -> Any:
        """Take the mean over all pixels."""
        rest = node.args[1:]
        axes = rest[0] if len(rest) == 1 else node.kwargs.get("dim") if not rest else None
        is_mean = node.target == "mean" and not (set(node.kwargs) - {"dim"})
        if is_mean and isinstance(axes, tuple | list) and set(axes) in ({2, 3}, {-2, -1}):
            return Means(self.images(node.args[0]), is_flat=True)
        return super().follow_other_method(node)

    def convolve(self, given: Any, module: nn.Conv2d, path: str) -> Images:
        """Add a convolution."""
        source = self.images(given)
        size, stride, pad = module.kernel_size, module.stride, module.padding
        is_square = all(len(set(each)) == 1 for each in (size, stride, pad))
        if isinstance(pad, str) or not is_square or module.padding_mode != "zeros":
            raise NotFollowedError(f"{path} has no square kernel with a border of zeros")
        if module.groups != 1 or set(module.dilation) != {1}:
            raise NotFollowedError(f"{path} has groups or is dilated")
        places = self.places(path, module)
        window = (size[0], stride[0], int(pad[0]))
        return self.table.convolve(source, module.out_channels, window, places)

    def batch_norm(self, given: Any, module: nn.BatchNorm2d, path: str) -> Images:
        """Add a batch norm."""
        if not module.affine or not module.track_running_stats or module.momentum is None:
            raise NotFollowedError(f"{path} has no gains or no running means with a momentum")
        places = self.places(path, module)
        norm = Norm(BATCH_NORM, *places, module.eps, module.momentum, name=path)
        return self.table.follow(self.images(given), norm)

    def group_norm(self, given: Any, module: nn.GroupNorm, path: str) -> Images:
        """Add a group norm."""
        if not module.affine:
            raise NotFollowedError(f"{path} has no gains")
        places = self.places(path, module)
        norm = Norm(GROUP_NORM, *places, module.eps, groups=module.num_groups)
        return self.table.follow(self.images(given), norm)

    def activate(self, node: fx.Node, code: int) -> Images:
        """Add an activation, to what it follows where it can."""
        given = node.args[0]
        source = self.images(given)
        if self.is_spare(given) and self.table.extend(source, code=code):
            return source
        self.check_in_place(node)
        return self.table.follow(source, code=code)

    def add(self, node: fx.Node) -> Images:
        """Add a sum of two, to what made one of them where it can."""
        left, right = (self.images(each) for each in node.args)
        if left[1:] != right[1:]:
            raise NotFollowedError(f"{node.name} adds images of other sizes")
        if node.target is operator.iadd and not self.is_spare(node.args[0]):
            raise NotFollowedError(f"{node.name} changes in place what others read")
        for one, other, given in (
            (left, right, node.args[0]),
            (right, left, node.args[1]),
        ):
            if self.is_spare(given) and self.table.extend(one, residual=other):
                return one
        return self.table.follow(left, residual=right)

    def pool_mean(self, given: Any, module: nn.AvgPool2d, path: str) -> Images:
        """Add a pooling by means."""
        source = self.images(given)
        size, stride, pad = (
            pair(each) for each in (module.kernel_size, module.stride, module.padding)
        )
        if len({*size, *stride}) != 1 or pad != (0, 0) or module.divisor_override is not None:
            raise NotFollowedError(f"{path} is no pooling of square pieces")
        sizes = pooled(source, size[0], stride[0], 0, ceil=module.ceil_mode)
        return self.table.pool(source, (size[0], stride[0], 0), sizes, maximum=False)

    def pool_maximum(self, given: Any, module: nn.MaxPool2d, path: str) -> Images:
        """Add a pooling by maxima."""
        source = self.images(given)
        size, stride, pad = (
            pair(each) for each in (module.kernel_size, module.stride, module.padding)
        )
        is_square = all(len(set(each)) == 1 for each in (size, stride, pad))
        if not is_square or pair(module.dilation) != (1, 1) or module.return_indices:
            raise NotFollowedError(f"{path} is no pooling of square windows")
        window = (size[0], stride[0], pad[0])
        sizes = pooled(source, *window, ceil=module.ceil_mode)
        return self.table.pool(source, window, sizes, maximum=True)

    def pool_all(self, given: Any, module: nn.AdaptiveAvgPool2d, path: str) -> Means:
        """Take the mean over all pixels."""
        if module.output_size not in (1, (1, 1)):
            raise NotFollowedError(f"{path} leaves more than one pixel")
        return Means(self.images(given), is_flat=False)

    def flatten(self, given: Any, size: int | None = None) -> Means:
        """Flatten means over pixels."""
        found = self.value(given)
        if isinstance(found, Images) and found.rows == found.columns == 1:
            found = Means(found, is_flat=True)
        if not isinstance(found, Means):
            raise NotFollowedError("it flattens images of several pixels")
        if size not in (None, found.images.channels):
            raise NotFollowedError(f"it gives {found.images.channels} means the axes of {size}")
        return found._replace(is_flat=True)

    def read_out(self, given: Any, module: nn.Linear, path: str) -> Outputs:
        """Read the outputs out of the means."""
        found = self.value(given)
        if not isinstance(found, Means) or not found.is_flat:
            raise NotFollowedError(f"{path} reads something else than means over pixels")
        places = self.places(path, module)
        return Outputs(found.images, module.out_features, places)


def pair(value: int | tuple[int, ...]) -> tuple[int, int]:
    """Return one number for rows and one for columns."""
    return (value, value) if isinstance(value, int) else (value[0], value[1])


def pooled(source: Images, size: int, stride: int, pad: int, *, ceil: bool) -> tuple[int, int]:
    """Return the rows and columns that a pooling leaves, as torch counts them."""
    left = []
    for length in (source.rows, source.columns):
        room = length + 2 * pad - size
        places = (-(-room // stride) if ceil else room // stride) + 1
        # The last window must begin inside the images or their border on the left.
        left.append(places - 1 if ceil and (places - 1) * stride >= length + pad else places)
    return left[0], left[1]
