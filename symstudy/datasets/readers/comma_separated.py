"""Comma-separated text with a line of names, read exactly: a number is the nearest float64."""

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from symstudy.datasets.readers.table import Columns
from symstudy.datasets.readers.unpacked import open_unpacked

__all__ = ["open_csv"]

MISSING = frozenset({"", "NA", "N/A", "NaN", "nan", "null", "NULL", "None", "?"})
"""What stands for a missing number."""
TRUTHS = {"true": "1", "false": "0"}
ROWS = 20_000
"""Rows whose text is held at a time."""


def open_csv(path: Path) -> Columns:
    """Return the columns of a file.

    Raises:
        ValueError: If its first line does not name columns.
    """
    names = [name.strip() for name in next(lines_of(path), [])]
    if not names:
        raise ValueError("it is empty")
    if all(is_number(name) for name in names):
        raise ValueError(
            f"its first line must hold the names of the columns, but is {','.join(names[:5])!r}"
        )
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"two columns have the name {twice[0]!r}")

    def read(wanted: Sequence[str], text: Sequence[str]) -> dict[str, NDArray[Any]]:
        places = [names.index(name) for name in wanted]
        missing = [frozenset({""}) if name in text else MISSING for name in wanted]
        chunks: list[list[NDArray[Any]]] = [[] for _ in wanted]
        for rows in chunks_of(path, len(names)):
            for found, place, words in zip(chunks, places, missing, strict=True):
                column = [row[place].strip() for row in rows]
                found.append(np.array([None if each in words else each for each in column], object))
        return {
            name: converted(np.concatenate(found) if found else np.empty(0, object))
            for name, found in zip(wanted, chunks, strict=True)
        }

    return Columns(names, True, read)


def lines_of(path: Path) -> Iterator[list[str]]:
    """Yield the fields of each line; blank lines are left out.

    Raises:
        ValueError: If it is no text of UTF-8, or a quote is not closed.
    """
    with open_unpacked(path) as raw, io.TextIOWrapper(raw, "utf-8-sig", newline="") as text:
        reader = csv.reader(text, skipinitialspace=True, strict=True)
        try:
            yield from (row for row in reader if row)
        except csv.Error as error:
            raise ValueError(f"line {reader.line_num}: {error}") from error


def chunks_of(path: Path, width: int) -> Iterator[list[list[str]]]:
    """Yield the rows below the names, some at a time.

    Raises:
        ValueError: If one has another number of fields than there are names.
    """
    chunk: list[list[str]] = []
    for number, row in enumerate(lines_of(path)):
        if len(row) != width:
            raise ValueError(f"row {number} must have {width} fields, but has {len(row)}")
        if number:
            chunk.append(row)
        if len(chunk) == ROWS:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def converted(column: NDArray[Any]) -> NDArray[Any]:
    """Return a column of text and None as integers, numbers or truth values, if it can be."""
    is_missing = np.array([each is None for each in column], np.bool_)
    present = column[~is_missing]
    if len(present) and all(each.lower() in TRUTHS for each in present):
        present = np.array([TRUTHS[each.lower()] for each in present], object)
    integers = parsed(present, int) if not is_missing.any() else None
    if integers is not None and len(integers):
        return integers
    numbers = parsed(present, float)
    if numbers is None:
        return column
    whole = np.full(len(column), np.nan)
    whole[~is_missing] = numbers
    return whole


def parsed(texts: NDArray[Any], kind: Callable[[str], float]) -> NDArray[Any] | None:
    """Return texts as integers or floats of 64 bits; None if one is none, or does not fit."""
    if any("_" in each for each in texts):
        return None  # 1_0 is a text; Python would read 10
    try:
        return np.array([kind(each) for each in texts], np.int64 if kind is int else np.float64)
    except (ValueError, OverflowError):
        return None


def is_number(text: str) -> bool:
    """Return whether a text is a number; 1_0, which is one to Python, is none."""
    try:
        float(text)
    except ValueError:
        return False
    return "_" not in text
