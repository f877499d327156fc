"""Many rows of an answer by column, as bytes: shorter than numbers as text, and read at once.

Five thousand cells are 370 kB as lists of JSON; to write and read them takes longer than to count.
"""

import base64
import math
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any, NamedTuple, overload

import numpy as np

__all__ = ["LEAST_ROWS", "Chosen", "Rows", "Some", "pack_rows"]

LEAST_ROWS = 500
"""Fewer rows are sent as lists."""
FEW_VALUES = 256
MOST_VALUES = 65_536
MOST_WHOLE = 2**31
NONE = type(None)


class Chosen(NamedTuple):
    """A column whose values are among some.

    Attributes:
        at: Place of each row's value, of shape (rows,).
        choices: Those that there can be.
    """

    at: np.ndarray
    choices: Sequence[Any]

    def to_list(self) -> list[Any]:
        """Return the values."""
        return [self.choices[at] for at in self.at.tolist()]

    def pack(self) -> dict[str, Any]:
        """Return the description of the column."""
        if len(self.choices) > MOST_VALUES:
            return pack_column(self.to_list())
        kind = "<u1" if len(self.choices) <= FEW_VALUES else "<u2"
        return {"values": list(self.choices), "at": encoded(self.at.astype(kind))}


class Some(NamedTuple):
    """A column of numbers, some of which may not be there.

    Attributes:
        numbers: Float64 or integers, of shape (rows,).
        there: Which are there, of the same shape.
    """

    numbers: np.ndarray
    there: np.ndarray

    def to_list(self) -> list[Any]:
        """Return the values, None where there is none."""
        numbers: list[Any] = self.numbers.tolist()
        if self.there.all():
            return numbers
        return [n if has else None for n, has in zip(numbers, self.there.tolist(), strict=True)]

    def pack(self) -> dict[str, Any]:
        """Return the description of the column."""
        numbers = np.where(self.there, self.numbers, 0)
        if numbers.dtype.kind == "f":
            none = np.flatnonzero(~self.there).tolist()
            is_finite = bool(np.isfinite(numbers).all())
            packed = {"numbers": encoded(numbers.astype("<f8")), "none": none}
            return packed if is_finite else pack_column(self.to_list())
        if self.there.all() and 0 <= numbers.min(initial=0) <= numbers.max(initial=0) < MOST_WHOLE:
            size = 1 if numbers.max(initial=0) < FEW_VALUES else 4
            return {"whole": encoded(numbers.astype(f"<u{size}")), "size": size}
        return pack_column(self.to_list())


class Rows(Sequence[tuple[Any, ...]]):
    """Rows that are kept as columns: they are made only where somebody looks at them.

    Attributes:
        columns: Of the same length.
    """

    def __init__(self, *columns: Chosen | Some) -> None:
        """See the class."""
        self.columns = columns

    @cached_property
    def made(self) -> list[tuple[Any, ...]]:
        """The rows."""
        return list(zip(*(column.to_list() for column in self.columns), strict=True))

    def __len__(self) -> int:
        """Return their number."""
        return len(self.columns[0][0])

    @overload
    def __getitem__(self, at: int) -> tuple[Any, ...]: ...

    @overload
    def __getitem__(self, at: slice) -> list[tuple[Any, ...]]: ...

    def __getitem__(self, at: int | slice) -> tuple[Any, ...] | list[tuple[Any, ...]]:
        """Return one, or some."""
        return self.made[at]

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        """Go through them."""
        return iter(self.made)


def pack_rows(rows: Sequence[Sequence[Any]]) -> list[dict[str, Any]]:
    """Return a description of each column, of which the page makes the rows again.

    Returns:
        `{"numbers": float64, "none": places without a value}`, or `{"whole": uint8 or
        uint32, "size": its bytes}`, or `{"values": those that differ, "at": uint8 or uint16, the
        place of each row's value among them}`, or `{"list": values}`; arrays are base64 of
        little-endian numbers.
    """
    if isinstance(rows, Rows):
        return [column.pack() for column in rows.columns]
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
