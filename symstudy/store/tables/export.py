"""Rows in the forms that other programs read."""

import io
import json
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from symstudy.errors import StoreError
from symstudy.escaping import csv_text

__all__ = ["Csv", "to_csv", "to_json", "write_parquet"]


class Csv(NamedTuple):
    """Rows as CSV.

    Attributes:
        text: The rows, with a heading.
        quoted: Number of texts that begin with `'`, since spreadsheets would run them as formulas.
    """

    text: str
    quoted: int


def to_csv(table: pa.Table) -> Csv:
    """Return rows as CSV with a heading; lists become JSON, and no text begins a formula."""
    columns = [
        pa.chunked_array([pa.array([json.dumps(value) for value in column.to_pylist()])])
        if pa.types.is_nested(column.type)
        else column
        for column in table.columns
    ]
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


def to_json(table: pa.Table) -> str:
    """Return rows as a JSON list of objects."""
    return json.dumps(table.to_pylist(), indent=1, default=str) + "\n"


def write_parquet(table: pa.Table, path: Path) -> None:
    """Write rows to a Parquet file.

    Raises:
        StoreError: If the file cannot be written.
    """
    try:
        pq.write_table(table, path)
    except OSError as error:
        raise StoreError(
            f"--output must be writable, but {str(path)!r} is not: {error.strerror}."
        ) from error
