"""What the forward pass of a user's own module returns, in one form.

Shapes: K runs, B samples, O outputs.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from symstudy.errors import ModelError

__all__ = ["PREDICTIONS", "Returned", "describe", "plain", "read_returned", "stack", "tensors_in"]

PREDICTIONS = ("output", "logits")
"""Keys of a dict under which its prediction is looked for, in this order."""


class Returned(NamedTuple):
    """The parts of what a forward pass returned.

    Attributes:
        prediction: What is compared with the targets for accuracy and measures; None if there is
            no such tensor.
        hidden: Activations by group of neurons.
        for_loss: What the loss is given: the tensor, or the whole tuple or dict.
    """

    prediction: Tensor | None
    hidden: dict[str, Tensor]
    for_loss: Any


def plain(result: Any, name: str) -> Any:
    """Return `result` as tensors in tuples and dicts alone; what is None is left out.

    A tuple of one is its item: many modules return `(logits, None)` where they are given no
    targets.

    Raises:
        ModelError: If it holds anything else.
    """
    if isinstance(result, Tensor):
        return result
    if dataclasses.is_dataclass(result) and not isinstance(result, type | Mapping):
        result = {item.name: getattr(result, item.name) for item in dataclasses.fields(result)}
    if isinstance(result, Mapping):
        return {str(key): plain(item, name) for key, item in result.items() if item is not None}
    if isinstance(result, list | tuple):
        items = tuple(plain(item, name) for item in result if item is not None)
        return items[0] if len(items) == 1 else items
    raise ModelError(
        f"forward of {name} must return a tensor, or tuples and dicts of tensors, but returned a "
        f"{type(result).__name__}."
    )


def read_returned(result: Any) -> Returned:
    """Return the parts of a `plain` result, of one run or of several with a leading run axis.

    `(tensor, dict)` is a prediction with hidden activations. Of another tuple the prediction is the
    first item, of a dict the item called `output` or `logits`.
    """
    if isinstance(result, Tensor):
        return Returned(result, {}, result)
    if is_with_hidden(result):
        return Returned(result[0], dict(result[1]), result[0])
    if isinstance(result, Mapping):
        found = next((result[key] for key in PREDICTIONS if key in result), None)
    else:
        found = result[0] if result else None
    return Returned(found if isinstance(found, Tensor) else None, {}, result)


def is_with_hidden(result: Any) -> bool:
    """Return whether a result is `(output, {group name: activations})`."""
    return (
        isinstance(result, tuple)
        and len(result) == 2
        and isinstance(result[0], Tensor)
        and isinstance(result[1], Mapping)
        and all(isinstance(item, Tensor) for item in result[1].values())
    )


def stack(results: Sequence[Any]) -> Any:
    """Return plain results of single runs as one with a leading run axis."""
    first = results[0]
    if isinstance(first, Tensor):
        return torch.stack(list(results))
    if isinstance(first, Mapping):
        return {key: stack([each[key] for each in results]) for key in first}
    return tuple(stack(items) for items in zip(*results, strict=True))


def tensors_in(result: Any) -> list[Tensor]:
    """Return the tensors of a plain result, in order."""
    if isinstance(result, Tensor):
        return [result]
    items = result.values() if isinstance(result, Mapping) else result
    return [tensor for item in items for tensor in tensors_in(item)]


def describe(result: Any, samples: int) -> str:
    """Return the shapes of a plain result of one run on so many samples, as `[samples, ...]`."""
    if isinstance(result, Tensor):
        first = ["samples" if size == samples else size for size in result.shape[:1]]
        return str([*first, *result.shape[1:]]).replace("'", "") if result.ndim else "a number"
    if isinstance(result, Mapping):
        items = (f"{key}: {describe(item, samples)}" for key, item in result.items())
        return "{" + ", ".join(items) + "}"
    return "(" + ", ".join(describe(item, samples) for item in result) + ")"
