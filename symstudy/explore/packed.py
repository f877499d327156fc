"""Many rows of an answer by column, as bytes: shorter than numbers as text, and read at once.

Five thousand cells are 370 kB as lists of JSON; to write and read them takes longer than to count.
"""

import base64
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

__all__ = ["LEAST_ROWS", "pack_rows"]

LEAST_ROWS = 500
"""Fewer rows are sent as lists."""
FEW_VALUES = 256
MOST_VALUES = 65_536
NONE = type(None)


def pack_rows(rows: Sequence[Sequence[Any]]) -> list[dict[str, Any]]:
    """Return a description of each column, of which the page makes the rows again.

    Returns:
        `{"numbers": float64, "none": places without a value}`, or `{"values": those that differ,
        "at": uint8 or uint16, the place of each row's value among them}`, or `{"list": values}`;
        arrays are base64 of little-endian numbers.
    """
    return [pack_column(values) for values in zip(*rows, strict=True)]


def pack_column(values: Sequence[Any]) -> dict[str, Any]:
    """Return the description of a column."""
    kinds = set(map(type, values)) - {NONE}
    if kinds == {float}:
        none = [at for at, value in enumerate(values) if value is None]
        numbers = [0.0 if value is None else value for value in values] if none else values
        if all(map(math.isfinite, numbers)):
            return {"numbers": encoded(np.array(numbers, "<f8")), "none": none}
    # Of two kinds some values are the same to Python that are not to JSON, as 1 and True are.
    if len(kinds) <= 1 and kinds != {float} and all(map(is_hashable, kinds)):
        places = {value: at for at, value in enumerate(dict.fromkeys(values))}
        if len(places) <= MOST_VALUES:
            kind = "<u1" if len(places) <= FEW_VALUES else "<u2"
            at = np.array([places[value] for value in values], kind)
            return {"values": list(places), "at": encoded(at)}
    return {"list": list(values)}


def is_hashable(kind: type) -> bool:
    """Return whether values of a type can be keys."""
    return kind.__hash__ is not None


def encoded(array: np.ndarray) -> str:
    """Return the bytes of an array as base64."""
    return base64.b64encode(array.tobytes()).decode()
