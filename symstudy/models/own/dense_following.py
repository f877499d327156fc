"""A module of dense layers as the compiled kernels know it.

Followed are modules that are one chain: inputs, flattened where they are images, then linear layers
with activations between them.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, final

import numpy as np
from torch import fx, nn
from torch.nn import functional

from symstudy.components import DataShape
from symstudy.kernels.functions import LINEAR
from symstudy.models.own.following import AbstractFollower, NotFollowedError
from symstudy.models.stacks import DenseStack

__all__ = ["DenseFollower"]


class Inputs(NamedTuple):
    """What the module reads.

    Attributes:
        size: Numbers of a sample.
        is_flat: Whether a sample has one axis.
    """

    size: int
    is_flat: bool


class Parameter(NamedTuple):
    """A parameter that is read outside of a layer.

    Attributes:
        name: In the module.
    """

    name: str


class Layer(NamedTuple):
    """A dense layer.

    Attributes:
        sizes: Fan-in and fan-out.
        names: Of its weights and its biases; the second is empty without biases.
        code: Of the activation that follows.
    """

    sizes: tuple[int, int]
    names: tuple[str, str]
    code: int = LINEAR


class Chain(NamedTuple):
    """Layers, each of what the one before it returns.

    Attributes:
        layers: From the inputs up; at least one.
    """

    layers: tuple[Layer, ...]

    @property
    def last(self) -> Layer:
        """The last layer."""
        return self.layers[-1]


@final
class DenseFollower(AbstractFollower[DenseStack]):
    """Goes through the operations of a traced module and chains its layers."""

    def __init__(self, traced: fx.GraphModule, data: DataShape, offsets: Mapping[str, int]) -> None:
        """Begin at the inputs of a module whose parameters lie at `offsets`."""
        super().__init__(traced, offsets)
        self.data = data

    def start(self) -> Inputs:
        """Return what the module reads."""
        return Inputs(self.data.inputs, is_flat=len(self.data.input_shape) < 2)

    def finish(self, result: Any) -> DenseStack:
        """Return the layers.

        Raises:
            NotFollowedError: If the outputs are not those of a linear layer.
        """
        if not isinstance(result, Chain):
            raise NotFollowedError("it returns something else than the outputs of a linear layer")
        if result.last.code != LINEAR:
            raise NotFollowedError("an activation follows its last linear layer")
        layers = result.layers
        self.check_read({name for layer in layers for name in layer.names})
        sizes = [layers[0].sizes[0], *(layer.sizes[1] for layer in layers)]
        places = [[self.place(name) if name else -1 for name in each.names] for each in layers]
        weights, biases = np.array(places, np.int64).T.copy()
        return DenseStack(
            sizes=np.array(sizes, np.int64),
            weights=weights,
            biases=biases,
            codes=np.array([layer.code for layer in layers], np.int64),
            coefficient=0.0,
        )

    def layers(self) -> Mapping[type[nn.Module], Callable[[Any, Any, str], Chain]]:
        """Return what adds a linear layer."""
        return {nn.Linear: self.connect}

    def connect(self, given: Any, module: nn.Linear, path: str) -> Chain:
        """Add a linear layer."""
        self.places(path, module)
        bias = "" if module.bias is None else f"{path}.bias"
        sizes = module.in_features, module.out_features
        return self.chained(given, Layer(sizes, (f"{path}.weight", bias)))

    def chained(self, given: Any, layer: Layer) -> Chain:
        """Return the chain that `given` is with a layer more.

        Raises:
            NotFollowedError: If it is no chain, or has the layer already.
        """
        value = self.value(given)
        name = layer.names[0]
        if isinstance(value, Inputs):
            if not value.is_flat:
                raise NotFollowedError(f"{name} is applied to images that are not flattened")
            return Chain((layer,))
        if not isinstance(value, Chain):
            raise NotFollowedError(f"{name} is applied to what no layer returns")
        if any(each.names[0] == name for each in value.layers):
            raise NotFollowedError(f"{name} is used twice")
        return Chain((*value.layers, layer))

    def activate(self, node: fx.Node, code: int) -> Chain:
        """Let an activation follow the last layer."""
        self.check_in_place(node)
        value = self.value(node.args[0])
        if not isinstance(value, Chain):
            raise NotFollowedError(f"{node.name} is applied to what no layer returns")
        if value.last.code != LINEAR:
            raise NotFollowedError(f"{node.name} follows another activation")
        return Chain((*value.layers[:-1], value.last._replace(code=code)))

    def flatten(self, given: Any, size: int | None = None) -> Inputs | Chain:
        """Flatten the inputs; what a layer returns is flat."""
        value = self.value(given)
        if isinstance(value, Inputs):
            length = value.size
            flat: Inputs | Chain = value._replace(is_flat=True)
        elif isinstance(value, Chain):
            length, flat = value.last.sizes[1], value
        else:
            raise NotFollowedError(f"{given} is flattened")
        if size not in (None, length):
            raise NotFollowedError(f"it gives {length} numbers the axes of {size}")
        return flat

    def follow_tensor(self, node: fx.Node) -> Parameter:
        """Return a parameter that a function reads."""
        self.place(str(node.target))
        return Parameter(str(node.target))

    def follow_other_function(self, node: fx.Node) -> Any:
        """Add a linear layer of parameters of the module itself."""
        given = dict(zip(("input", "weight", "bias"), node.args, strict=False)) | node.kwargs
        weight, bias = self.value(given.get("weight")), self.value(given.get("bias"))
        if node.target is not functional.linear or not isinstance(weight, Parameter):
            return super().follow_other_function(node)
        outputs, inputs = self.traced.get_parameter(weight.name).shape
        if given.get("bias") is None:
            return self.chained(given["input"], Layer((inputs, outputs), (weight.name, "")))
        is_known = isinstance(bias, Parameter)
        if not is_known or self.traced.get_parameter(bias.name).shape != (outputs,):
            raise NotFollowedError(f"{node.name} adds what is no vector of biases")
        return self.chained(given["input"], Layer((inputs, outputs), (weight.name, bias.name)))
