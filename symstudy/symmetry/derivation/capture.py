"""Activations of neurons that a module does not return, caught where they enter or leave a module.

A neuron's activation is what its outgoing weights read. Of a derived group of neurons it is looked
for among the first arguments and the results of the modules inside.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, final

from torch import Tensor, nn

from symstudy.symmetry.derivation.axes import AxisClass, Variable, find
from symstudy.symmetry.derivation.state import State
from symstudy.symmetry.derivation.trace import ModuleCall
from symstudy.symmetry.derivation.values import inside, size_of

__all__ = ["Capture", "capture_hidden", "find_capture", "only_tensor"]


@final
@dataclass(frozen=True, kw_only=True)
class Capture:
    """Where the activations of a group of neurons are.

    Attributes:
        group: Name of the group.
        path: Module that they enter or leave.
        enters: Whether they are its first argument; otherwise they are its result.
        dim: Dimension that the neurons run along.
        sizes: Sizes that this dimension is a product of.
        factor: Which of these is that of the neurons.
    """

    group: str
    path: str
    enters: bool
    dim: int
    sizes: tuple[int, ...]
    factor: int

    def read(self, tensor: Tensor) -> Tensor:
        """Return activations `[samples, neurons]`; positions of a sample are samples too."""
        shape = (*tensor.shape[: self.dim], *self.sizes, *tensor.shape[self.dim + 1 :])
        split = tensor.reshape(shape)
        moved: Tensor = split.movedim(self.dim + self.factor, -1)
        return moved.reshape(-1, moved.shape[-1])


def find_capture(
    state: State, of: AxisClass, group: str, reads: Sequence[Variable]
) -> Capture | None:
    """Return where the activations of the class `of` can be caught; None if nowhere.

    The last operation that sums over them says what they are. Modules that are called more than
    once are passed over, since they would be caught at some call only.
    """
    mine = [state.readings[each] for each in reads if each in state.readings]
    if not mine:
        return None
    number, first = max(each.last for each in mine), min(each.activated for each in mine)
    calls = state.trace.calls
    once = [call for call in calls if sum(other.path == call.path for other in calls) == 1]
    around = [call for call in once if call.first <= number < call.stop]
    # The innermost module that sums over them is given them; else one that gave them before.
    for call in sorted(around, key=lambda call: call.stop - call.first):
        found = capture_at(state, of, group, call, enters=True)
        if found is not None:
            return found
    bent = [call for call in once if first < call.stop <= number]
    for call in sorted(bent, key=lambda call: -call.stop):
        found = capture_at(state, of, group, call, enters=False)
        if found is not None:
            return found
    return None


def capture_at(
    state: State, of: AxisClass, group: str, call: ModuleCall, *, enters: bool
) -> Capture | None:
    """Return how to catch the activations where they enter or leave a module, if they do."""
    number = call.input if enters else call.output
    value = state.values.get(number)
    if value is None or value.is_weight:
        return None
    for at, dim in enumerate(value.dims):
        for factor, axis in enumerate(state.plain(dim)):
            mine = any(find(each.of) is find(of) for each in inside(iter((axis,))))
            if axis.kind == "plain" and mine and at > 0 and size_of(dim) % axis.size == 0:
                sizes = tuple(each.size for each in state.plain(dim))
                return Capture(
                    group=group, path=call.path, enters=enters, dim=at, sizes=sizes, factor=factor
                )
    return None


def capture_hidden(module: nn.Module, captures: Sequence[Capture]) -> nn.Module:
    """Make `module` return `(result, {group: activations})` in evaluation mode, and return it.

    A result of several tensors is returned as it is, since there would be no telling the two apart;
    None beside one tensor, as a loss that was not asked for, is left out.
    """
    if not captures:
        return module
    caught: dict[str, Tensor] = {}
    inner = dict(module.named_modules())
    for capture in captures:
        target = inner[capture.path]
        if capture.enters:
            target.register_forward_pre_hook(on_entry(capture, caught))
        else:
            target.register_forward_hook(on_exit(capture, caught))
    plain: Callable[..., Any] = module.forward

    def forward(*args: Any, **kwargs: Any) -> Any:
        caught.clear()
        result = plain(*args, **kwargs)
        found = dict(caught)
        # Nothing is kept: what was caught belongs to one call, and to its device.
        caught.clear()
        output = None if module.training else only_tensor(result)
        return result if output is None else (output, found)

    module.forward = forward
    return module


def only_tensor(result: Any) -> Tensor | None:
    """Return the one tensor of a result, alone or in a tuple with None; None if there are more."""
    items = [each for each in result if each is not None] if type(result) is tuple else [result]
    return items[0] if len(items) == 1 and isinstance(items[0], Tensor) else None


def on_entry(capture: Capture, caught: dict[str, Tensor]) -> Callable[..., None]:
    """Return a hook that catches the first argument."""

    def hook(module: nn.Module, args: tuple[Any, ...]) -> None:
        del module
        caught[capture.group] = capture.read(args[0])

    return hook


def on_exit(capture: Capture, caught: dict[str, Tensor]) -> Callable[..., None]:
    """Return a hook that catches the result."""

    def hook(module: nn.Module, args: tuple[Any, ...], result: Any) -> None:
        del module, args
        caught[capture.group] = capture.read(result)

    return hook
