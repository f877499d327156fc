"""Answers as JSON: nothing of a number is lost that JavaScript would lose."""

import json
import math
from collections.abc import Mapping
from typing import Any

__all__ = ["to_json", "to_plain"]

EXACT = 2**53
"""Integers beyond are not exact in JavaScript."""


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
        return [to_plain(item) for item in value]
    return value.isoformat(" ") if hasattr(value, "isoformat") else str(value)


def plain_number(value: float) -> float | str:
    """Return a number, or its text where JSON or JavaScript lacks it."""
    if isinstance(value, int):
        return value if -EXACT <= value <= EXACT else str(value)
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")


def to_json(value: Any) -> bytes:
    """Return a value as JSON that every browser reads."""
    return json.dumps(to_plain(value), allow_nan=False, separators=(",", ":")).encode()
