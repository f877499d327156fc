"""The last linear layer of a user's own module, and what it reads: the module's features.

It is looked for by a forward pass: the `nn.Linear` whose result is what the module returns, as it
is or after a log-softmax.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from symstudy.models.base import LastLayer
from symstudy.models.own.outputs import is_with_hidden, plain, read_returned
from symstudy.symmetry.derivation.capture import only_tensor

__all__ = ["FoundLast", "capture_last", "find_last_layer", "take_last"]

FEATURES, WEIGHT, BIAS = "last layer: features", "last layer: weight", "last layer: bias"
"""Names under which a module returns its last layer beside its activations: no group has them."""


class FoundLast(NamedTuple):
    """Where a module's last layer is.

    Attributes:
        path: Of the linear layer; empty for none.
        reason: Why there is none; empty if there is one.
    """

    path: str = ""
    reason: str = ""


class Call(NamedTuple):
    """One call of a linear layer.

    Attributes:
        path: The layer.
        features: What it read.
        result: What it returned.
    """

    path: str
    features: Tensor
    result: Tensor


def find_last_layer(module: nn.Module, x: Tensor, *, predicts: bool) -> FoundLast:
    """Return the linear layer whose result a module returns.

    Args:
        module: In evaluation mode; left as it is.
        x: A batch of example inputs.
        predicts: Whether it returns a prediction.
    """
    if not predicts:
        return FoundLast(reason="it returns no prediction of the targets")
    calls: list[Call] = []
    layers = {
        path: each for path, each in module.named_modules() if isinstance(each, nn.Linear) and path
    }
    hooks = [each.register_forward_hook(recorded(path, calls)) for path, each in layers.items()]
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            result = module(x)
    finally:
        for hook in hooks:
            hook.remove()
    if not (is_with_hidden(result) or only_tensor(result) is not None):
        return FoundLast(reason="it returns more than its outputs")
    output = read_returned(plain(result, type(module).__name__)).prediction
    assert output is not None, "what predicts returns a prediction"
    fits = [call for call in calls if makes(call, output)]
    if not fits:
        return FoundLast(reason="no nn.Linear inside it returns its outputs")
    last = fits[-1]
    if sum(call.path == last.path for call in calls) > 1:
        return FoundLast(reason=f"its nn.Linear {last.path!r} is called more than once")
    return FoundLast(last.path)


def recorded(path: str, calls: list[Call]) -> Callable[..., None]:
    """Return a hook that keeps each call of a layer."""

    def hook(module: nn.Module, args: tuple[Any, ...], result: Any) -> None:
        del module
        if args and isinstance(result, Tensor):
            calls.append(Call(path, args[0], result))

    return hook


def makes(call: Call, output: Tensor) -> bool:
    """Return whether a call made the outputs, of features that are a row a sample."""
    if call.features.dim() != 2 or call.result.shape != output.shape:
        return False
    log_softmax = torch.log_softmax(call.result, dim=1)
    return torch.equal(call.result, output) or torch.allclose(log_softmax, output)


def capture_last(module: nn.Module, path: str) -> nn.Module:
    """Make `module` return its last layer among its activations in evaluation, and return it.

    Args:
        module: Returns a tensor, or a tensor with a dict of activations.
        path: Of its last layer; it is left as it is for none.
    """
    if not path:
        return module
    caught: dict[str, Tensor] = {}

    def hook(layer: nn.Linear, args: tuple[Any, ...]) -> None:
        caught.update({FEATURES: args[0], WEIGHT: layer.weight})
        if layer.bias is not None:
            caught[BIAS] = layer.bias

    module.get_submodule(path).register_forward_pre_hook(hook)
    inner: Callable[..., Any] = module.forward

    def forward(*args: Any, **kwargs: Any) -> Any:
        caught.clear()
        result = inner(*args, **kwargs)
        found = dict(caught)
        # Nothing is kept: what was caught belongs to one call, and to its device.
        caught.clear()
        if module.training:
            return result
        if is_with_hidden(result):
            return result[0], {**result[1], **found}
        output = only_tensor(result)
        return result if output is None else (output, found)

    module.forward = forward
    return module


def take_last(hidden: Mapping[str, Tensor]) -> tuple[LastLayer | None, dict[str, Tensor]]:
    """Return the last layer that a captured module returned, and its activations without it."""
    rest = {name: each for name, each in hidden.items() if name not in (FEATURES, WEIGHT, BIAS)}
    if FEATURES not in hidden:
        return None, rest
    return LastLayer(hidden[FEATURES], hidden[WEIGHT], hidden.get(BIAS)), rest
