"""A module of convolutions as the compiled kernels know it, found by following it with torch.fx.

Followed are modules from images to outputs that are made of convolutions, batch and group norms,
activations, sums and poolings, then the mean over pixels and one linear layer. What else a module
does is told, and torch trains it.
"""

import operator
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, final

import torch
from torch import fx, nn
from torch.nn import functional

from symstudy.components import DataShape
from symstudy.kernels import functions
from symstudy.kernels.layer_graph import BATCH_NORM, GROUP_NORM
from symstudy.models.base import ImageStack
from symstudy.models.layer_table import Images, LayerTable, Norm

__all__ = ["follow_module"]


class NotFollowedError(Exception):
    """The kernels do not know an operation; the text says which."""


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


def follow_module(module: nn.Module, data: DataShape, offsets: Mapping[str, int]) -> ImageStack:
    """Return `module` for the kernels, or why it cannot be followed.

    Args:
        module: With its own tensors in place.
        data: Shape of the data, which are images.
        offsets: Where each trained parameter starts in the flat vector, by name.
    """
    try:
        traced = fx.symbolic_trace(module)
    except Exception as error:  # noqa: BLE001  # fx raises what a module makes of its stand-ins
        return ImageStack(
            None, reason=f"torch.fx cannot follow it: {type(error).__name__}: {error}"
        )
    follower = Follower(traced, LayerTable(*data.input_shape), offsets)
    try:
        return follower.follow()
    except NotFollowedError as error:
        return ImageStack(None, reason=str(error))


ACTIVATION_MODULES: Mapping[type[nn.Module], int] = {
    nn.ReLU: functions.RELU,
    nn.Tanh: functions.TANH,
    nn.SiLU: functions.SILU,
    nn.GELU: functions.GELU,
}
ACTIVATION_CALLS: Mapping[Any, int] = {
    torch.relu: functions.RELU,
    functional.relu: functions.RELU,
    torch.tanh: functions.TANH,
    functional.silu: functions.SILU,
    functional.gelu: functions.GELU,
}
ACTIVATION_METHODS: Mapping[str, int] = {"relu": functions.RELU, "tanh": functions.TANH}
SUMS = (operator.add, operator.iadd, torch.add)


@final
class Follower:
    """Goes through the operations of a traced module and fills a table.

    Attributes:
        values: What each operation returns.
        called: Modules with parameters that have been called.
        same: What returns the very tensor that another operation has returned, and which.
    """

    def __init__(
        self, traced: fx.GraphModule, table: LayerTable, offsets: Mapping[str, int]
    ) -> None:
        """Begin at the inputs of a module whose parameters lie at `offsets`."""
        self.traced = traced
        self.table = table
        self.offsets = offsets
        self.values: dict[fx.Node, Followed] = {}
        self.called: set[str] = set()
        self.same: dict[fx.Node, fx.Node] = {}

    def follow(self) -> ImageStack:
        """Return the module for the kernels.

        Raises:
            NotFollowedError: If they do not know an operation.
        """
        steps: dict[str, Callable[[fx.Node], Followed]] = {
            "placeholder": self.follow_input,
            "call_module": self.follow_module,
            "call_function": self.follow_function,
            "call_method": self.follow_method,
        }
        for node in self.traced.graph.nodes:
            if node.op == "output":
                return self.finish(node)
            if node.op not in steps:
                raise NotFollowedError(f"it reads {node.target} outside of a layer")
            self.values[node] = steps[node.op](node)
        raise NotFollowedError("it returns nothing")

    def follow_input(self, node: fx.Node) -> Images:
        """Return the images that are read."""
        if any(isinstance(each, Images) for each in self.values.values()):
            raise NotFollowedError(f"it takes {node.name} beside its inputs")
        return self.table.buffers[0]

    def finish(self, node: fx.Node) -> ImageStack:
        """Return the module, whose output is known."""
        given = node.args[0]
        result = self.values.get(given) if isinstance(given, fx.Node) else None
        if not isinstance(result, Outputs):
            raise NotFollowedError("it returns something else than the outputs of a linear layer")
        if result.images.buffer == 0:
            raise NotFollowedError("it has no layers of images")
        if self.table.unused(result.images):
            raise NotFollowedError("it has layers that its outputs do not depend on")
        if unread := set(self.offsets) - self.read:
            raise NotFollowedError(f"its outputs do not depend on {min(unread)}")
        graph = self.table.finish(result.images, result.outputs, result.places)
        return ImageStack(graph, tuple(self.table.norms))

    @property
    def read(self) -> set[str]:
        """Names of the parameters of the modules that have been called."""
        return {
            f"{path}.{key}"
            for path in self.called
            for key, _ in self.traced.get_submodule(path).named_parameters()
        }

    def images(self, node: Any) -> Images:
        """Return the images that an argument is."""
        found = self.values.get(node) if isinstance(node, fx.Node) else None
        if not isinstance(found, Images):
            raise NotFollowedError(f"{node} is not images")
        return found

    def place(self, path: str, module: nn.Module, key: str) -> int:
        """Return where the parameter `key` of a module starts; -1 if it has none."""
        if getattr(module, key) is None:
            return -1
        if f"{path}.{key}" not in self.offsets:
            raise NotFollowedError(f"{path}.{key} is not trained, or shared")
        return self.offsets[f"{path}.{key}"]

    def follow_module(self, node: fx.Node) -> Followed:
        """Add a layer of the module's."""
        path = str(node.target)
        module = self.traced.get_submodule(path)
        if len(node.args) != 1 or node.kwargs:
            raise NotFollowedError(f"{path} takes more than images")
        if next(module.parameters(), None) is not None:
            if path in self.called:
                raise NotFollowedError(f"{path} is called twice")
            self.called.add(path)
        given = node.args[0]
        if isinstance(module, nn.Identity) and isinstance(given, fx.Node):
            self.same[node] = given
            return self.values[given]
        if type(module) in ACTIVATION_MODULES:
            if getattr(module, "approximate", "none") != "none":
                raise NotFollowedError(f"{path} approximates the normal distribution")
            return self.activate(node, ACTIVATION_MODULES[type(module)])
        layers: dict[type[nn.Module], Callable[[Any, Any, str], Followed]] = {
            nn.Conv2d: self.convolve,
            nn.BatchNorm2d: self.batch_norm,
            nn.GroupNorm: self.group_norm,
            nn.AvgPool2d: self.pool_mean,
            nn.MaxPool2d: self.pool_maximum,
            nn.AdaptiveAvgPool2d: self.pool_all,
            nn.Flatten: self.flatten_by,
            nn.Linear: self.read_out,
        }
        if type(module) not in layers:
            raise NotFollowedError(f"the kernels have no {type(module).__name__} ({path})")
        return layers[type(module)](given, module, path)

    def follow_function(self, node: fx.Node) -> Followed:
        """Add a function's operation."""
        if node.target in SUMS and len(node.args) == 2 and not node.kwargs:
            return self.add(node)
        is_plain = len(node.args) == 1 and not (set(node.kwargs) - {"inplace"})
        if node.target in ACTIVATION_CALLS and is_plain:
            return self.activate(node, ACTIVATION_CALLS[node.target])
        if node.target is torch.flatten and node.args[1:] == (1,) and not node.kwargs:
            return self.flatten(node.args[0])
        name = getattr(node.target, "__name__", str(node.target))
        raise NotFollowedError(f"the kernels have no {name}")

    def follow_method(self, node: fx.Node) -> Followed:
        """Add a tensor method's operation."""
        name, rest = str(node.target), node.args[1:]
        if name in ACTIVATION_METHODS and not rest:
            return self.activate(node, ACTIVATION_METHODS[name])
        if name == "flatten" and rest == (1,):
            return self.flatten(node.args[0])
        if name == "mean":
            axes = rest[0] if len(rest) == 1 else node.kwargs.get("dim") if not rest else None
            others = set(node.kwargs) - {"dim"}
            if not others and isinstance(axes, tuple | list) and set(axes) in ({2, 3}, {-2, -1}):
                return Means(self.images(node.args[0]), is_flat=True)
        raise NotFollowedError(f"the kernels have no {name}")

    def convolve(self, given: Any, module: nn.Conv2d, path: str) -> Images:
        """Add a convolution."""
        source = self.images(given)
        size, stride, pad = module.kernel_size, module.stride, module.padding
        is_square = all(len(set(each)) == 1 for each in (size, stride, pad))
        if isinstance(pad, str) or not is_square or module.padding_mode != "zeros":
            raise NotFollowedError(f"{path} has no square kernel with a border of zeros")
        if module.groups != 1 or set(module.dilation) != {1}:
            raise NotFollowedError(f"{path} has groups or is dilated")
        places = self.place(path, module, "weight"), self.place(path, module, "bias")
        window = (size[0], stride[0], int(pad[0]))
        return self.table.convolve(source, module.out_channels, window, places)

    def batch_norm(self, given: Any, module: nn.BatchNorm2d, path: str) -> Images:
        """Add a batch norm."""
        if not module.affine or not module.track_running_stats or module.momentum is None:
            raise NotFollowedError(f"{path} has no gains or no running means with a momentum")
        places = self.place(path, module, "weight"), self.place(path, module, "bias")
        norm = Norm(BATCH_NORM, *places, module.eps, module.momentum, name=path)
        return self.table.follow(self.images(given), norm)

    def group_norm(self, given: Any, module: nn.GroupNorm, path: str) -> Images:
        """Add a group norm."""
        if not module.affine:
            raise NotFollowedError(f"{path} has no gains")
        places = self.place(path, module, "weight"), self.place(path, module, "bias")
        norm = Norm(GROUP_NORM, *places, module.eps, groups=module.num_groups)
        return self.table.follow(self.images(given), norm)

    def is_spare(self, node: Any) -> bool:
        """Return whether one operation alone reads what a node returns."""
        while isinstance(node, fx.Node) and len(node.users) == 1:
            if node not in self.same:
                return True
            node = self.same[node]
        return False

    def activate(self, node: fx.Node, code: int) -> Images:
        """Add an activation, to what it follows where it can."""
        given = node.args[0]
        source = self.images(given)
        if self.is_spare(given) and self.table.extend(source, code=code):
            return source
        module = self.traced.get_submodule(str(node.target)) if node.op == "call_module" else None
        in_place = node.kwargs.get("inplace") or getattr(module, "inplace", False)
        if in_place and not self.is_spare(given):
            raise NotFollowedError(f"{node.name} changes in place what others read")
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

    def flatten_by(self, given: Any, module: nn.Flatten, path: str) -> Means:
        """Flatten means."""
        if (module.start_dim, module.end_dim) != (1, -1):
            raise NotFollowedError(f"{path} flattens other axes than those of a sample")
        return self.flatten(given)

    def flatten(self, given: Any) -> Means:
        """Flatten means over pixels."""
        found = self.values.get(given)
        if isinstance(found, Means):
            return found._replace(is_flat=True)
        if isinstance(found, Images) and found.rows == found.columns == 1:
            return Means(found, is_flat=True)
        raise NotFollowedError("it flattens images of several pixels")

    def read_out(self, given: Any, module: nn.Linear, path: str) -> Outputs:
        """Read the outputs out of the means."""
        found = self.values.get(given)
        if not isinstance(found, Means) or not found.is_flat:
            raise NotFollowedError(f"{path} reads something else than means over pixels")
        places = self.place(path, module, "weight"), self.place(path, module, "bias")
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
