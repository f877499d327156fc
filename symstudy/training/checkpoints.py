"""The state of a pack in training, and the contract between the training loop and a checkpointer.

A state holds everything that the numbers of a pack still depend on, and nothing else: parameters,
moments, how each run stands, what has been recorded. Random numbers need no state, since each is a
function of its seed and step. So a pack that goes on from its state ends with the bits that it
would have had without the pause.
"""

from collections.abc import Mapping
from enum import Enum
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Checkpointer",
    "NextAction",
    "Paused",
    "State",
    "UnfitStateError",
    "add_prefix",
    "read_array",
    "restore_array",
    "select_prefix",
]

State = dict[str, NDArray[Any]]
"""Arrays of numbers by dotted names; never of objects."""


class NextAction(Enum):
    """What the training loop does after a chunk of steps."""

    GO_ON = "Train on."
    SAVE = "Save the state, then train on."
    STOP = "Save the state, then stop."


@runtime_checkable
class Checkpointer(Protocol):
    """Saves and loads the training state of one pack, and says when to save or stop."""

    def load(self) -> State | None:
        """Return the state of an earlier attempt at exactly these runs, or None."""

    def next_action(self) -> NextAction:
        """Return what to do now; called between chunks of training of a second at most."""

    def save(self, state: State) -> None:
        """Write `state` to storage; its arrays change again once this has returned."""


class Paused(Exception):  # noqa: N818  # not an error: training stopped because it was told to
    """Training stopped on request, after its state was saved."""


class UnfitStateError(ValueError):
    """A state that is not one of the pack that it is given to."""


def read_array(state: State, name: str, like: NDArray[Any] | None = None) -> NDArray[Any]:
    """Return the array called `name`.

    Args:
        state: What holds it.
        name: Which one.
        like: An array of the type and shape that it must have, if these are known.

    Raises:
        UnfitStateError: If it is not there, or of another type or shape.
    """
    if name not in state:
        raise UnfitStateError(f"a state must hold {name!r}, but got {sorted(state)}")
    array = state[name]
    if like is not None and (array.dtype, array.shape) != (like.dtype, like.shape):
        raise UnfitStateError(
            f"{name!r} must be {like.dtype} of shape {like.shape}, but got {array.dtype} of shape "
            f"{array.shape}"
        )
    return array


def restore_array(state: State, name: str, target: NDArray[Any]) -> None:
    """Overwrite `target` by the array called `name`.

    Raises:
        UnfitStateError: If it is not there, or of another type or shape.
    """
    np.copyto(target, read_array(state, name, target))


def add_prefix(prefix: str, state: Mapping[str, NDArray[Any]]) -> State:
    """Return `state` with `prefix` and a dot before each name."""
    return {f"{prefix}.{name}": array for name, array in state.items()}


def select_prefix(prefix: str, state: State) -> State:
    """Return the part of `state` whose names begin with `prefix` and a dot, without these."""
    start = f"{prefix}."
    return {
        name.removeprefix(start): array for name, array in state.items() if name.startswith(start)
    }
