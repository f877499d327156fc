"""Answers as JSON: nothing of a number is lost that JavaScript would lose."""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from symstudy.quantities import LARGEST_EXACT

__all__ = ["to_json", "to_plain"]

PLAIN = frozenset({int, float, str, bool, type(None)})
LEAST_ROWS = 64
"""Shorter lists are looked at value by value."""


def to_plain(value: Any) -> Any:
    """Return a value as JSON has it.

    NaN and infinity, which JSON lacks, and integers that JavaScript would round become texts:
    `NaN`, `Infinity`, `-Infinity`, `9007199254740993`.
    """
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int | float):
        return plain_number(value)
    if isinstance(value, Mapping):
        return {str(key): to_plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return value if is_plain_table(value) else [to_plain(item) for item in value]
    return value.isoformat(" ") if hasattr(value, "isoformat") else str(value)


def is_plain_table(rows: Sequence[Any]) -> bool:
    """Return whether many rows are JSON as they are.

    They are looked at by column, which is ten times as fast as value by value.
    """
    if len(rows) < LEAST_ROWS or not set(map(type, rows)) <= {list, tuple}:
        return False
    return len(set(map(len, rows))) == 1 and all(map(is_plain_column, zip(*rows, strict=True)))


def is_plain_column(values: Sequence[Any]) -> bool:
    """Return whether all values are JSON as they are."""
    kinds = set(map(type, values))
    if not kinds <= PLAIN:
        return False
    if kinds.isdisjoint({int, float}):
        return True
    numbers = values if kinds <= {int, float} else [v for v in values if type(v) in {int, float}]
    if float in kinds and not all(map(math.isfinite, numbers)):
        return False
    return int not in kinds or -LARGEST_EXACT <= min(numbers) <= max(numbers) <= LARGEST_EXACT


def plain_number(value: float) -> float | str:
    """Return a number, or its text where JSON or JavaScript lacks it."""
    if isinstance(value, int):
        return value if -LARGEST_EXACT <= value <= LARGEST_EXACT else str(value)
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")


def to_json(value: Any) -> bytes:
    """Return a value as JSON that every browser reads."""
    return json.dumps(to_plain(value), allow_nan=False, separators=(",", ":")).encode()
