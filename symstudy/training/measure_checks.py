"""Whether a measure of the user's own gives a run the same number alone as beside its mates.

Shapes: K runs.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from symstudy.errors import ModelError
from symstudy.measures.catalogue import BUILTIN, Measure, find_measure
from symstudy.training.engines.base import ShapeGroup
from symstudy.training.probes import Named, measure_layers, measure_named

__all__ = ["check_measures_apart"]

TOLERANCE = 1e-3
"""Relative difference that rounding makes: alone, a run goes through other kernels of torch."""
NOTHING = 1e-4
"""Difference that is none, relative to the largest number of a column."""


def check_measures_apart(
    group: ShapeGroup,
    lanes: NDArray[np.int64],
    named: Named,
    layers: Sequence[Mapping[str, NDArray[Any]]],
) -> None:
    """Measure the last of some runs once more, by itself, and compare.

    Args:
        group: The runs.
        lanes: Those that were measured.
        named: What was measured of networks and features.
        layers: What was measured of each hidden layer, an entry for each of `lanes`.

    Raises:
        ModelError: If a measure of the user's own is another number.
    """
    probe = group.pack.runs[0].cell.probe
    own = [item for item in map(find_measure, probe.measures) if item.name not in BUILTIN]
    if not own or not len(lanes):
        return
    last = lanes[-1:]
    again = measure_layers(group.trained, group.pack, last, probe.samples)
    for whole, alone in zip(layers, again, strict=True):
        for item in own:
            if item.name in whole:
                check_column(item, whole[item.name], alone[item.name][0])
    alone_named = measure_named(group.trained, group.pack, last)
    for item in own:
        if item.name in named.numbers:
            column = named.numbers[item.name]
            check_column(item, column[lanes], alone_named.numbers[item.name][last[0]])
        elif item.name in named.vectors:
            check_column(item, named.vectors[item.name], alone_named.vectors[item.name][0])


def check_column(item: Measure, column: NDArray[Any], alone: Any) -> None:
    """Check that the last entry of a column is what the run has by itself.

    Raises:
        ModelError: If it is not.
    """
    beside, by_itself = np.asarray(column[-1], np.float64), np.asarray(alone, np.float64)
    finite = np.abs(np.asarray(column, np.float64))
    largest = float(np.max(finite[np.isfinite(finite)], initial=0.0))
    if beside.shape == by_itself.shape and np.allclose(
        beside, by_itself, rtol=TOLERANCE, atol=NOTHING * largest, equal_nan=True
    ):
        return
    raise ModelError(
        "a measure must be the number of each run by itself, the same whenever it is taken, but "
        f"{item.path} returned {told(beside)} for a run beside others and {told(by_itself)} for "
        "it alone. Reduce over every axis but the first, and draw no random numbers."
    )


def told(value: NDArray[np.float64]) -> str:
    """Return a number, or the first few of a vector, for a message."""
    first = ", ".join(f"{number:.6g}" for number in value.reshape(-1)[:3])
    return first if value.ndim == 0 else f"[{first}, ...]"
