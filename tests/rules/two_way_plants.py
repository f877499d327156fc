"""Two-way tables whose axes explain given shares of the variance, with given orders along one.

The shares of both axes and the order of every sweep along the task are numbers of one table. The
values of neighbouring tasks come in pairs that differ by next to nothing, so that an order is
changed within pairs, at no cost in variance.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from plants import Columns, Numbers, Slot, floats, is_inside

from symstudy.findings import Explained, Monotone

__all__ = ["write_table"]

NEARLY = 1e-11
"""Difference in ln of two tasks of a pair."""


def write_table(slots: Sequence[Slot], columns: Columns, numbers: Sequence[Numbers]) -> None:
    """Write tables that have the number of every part, in place.

    Args:
        slots: The share of the task, that of the capacity if there is one, and orders along the
            task for each capacity.
        columns: Rows of the seeds.
        numbers: For each slot a number a seed.
    """
    first, *others = (slot for slot in slots if isinstance(slot.rule, Explained))
    assert isinstance(first.rule, Explained)
    tasks, task = np.unique(columns[first.rule.along][0], return_inverse=True)
    sizes, size = np.unique(columns[first.rule.beside][0], return_inverse=True)
    of_first, of_second = shares_of(slots, numbers, first, others)
    pair = np.arange(len(tasks)) // 2
    total = pair.var() / of_first
    rest = np.maximum(total - pair.var() - of_second * total, 0.0)
    logs = (
        pair[task]
        + np.sqrt(of_second * total)[:, None] * alternating(sizes, 1)[size]
        + np.sqrt(rest)[:, None] * (balanced(pair)[task] * alternating(sizes, 2)[size])
    )
    for slot, wanted in zip(slots, numbers, strict=True):
        if isinstance(slot.rule, Monotone):
            logs[:, slot.places] += NEARLY * order_within(slot, task[slot.places], wanted)
    floats(first, columns)[:] = np.exp(logs)


def shares_of(
    slots: Sequence[Slot], numbers: Sequence[Numbers], first: Slot, others: Sequence[Slot]
) -> tuple[Numbers, Numbers]:
    """Return both shares of each seed, which leave something for the other and the rest.

    The second share leaves the first what it needs to reach its range: a tail of the noise may ask
    for more of both than there is. On which side of its own end it lies is not changed by it.
    """
    known = {id(slot): wanted for slot, wanted in zip(slots, numbers, strict=True)}
    of_first = known[id(first)]
    of_second = known[id(others[0])] if others else np.zeros_like(of_first)
    of_second = np.clip(of_second, 1e-9, 0.9 * (1.0 - first.rule.bound(first.group)[0]))
    return np.clip(of_first, 0.1, 1.0 - of_second), of_second


def alternating(places: NDArray[np.generic], frequency: int) -> Numbers:
    """Return a pattern over places of mean 0 and variance 1, another for each frequency."""
    phase = np.cos(np.pi * frequency * (np.arange(len(places)) + 0.5) / len(places))
    pattern: Numbers = (phase - phase.mean()) / phase.std()
    return pattern


def balanced(pair: NDArray[np.int64]) -> Numbers:
    """Return a pattern over tasks that is the same within pairs, of mean 0 and variance 1."""
    pattern = np.where(pair == 0, 1.0, np.where(pair == 1, -1.0, 0.0))
    pattern[pair == 1] *= (pair == 0).sum() / (pair == 1).sum()
    scaled: Numbers = pattern / pattern.std()
    return scaled


def order_within(slot: Slot, task: NDArray[np.int64], wanted: Numbers) -> Numbers:
    """Return the places of tasks in their pairs: swapped in as many pairs as a number allows.

    One swap more is below the bound of the part.
    """
    count = int(task.max()) + 1
    assert isinstance(slot.rule, Monotone)
    # The sum of squared differences of ranks is 2 a swap.
    allowed = int((1.0 - slot.rule.at_least + 1e-9) * count * (count**2 - 1) / 12)
    swaps = np.where(is_inside(slot, wanted), allowed, allowed + 1)
    is_swapped = (task // 2)[None, :] < swaps[:, None]
    is_second = task % 2
    order: Numbers = np.where(is_swapped, 1 - is_second, is_second).astype(float)
    return order
