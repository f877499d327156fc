"""Rows in the forms that other programs read."""

import io
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from symstudy.errors import StoreError

__all__ = ["to_csv", "to_json", "write_parquet"]


def to_csv(table: pa.Table) -> str:
    """Return rows as CSV with a heading; lists become JSON."""
    columns = [
        pa.array([json.dumps(value) for value in column.to_pylist()])
        if pa.types.is_nested(column.type)
        else column
        for column in table.columns
    ]
    sink = io.BytesIO()
    pyarrow.csv.write_csv(pa.table(columns, names=table.column_names), sink)
    return sink.getvalue().decode()


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
