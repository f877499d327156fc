"""The ATen operations that a module's forward pass on example inputs consists of.

The pass is run once, in float64 and in evaluation mode, and every operation that reaches torch's
kernels is written down with the tensors that it reads and makes. Python control flow, subclasses
and functions of the user's own need not be understood: what they do to tensors is what is seen.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, final

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

__all__ = ["ModuleCall", "Operation", "Trace", "output_tensors", "trace_module"]


class Place(NamedTuple):
    """A tensor of a trace, in the arguments of an operation.

    Attributes:
        number: Number of the tensor.
    """

    number: int


class Operation(NamedTuple):
    """One call of an ATen operation.

    Attributes:
        name: Such as `aten.addmm`, without the overload; operations in place have the name of
            those that are not.
        args: Positional arguments, tensors as `Place`.
        kwargs: Arguments by name, likewise.
        outputs: Numbers of the tensors that it made, -1 for what is none.
    """

    name: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    outputs: tuple[int, ...]


class ModuleCall(NamedTuple):
    """One call of a module inside of another.

    Attributes:
        path: Name of the module, such as `blocks.0.mlp.fc2`.
        first: Number of the first operation inside.
        stop: Number of the first operation after it.
        input: Number of the tensor that is its first argument, -1 for none.
        output: Number of the tensor that it returned, -1 for none.
    """

    path: str
    first: int
    stop: int
    input: int
    output: int


@final
@dataclass
class Trace:
    """A forward pass as a list of operations on numbered tensors.

    Attributes:
        tensors: By number; what is done in place changes the tensor and not the number.
        operations: In order.
        parameters: Numbers of the trained parameters, by name.
        inputs: Numbers of the inputs.
        outputs: Numbers of the tensors that were returned.
        calls: Calls of modules, in the order in which they ended.
    """

    tensors: list[Tensor] = field(default_factory=list)
    operations: list[Operation] = field(default_factory=list)
    parameters: dict[str, int] = field(default_factory=dict)
    inputs: tuple[int, ...] = ()
    outputs: tuple[int, ...] = ()
    calls: list[ModuleCall] = field(default_factory=list)


@final
class Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch's is not typed
    """Writes down the operations that reach torch's kernels."""

    def __init__(self) -> None:
        """Begin with an empty trace."""
        super().__init__()  # type: ignore[no-untyped-call]  # torch's is not typed
        self.trace = Trace()
        self.numbers: dict[int, int] = {}

    def number(self, tensor: Tensor) -> int:
        """Return the number of `tensor`, a new one if it has not been seen."""
        # The trace holds every tensor, so that no two of them have one identity.
        if id(tensor) not in self.numbers:
            self.numbers[id(tensor)] = len(self.trace.tensors)
            self.trace.tensors.append(tensor)
        return self.numbers[id(tensor)]

    def renumber(self, tensor: Tensor, before: Tensor) -> None:
        """Give a tensor that was put into another shape in place a number of its own."""
        self.trace.tensors[self.number(tensor)] = before
        self.numbers[id(tensor)] = len(self.trace.tensors)
        self.trace.tensors.append(tensor)

    def placed(self, value: Any) -> Any:
        """Return an argument with its tensors as places."""
        return tree_map(
            lambda leaf: Place(self.number(leaf)) if isinstance(leaf, Tensor) else leaf, value
        )

    def __torch_dispatch__(
        self,
        func: Any,
        types: Sequence[Any],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Do an operation and write it down."""
        del types
        placed = self.placed(args), self.placed(kwargs or {})
        name = str(func.overloadpacket)
        first = args[0] if name.endswith("_") and args and isinstance(args[0], Tensor) else None
        before = first.detach() if first is not None else None
        result = func(*args, **(kwargs or {}))
        if first is not None and before is not None and first.shape != before.shape:
            self.renumber(first, before)
        made = result if isinstance(result, list | tuple) else [result]
        outputs = tuple(self.number(t) if isinstance(t, Tensor) else -1 for t in made)
        self.trace.operations.append(Operation(name.removesuffix("_"), *placed, outputs))
        return result

    def watch(self, module: nn.Module) -> list[Any]:
        """Write down the calls of the modules inside of `module`; return handles to remove."""
        handles = []
        for path, child in module.named_modules():
            starts: list[int] = []
            if path:
                handles.append(child.register_forward_pre_hook(self.before(starts)))
                handles.append(child.register_forward_hook(self.after(path, starts)))
        return handles

    def before(self, starts: list[int]) -> Callable[..., None]:
        """Return a hook that notes where the call of a module begins."""

        def hook(module: nn.Module, args: tuple[Any, ...]) -> None:
            del module, args
            starts.append(len(self.trace.operations))

        return hook

    def after(self, path: str, starts: list[int]) -> Callable[..., None]:
        """Return a hook that writes the call of the module at `path` down."""

        def hook(module: nn.Module, args: tuple[Any, ...], result: Any) -> None:
            del module
            ends = [
                self.number(each) if isinstance(each, Tensor) else -1
                for each in (args[0] if args else None, result)
            ]
            stop = len(self.trace.operations)
            self.trace.calls.append(ModuleCall(path, starts.pop(), stop, *ends))

        return hook


@contextlib.contextmanager
def plain_kernels() -> Iterator[None]:
    """Switch off the fused kernel of whole transformer layers, which hides what is inside."""
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)


def trace_module(module: nn.Module, inputs: Tensor) -> Trace:
    """Return the operations of `module(inputs)`; the module is left as it was.

    Args:
        module: In the mode and precision that is meant.
        inputs: A batch of example inputs.
    """
    recorder = Recorder()
    trace = recorder.trace
    trace.parameters = {
        name: recorder.number(each)
        for name, each in module.named_parameters()
        if each.requires_grad
    }
    trace.inputs = (recorder.number(inputs),)
    handles = recorder.watch(module)
    try:
        with torch.no_grad(), plain_kernels(), recorder:
            result = module(inputs)
    finally:
        for handle in handles:
            handle.remove()
    trace.outputs = tuple(recorder.number(each) for each in output_tensors(result))
    return trace


def output_tensors(result: Any) -> list[Tensor]:
    """Return the tensors that a module gives as its function.

    Of `(output, {group name: activations})` that is the output: activations of neurons change with
    their order, though what the network computes does not.
    """
    if isinstance(result, tuple) and len(result) == 2 and isinstance(result[1], Mapping):
        result = result[0]
    return [each for each in tree_leaves(result) if isinstance(each, Tensor)]
