"""What torch.fx sees of a module, followed operation by operation into a form for the kernels.

Dense layers are followed by `symstudy.models.own.dense_following`, convolutions by
`symstudy.models.own.image_following`. What else a module does is told, and torch trains it.
"""

import operator
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, Generic, NamedTuple, TypeVar

import torch
from torch import fx, nn
from torch.nn import functional

from symstudy.kernels import functions

__all__ = ["AbstractFollower", "NotFollowedError", "trace"]


Form = TypeVar("Form")
"""What the kernels know a module as."""


class NotFollowedError(Exception):
    """The kernels do not know an operation; the text says which."""


class Axes(NamedTuple):
    """The axes of a tensor, or the number of samples.

    Attributes:
        is_first: Whether it is the first of the axes alone, the samples.
    """

    is_first: bool


def trace(module: nn.Module) -> fx.GraphModule:
    """Return what torch.fx sees of `module`.

    Raises:
        NotFollowedError: If it cannot follow it.
    """
    try:
        return fx.symbolic_trace(module)
    except Exception as error:  # fx raises what a module makes of its stand-ins
        raise NotFollowedError(
            f"torch.fx cannot follow it: {type(error).__name__}: {error}"
        ) from error


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
    torch.sin: functions.SIN,
}
ACTIVATION_METHODS: Mapping[str, int] = {
    "relu": functions.RELU,
    "tanh": functions.TANH,
    "sin": functions.SIN,
}


class AbstractFollower(ABC, Generic[Form]):
    """Goes through the operations of a traced module.

    Attributes:
        traced: The module.
        offsets: Where each trained parameter starts in the flat vector, by name.
        values: What each operation returns.
        called: Modules with parameters that have been called.
        same: What returns the very tensor that another operation has returned, and which.
    """

    def __init__(self, traced: fx.GraphModule, offsets: Mapping[str, int]) -> None:
        """Begin at the inputs of a module whose parameters lie at `offsets`."""
        self.traced = traced
        self.offsets = offsets
        self.values: dict[fx.Node, Any] = {}
        self.called: set[str] = set()
        self.same: dict[fx.Node, fx.Node] = {}

    @abstractmethod
    def start(self) -> Any:
        """Return what the module reads."""

    @abstractmethod
    def finish(self, result: Any) -> Form:
        """Return the form of the module, whose output is known.

        Raises:
            NotFollowedError: If the kernels do not know such an output.
        """

    @abstractmethod
    def layers(self) -> Mapping[type[nn.Module], Callable[[Any, Any, str], Any]]:
        """Return what adds a layer, by its class: called with its argument, itself and its path."""

    @abstractmethod
    def activate(self, node: fx.Node, code: int) -> Any:
        """Add an activation."""

    @abstractmethod
    def flatten(self, given: Any, size: int | None = None) -> Any:
        """Flatten the axes of a sample, which have `size` numbers where that is told."""

    def follow(self) -> Form:
        """Return the form of the module.

        Raises:
            NotFollowedError: If the kernels do not know an operation.
        """
        steps: dict[str, Callable[[fx.Node], Any]] = {
            "placeholder": self.follow_input,
            "call_module": self.follow_module,
            "call_function": self.follow_function,
            "call_method": self.follow_method,
            "get_attr": self.follow_tensor,
        }
        for node in self.traced.graph.nodes:
            if node.op == "output":
                return self.finish(self.values.get(returned(node)))
            self.values[node] = steps[node.op](node)
        raise NotFollowedError("it returns nothing")

    def follow_input(self, node: fx.Node) -> Any:
        """Return the inputs."""
        if self.values:
            raise NotFollowedError(f"it takes {node.name} beside its inputs")
        return self.start()

    def follow_tensor(self, node: fx.Node) -> Any:
        """Return a tensor that is read outside of a layer."""
        raise NotFollowedError(f"it reads {node.target} outside of a layer")

    def follow_module(self, node: fx.Node) -> Any:
        """Add a layer of the module's."""
        path = str(node.target)
        module = self.traced.get_submodule(path)
        if len(node.args) != 1 or node.kwargs:
            raise NotFollowedError(f"{path} takes more than one argument")
        if next(module.parameters(), None) is not None:
            if path in self.called:
                raise NotFollowedError(f"{path} is called twice")
            self.called.add(path)
        given = node.args[0]
        if is_identity(module) and isinstance(given, fx.Node):
            self.same[node] = given
            return self.values[given]
        if type(module) in ACTIVATION_MODULES:
            if getattr(module, "approximate", "none") != "none":
                raise NotFollowedError(f"{path} approximates the normal distribution")
            return self.activate(node, ACTIVATION_MODULES[type(module)])
        if type(module) is nn.Flatten:
            if (module.start_dim, module.end_dim) != (1, -1):
                raise NotFollowedError(f"{path} flattens other axes than those of a sample")
            return self.flatten(given)
        layers = self.layers()
        if type(module) not in layers:
            raise NotFollowedError(f"the kernels have no {type(module).__name__} ({path})")
        return layers[type(module)](given, module, path)

    def follow_function(self, node: fx.Node) -> Any:
        """Add a function's operation."""
        is_plain = len(node.args) == 1 and not (set(node.kwargs) - {"inplace"})
        if node.target in ACTIVATION_CALLS and is_plain:
            return self.activate(node, ACTIVATION_CALLS[node.target])
        if node.target is torch.flatten and is_of_samples(node):
            return self.flatten(node.args[0])
        if node.target is getattr and node.args[1:] == ("shape",):
            return Axes(is_first=False)
        if node.target is operator.getitem and isinstance(self.value(node.args[0]), Axes):
            if node.args[1] == 0:
                return Axes(is_first=True)
            raise NotFollowedError("it computes with the axes of its inputs")
        return self.follow_other_function(node)

    def follow_other_function(self, node: fx.Node) -> Any:
        """Add the operation of a function that not all followers know."""
        name = getattr(node.target, "__name__", str(node.target))
        raise NotFollowedError(f"the kernels have no {name}")

    def follow_method(self, node: fx.Node) -> Any:
        """Add a tensor method's operation."""
        name, rest = str(node.target), node.args[1:]
        if name in ACTIVATION_METHODS and not rest:
            return self.activate(node, ACTIVATION_METHODS[name])
        if name == "flatten" and is_of_samples(node):
            return self.flatten(node.args[0])
        if name == "size" and rest in ((), (0,)) and not node.kwargs:
            return Axes(is_first=bool(rest))
        if name in ("view", "reshape") and not node.kwargs:
            return self.reshape(node)
        return self.follow_other_method(node)

    def follow_other_method(self, node: fx.Node) -> Any:
        """Add the operation of a method that not all followers know."""
        raise NotFollowedError(f"the kernels have no {node.target}")

    def reshape(self, node: fx.Node) -> Any:
        """Flatten the axes of a sample by `x.view(len, -1)` or its like."""
        axes = node.args[1:]
        if len(axes) == 1 and isinstance(axes[0], tuple | list):
            axes = tuple(axes[0])
        if len(axes) == 2 and isinstance(axes[1], int):
            size = axes[1] if axes[1] != -1 else None
            if self.value(axes[0]) == Axes(is_first=True) or (axes[0] == -1 and size):
                return self.flatten(node.args[0], size)
        raise NotFollowedError(f"{node.target} gives other axes than samples and one more")

    def value(self, given: Any) -> Any:
        """Return what an argument is; None for what no operation has returned."""
        return self.values.get(given) if isinstance(given, fx.Node) else None

    def place(self, name: str) -> int:
        """Return where the parameter called `name` starts."""
        if name not in self.offsets:
            raise NotFollowedError(f"{name} is not trained, or shared")
        return self.offsets[name]

    def places(self, path: str, module: nn.Module) -> tuple[int, int]:
        """Return where weights and biases of a module start; -1 for no biases."""
        weights = self.place(f"{path}.weight")
        return weights, -1 if module.bias is None else self.place(f"{path}.bias")

    def check_read(self, read: set[str]) -> None:
        """Check that outputs depend on all trained parameters.

        Args:
            read: Names of those that they depend on.

        Raises:
            NotFollowedError: If they do not.
        """
        if unread := set(self.offsets) - read:
            raise NotFollowedError(f"its outputs do not depend on {min(unread)}")

    def is_spare(self, node: Any) -> bool:
        """Return whether one operation alone reads what a node returns."""
        while isinstance(node, fx.Node) and len(node.users) == 1:
            if node not in self.same:
                return True
            node = self.same[node]
        return False

    def check_in_place(self, node: fx.Node) -> None:
        """Check that an activation changes in place nothing that others read.

        Raises:
            NotFollowedError: If it does.
        """
        module = self.traced.get_submodule(str(node.target)) if node.op == "call_module" else None
        in_place = node.kwargs.get("inplace") or getattr(module, "inplace", False)
        if in_place and not self.is_spare(node.args[0]):
            raise NotFollowedError(f"{node.name} changes in place what others read")


def returned(node: fx.Node) -> Any:
    """Return what the output of a module is: the first item of `(output, activations)`.

    Other tuples are no predictions, and not followed.
    """
    given = node.args[0]
    if isinstance(given, tuple | list):
        given = next((each for each in given if each is not None), None)
    return given if isinstance(given, fx.Node) else None


def is_identity(module: nn.Module) -> bool:
    """Return whether a module returns what it is given."""
    return isinstance(module, nn.Identity) or (type(module) is nn.Dropout and module.p == 0)


def is_of_samples(node: fx.Node) -> bool:
    """Return whether a call of `flatten` flattens the axes of a sample."""
    given = dict(zip(("start_dim", "end_dim"), node.args[1:], strict=False)) | node.kwargs
    return given in ({"start_dim": 1}, {"start_dim": 1, "end_dim": -1})
