"""Random numbers that code of the user's own draws from generators that all of Python shares.

What a run draws must follow from its seed: draws from these depend on its pack and its process.
"""

import random
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

__all__ = ["Called", "called_and_drawn"]


class Called(NamedTuple):
    """What a call has returned, and the generators that it has drawn from.

    Attributes:
        value: What it returned.
        drawn: How the generators are called, joined by "and"; empty where there are none.
    """

    value: Any
    drawn: str


def called_and_drawn(call: Callable[[], Any]) -> Called:
    """Return what `call` returns, with the shared generators that it has drawn from.

    It is called once more where Python's `random` alone was drawn from: another thread may have
    done so. Beartype draws from it to choose what it looks at, so where that is loaded such draws
    are not told.
    """
    value, names = once(call)
    if names == ["random"]:
        if "beartype" in sys.modules:
            return Called(value, "")
        value, names = once(call)
    return Called(value, " and ".join(names))


def once(call: Callable[[], Any]) -> tuple[Any, list[str]]:
    """Return what `call` returns, and the generators whose state is another one afterwards."""
    before = states()
    value = call()
    after = states()
    return value, [name for name, state in before.items() if after[name] != state]


def states() -> dict[str, object]:
    """Return the states of torch's, NumPy's and Python's generator, by how they are called.

    That of torch is left out before anything has imported torch.
    """
    kept: Any = np.random.get_state(legacy=False)  # noqa: NPY002  # the global one is meant
    numbers = (kept["state"]["key"].tobytes(), kept["state"]["pos"], kept["gauss"])
    found: dict[str, object] = {"np.random": numbers, "random": random.getstate()}
    # Code that only describes data loads no torch.
    torch: Any = sys.modules.get("torch")
    return found if torch is None else {"torch": torch.get_rng_state().numpy().tobytes(), **found}
