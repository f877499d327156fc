"""Rows in the forms that other programs read, and the files that hold them."""

import io
import uuid
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from symstudy.errors import StoreError
from symstudy.escaping import csv_text
from symstudy.identity import valid_json

__all__ = ["Csv", "to_csv", "to_json", "to_json_lines", "to_parquet", "write_file"]


class Csv(NamedTuple):
    """Rows as CSV.

    Attributes:
        text: The rows, with a heading.
        quoted: Number of texts that begin with `'`, since spreadsheets would run them as formulas.
    """

    text: str
    quoted: int


def to_csv(table: pa.Table) -> Csv:
    """Return rows as CSV with a heading, in which no text begins a formula.

    Lists become JSON, what CSV has no form for becomes text, and null is empty.
    """
    columns = [csv_column(column) for column in table.columns]
    plain = [without_formulas(column) for column in columns]
    names = [csv_text(name) for name in table.column_names]
    quoted = sum(name != before for name, before in zip(names, table.column_names, strict=True))
    quoted += sum(map(num_changed, plain, columns))
    sink = io.BytesIO()
    pyarrow.csv.write_csv(pa.table(plain, names=names), sink)
    return Csv(sink.getvalue().decode(), quoted)


def without_formulas(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a column in which no text begins a formula; numbers are left alone."""
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        return column
    values = column.to_pylist()
    texts = [None if value is None else csv_text(value) for value in values]
    return column if texts == values else pa.chunked_array([pa.array(texts, pa.string())])


def num_changed(after: pa.ChunkedArray, before: pa.ChunkedArray) -> int:
    """Return the number of values in which two columns differ."""
    if after is before:
        return 0
    pairs = zip(after.to_pylist(), before.to_pylist(), strict=True)
    return sum(one != other for one, other in pairs)


def csv_column(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a column in a type that CSV can be written of."""
    if pa.types.is_nested(column.type):
        values = [None if value is None else valid_json(value) for value in column.to_pylist()]
        return pa.chunked_array([pa.array(values, pa.string())])
    try:
        pyarrow.csv.write_csv(pa.table({"x": column.slice(0, 1)}), io.BytesIO())
    except pa.ArrowException:
        values = [None if value is None else str(value) for value in column.to_pylist()]
        return pa.chunked_array([pa.array(values, pa.string())])
    return column


def to_json(table: pa.Table) -> str:
    """Return rows as a JSON list of objects; NaN and infinity, which JSON lacks, are null.

    Raises:
        StoreError: If a date is beyond those that Python has.
    """
    return valid_json(objects_of(table), indent=1) + "\n"


def to_json_lines(table: pa.Table) -> str:
    """Return rows as JSON Lines, an object a line; NaN and infinity are null.

    Raises:
        StoreError: If a date is beyond those that Python has.
    """
    return "".join(f"{valid_json(row)}\n" for row in objects_of(table))


def objects_of(table: pa.Table) -> list[dict[str, Any]]:
    """Return rows as Python objects.

    Raises:
        StoreError: If a date is beyond those that Python has.
    """
    try:
        rows: list[dict[str, Any]] = table.to_pylist()
    except (OverflowError, ValueError) as error:
        raise StoreError(
            f"a date must lie in the years 1 to 9999 to be written as JSON, but {error}. Type "
            "COLUMN::varchar in the query."
        ) from error
    return rows


def to_parquet(table: pa.Table) -> bytes:
    """Return rows as the bytes of a Parquet file.

    Raises:
        StoreError: If Parquet has no form for a column.
    """
    sink = io.BytesIO()
    try:
        pq.write_table(table, sink)
    except pa.ArrowNotImplementedError as error:
        kinds = {f.name: str(f.type) for f in table.schema if not is_in_parquet(f)}
        raise StoreError(
            f"a column must have a type that Parquet has, but got {kinds}. Type "
            f"{next(iter(kinds), 'COLUMN')}::varchar in the query."
        ) from error
    return sink.getvalue()


def is_in_parquet(field: pa.Field) -> bool:
    """Return whether Parquet has a form for a column."""
    try:
        pq.write_table(pa.schema([field]).empty_table(), io.BytesIO())
    except pa.ArrowNotImplementedError:
        return False
    return True


def write_file(content: bytes, path: Path) -> None:
    """Write a file whole or not at all.

    Raises:
        StoreError: If it cannot be written.
    """
    target = path.resolve()
    try:
        if target.exists() and not (target.is_file() or target.is_dir()):
            # A pipe or a device takes what it is given.
            target.write_bytes(content)
            return
        if target.is_dir():
            raise IsADirectoryError(0, "it is a folder")
        draft = target.with_name(f".{target.name}.{uuid.uuid4().hex}")
        try:
            draft.write_bytes(content)
            draft.replace(target)
        finally:
            draft.unlink(missing_ok=True)
    except OSError as error:
        reason = error.strerror or str(error)
        if not target.parent.is_dir():
            reason = f"there is no folder {str(target.parent)!r}. Type: mkdir -p '{target.parent}'"
        raise StoreError(
            f"--output must be a file that can be written, but {str(path)!r} is not: {reason}"
        ) from error
