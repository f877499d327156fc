"""Writes one number a seed into the rows that a rule reads, so that the rule finds that number.

Rows are columns of two axes, a row a seed and a column a row of that seed, so that all seeds of
thousands of studies are written at once.
"""

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from symstudy.findings import (
    Bound,
    Every,
    Exact,
    Flat,
    Grows,
    Monotone,
    Paired,
    PowerLaw,
    Ratio,
)
from symstudy.findings.rules.base import AbstractSeedRule, Group
from symstudy.statistics.correlations import rank_correlations

__all__ = ["DEEP", "Columns", "Slot", "is_inside", "numbers_at", "write"]

Numbers = NDArray[np.float64]
Columns = dict[str, NDArray[np.generic]]
"""Columns of the rows of seeds: an array of seeds times rows of a seed each."""

DEEP = 10.0
"""Distance from an end, in units of the noise, at which a number is at the middle of its range."""
STEP = 0.25
"""Distance in ln between values next to each other that a monotone sweep has."""


class Slot(NamedTuple):
    """A part of a claim, and where its rows are among those of a seed.

    Attributes:
        rule: The rule that judges it.
        group: Values of the columns that it is judged by apart.
        places: Which rows of a seed it reads.
    """

    rule: AbstractSeedRule
    group: Group
    places: NDArray[np.int64]


def numbers_at(slot: Slot, distance: Numbers, at_high: NDArray[np.bool_]) -> Numbers:
    """Return the numbers that lie `distance` inside an end of the range of a part.

    Args:
        slot: The part.
        distance: Of each seed, in units of the noise: a tenth of half the range, or a hundredth of
            the end where there is one. Negative is outside.
        at_high: Whether it is the higher end, where the range has two.
    """
    low, high = slot.rule.bound(slot.group)
    if math.isfinite(low) and math.isfinite(high):
        scale = (high - low) / (2.0 * DEEP)
        kept = scale * np.minimum(distance, DEEP)
        # Of two places the larger is over the smaller.
        is_high = at_high | isinstance(slot.rule, Ratio)
        return np.where(is_high, high - kept, low + kept)
    end = low if math.isfinite(low) else high
    scale = 0.01 * max(abs(end), 1.0)
    return end + scale * distance if math.isfinite(low) else end - scale * distance


def is_inside(slot: Slot, numbers: Numbers) -> NDArray[np.bool_]:
    """Return which numbers a part allows."""
    low, high = slot.rule.bound(slot.group)
    inside: NDArray[np.bool_] = (numbers >= low) & (numbers <= high)
    return inside


def write(slot: Slot, columns: Columns, numbers: Numbers) -> None:
    """Write the number of each seed into the rows of a part, in place.

    Raises:
        TypeError: If there is no way to write for a rule of its kind.
    """
    for kind, writer in WRITERS.items():
        if isinstance(slot.rule, kind):
            writer(slot, columns, numbers)
            return
    raise TypeError(f"`rule` must be one of {[k.__name__ for k in WRITERS]}, but got {slot.rule}")


def floats(slot: Slot, columns: Columns) -> Numbers:
    """Return the column of a part's value, made to hold any number."""
    column = np.asarray(columns[slot.rule.value], float)
    columns[slot.rule.value] = column
    return column


def swept(slot: Slot, columns: Columns) -> Numbers:
    """Return the places along the sweep of a part's rows; all seeds have the same."""
    along = columns[slot.rule.along]  # type: ignore[attr-defined]  # of sweeps alone
    return np.asarray(along[0, slot.places], float)


def write_slope(slot: Slot, columns: Columns, slopes: Numbers) -> None:
    """Write powers of the place that leave the value at the largest place as it is."""
    column, place = floats(slot, columns), swept(slot, columns)
    last = column[:, [slot.places[int(place.argmax())]]]
    column[:, slot.places] = last * (place / place.max()) ** slopes[:, None]


def write_power(slot: Slot, columns: Columns, exponents: Numbers) -> None:
    """Write powers of the place through the middle of what was there."""
    rule = slot.rule
    assert isinstance(rule, PowerLaw)
    column, place = floats(slot, columns), np.log(swept(slot, columns))
    before = column[0, slot.places]
    is_fitted = before >= rule.smallest
    if rule.largest:
        is_fitted &= before <= float(np.asarray(columns[rule.largest], float)[0, slot.places].min())
    middle = place[is_fitted].mean()
    level = np.log(before[is_fitted] + rule.shift).mean()
    column[:, slot.places] = np.exp(level + exponents[:, None] * (place - middle)) - rule.shift


def write_ratio(slot: Slot, columns: Columns, logs: Numbers) -> None:
    """Write values whose largest and smallest tested place differ by the given logarithm."""
    rule = slot.rule
    assert isinstance(rule, Ratio)
    column, place = floats(slot, columns), swept(slot, columns)
    known = np.unique(place)
    tested = known[-max(3, (len(known) + 1) // 2) :] if rule.is_upper_half else known
    share = (np.log(place) - np.log(tested[-1])) / (np.log(tested[0]) - np.log(tested[-1]))
    last = column[:, [slot.places[int(place.argmax())]]]
    column[:, slot.places] = last * np.exp(logs[:, None] * share)


def write_order(slot: Slot, columns: Columns, correlations: Numbers) -> None:
    """Write the least monotone order that is allowed, or the most monotone that is not."""
    rule = slot.rule
    assert isinstance(rule, Monotone)
    column, place = floats(slot, columns), swept(slot, columns)
    known, rank = np.unique(place, return_inverse=True)
    good, bad = orders(len(known), rule.at_least)
    inside = is_inside(slot, correlations)[:, None]
    order = rule.sign * np.where(inside, good[rank], bad[rank])
    last = column[:, [slot.places[int(place.argmax())]]]
    # A count of 0 has no logarithm, and an order does not depend on the level.
    last = np.where(last > 0, last, 1.0)
    column[:, slot.places] = last * np.exp(STEP * (order - rule.sign * rank.max()))


def orders(count: int, least: float) -> tuple[Numbers, Numbers]:
    """Return orders of places whose rank correlation is just at and just below a bound.

    Both come from swaps of neighbours, so the largest stays last where the bound allows it.
    """
    places = np.arange(float(count))
    order, best = places.copy(), places.copy()
    for _ in range(count * count):
        for i in range(count - 1):
            if order[i] < order[i + 1]:
                order[[i, i + 1]] = order[[i + 1, i]]
                if float(rank_correlations(places, order)) < least - 1e-9:
                    return best, order
                best = order.copy()
    raise ValueError(f"`least` must be a correlation above -1, but got {least!r}")


def write_matches(slot: Slot, columns: Columns, shares: Numbers) -> None:
    """Write what theory gives, or at one place one more than that."""
    rule = slot.rule
    assert isinstance(rule, Exact)
    column = floats(slot, columns)
    along = columns[rule.along][0, slot.places]
    wrong = ~is_inside(slot, shares)[:, None] & (along == along.min())[None, :]
    exact = np.asarray(columns[rule.matches[0].exact], float)[:, slot.places]
    column[:, slot.places] = exact + wrong


def write_level(slot: Slot, columns: Columns, levels: Numbers) -> None:
    """Write the level into every row of the seed."""
    floats(slot, columns)[:, slot.places] = levels[:, None]


def write_difference(slot: Slot, columns: Columns, differences: Numbers) -> None:
    """Write the difference into the second of two settings, over what the first has."""
    rule = slot.rule
    assert isinstance(rule, Paired)
    column = floats(slot, columns)
    setting = columns[rule.between][0, slot.places]
    first, second = (slot.places[setting == each] for each in (rule.first, rule.second))
    before = column[:, first].mean(axis=1)
    after = before * np.exp(differences) if rule.is_log else before + differences
    column[:, second] = after[:, None]


WRITERS: Mapping[type[AbstractSeedRule], Callable[[Slot, Columns, Numbers], None]] = {
    PowerLaw: write_power,
    Flat: write_slope,
    Grows: write_slope,
    Ratio: write_ratio,
    Monotone: write_order,
    Exact: write_matches,
    Bound: write_level,
    Paired: write_difference,
    Every: write_level,
}
