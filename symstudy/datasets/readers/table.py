"""Columns and arrays of a file, by name, whatever its format.

A column holds a number, a truth value or a text a row; an array has further axes. What is missing
is NaN in numbers and None in text.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from symstudy.errors import DataError, choices

__all__ = ["Columns", "is_missing", "pick", "plain_column"]


class Columns(NamedTuple):
    """The columns of a file.

    Attributes:
        names: Their names, in order.
        is_table: Whether a row is a sample and every column belongs to it, as in csv and parquet;
            an archive of arrays may hold anything.
        read: Returns the columns of given names, the second argument those that may be text.
    """

    names: list[str]
    is_table: bool
    read: Callable[[Sequence[str], Sequence[str]], dict[str, NDArray[Any]]]


def plain_column(values: NDArray[Any]) -> NDArray[Any]:
    """Return a column with truth values as 0 and 1, and None where a text is missing."""
    if values.dtype.kind == "b":
        return values.astype(np.int64)
    if values.dtype.kind != "O":
        return values
    found = [None if is_nothing(value) else value for value in values.tolist()]
    if all(value is None or isinstance(value, bool) for value in found):
        numbers = [np.nan if value is None else float(value) for value in found]
        return np.array(numbers)
    return np.array(found, dtype=object)


def is_nothing(value: object) -> bool:
    """Return whether a value of a column of objects is missing."""
    return value is None or (isinstance(value, float) and math.isnan(value))


def pick(columns: Columns, wanted: Sequence[str], key: str, path: str) -> list[str]:
    """Return the names that are `wanted` of a file.

    Raises:
        DataError: If it has no such column or array.
    """
    for name in wanted:
        if name not in columns.names:
            noun = "columns" if columns.is_table else "arrays"
            raise DataError(
                key,
                f"must name {noun} of {path!r}, but got {name!r}. {choices(name, columns.names)}",
            )
    return list(wanted)


def is_missing(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Return which rows lack a value."""
    if values.dtype.kind == "f":
        found: NDArray[np.bool_] = np.isnan(values).any(axis=tuple(range(1, values.ndim)))
        return found
    if values.dtype.kind == "O":
        return np.array([value is None for value in values.tolist()], np.bool_)
    return np.zeros(len(values), np.bool_)
