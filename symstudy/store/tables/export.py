"""Rows in the forms that other programs read, and the files that hold them."""

import io
import uuid
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from symstudy.errors import StoreError
from symstudy.identity import valid_json

__all__ = ["to_csv", "to_json", "to_parquet", "write_file"]


def to_csv(table: pa.Table) -> str:
    """Return rows as CSV with a heading.

    Lists become JSON, what CSV has no form for becomes text, and null is empty.
    """
    sink = io.BytesIO()
    columns = [csv_column(column) for column in table.columns]
    pyarrow.csv.write_csv(pa.table(columns, names=table.column_names), sink)
    return sink.getvalue().decode()


def csv_column(column: pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    """Return a column in a type that CSV can be written of."""
    if pa.types.is_nested(column.type):
        values = [None if value is None else valid_json(value) for value in column.to_pylist()]
        return pa.array(values, pa.string())
    try:
        pyarrow.csv.write_csv(pa.table({"x": column.slice(0, 1)}), io.BytesIO())
    except pa.ArrowException:
        values = [None if value is None else str(value) for value in column.to_pylist()]
        return pa.array(values, pa.string())
    return column


def to_json(table: pa.Table) -> str:
    """Return rows as a JSON list of objects; NaN and infinity, which JSON lacks, are null."""
    return valid_json(table.to_pylist(), indent=1) + "\n"


def to_parquet(table: pa.Table) -> bytes:
    """Return rows as the bytes of a Parquet file."""
    sink = io.BytesIO()
    pq.write_table(table, sink)
    return sink.getvalue()


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
