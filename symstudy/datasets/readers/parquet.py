"""Parquet: columns of numbers and text, and images as Hugging Face writes them.

The one module beside `symstudy.store` that imports pyarrow.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from symstudy.datasets.readers.table import Columns, plain_column

__all__ = ["open_parquet", "read_image_columns"]


def open_parquet(path: Path) -> Columns:
    """Return the columns of a file of Parquet; of lists as arrays."""
    from pyarrow import parquet

    file = parquet.ParquetFile(path)

    def read(wanted: Sequence[str], _text: Sequence[str]) -> dict[str, NDArray[Any]]:
        table = file.read(columns=list(wanted))
        return {name: arrow_column(table.column(name), name) for name in wanted}

    return Columns(list(file.schema_arrow.names), True, read)


def arrow_column(column: Any, name: str) -> NDArray[Any]:
    """Return a column of Arrow as an array, lists of equal lengths as its further axes."""
    import pyarrow as pa

    kind = column.type
    if pa.types.is_dictionary(kind):
        column, kind = column.cast(kind.value_type), kind.value_type
    is_list = pa.types.is_list(kind) or pa.types.is_fixed_size_list(kind)
    if is_list or pa.types.is_large_list(kind):
        rows = column.to_pylist()
        if any(row is None for row in rows):
            raise ValueError(f"{name!r} lacks some of its lists")
        if len({np.shape(row) for row in rows}) > 1:
            raise ValueError(f"{name!r} must hold lists of one length")
        return plain_column(np.array(rows))
    if pa.types.is_integer(kind) and column.null_count == 0:
        return np.asarray(column.to_numpy())
    if pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_decimal(kind):
        if not pa.types.is_floating(kind):
            column = column.cast(pa.float64())
        return np.asarray(column.to_numpy())
    return plain_column(np.array(column.to_pylist(), dtype=object))


def read_image_columns(path: Path, image: str, target: str) -> tuple[list[bytes], NDArray[Any]]:
    """Return the encoded images and the labels of a file.

    Args:
        path: The file.
        image: Column of images, of bytes or of structures with a field `bytes`; the one that there
            is if empty.
        target: Column of labels; the one of integers or text that there is if empty.

    Raises:
        ValueError: If the file has no such columns, or an image has no bytes.
    """
    from pyarrow import parquet

    file = parquet.ParquetFile(path)
    schema = file.schema_arrow
    image = image or only([field.name for field in schema if holds_images(field.type)], "image")
    labels = [field.name for field in schema if holds_labels(field.type)]
    target = target or only(labels, "target")
    for name in (image, target):
        if name not in schema.names:
            raise ValueError(f"it has no column {name!r}, only {', '.join(schema.names)}")
    table = file.read(columns=[image, target])
    rows = table.column(image).to_pylist()
    found: list[Any] = [row.get("bytes") if isinstance(row, dict) else row for row in rows]
    if any(not isinstance(each, bytes) for each in found):
        row = next(i for i, each in enumerate(found) if not isinstance(each, bytes))
        raise ValueError(
            f"{image!r} must hold the bytes of an image in each row, but row {row} does not"
        )
    return found, arrow_column(table.column(target), target)


def holds_images(kind: Any) -> bool:
    """Return whether a type of Arrow is that of encoded images."""
    import pyarrow as pa

    is_struct = pa.types.is_struct(kind)
    inner = [kind.field(i).name for i in range(kind.num_fields)] if is_struct else []
    return bool("bytes" in inner or pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def holds_labels(kind: Any) -> bool:
    """Return whether a type of Arrow is that of classes."""
    import pyarrow as pa

    is_text = pa.types.is_string(kind) or pa.types.is_large_string(kind)
    return bool(is_text or pa.types.is_integer(kind) or pa.types.is_dictionary(kind))


def only(names: list[str], key: str) -> str:
    """Return the one name that there is.

    Raises:
        ValueError: If there is none, or there are several.
    """
    if len(names) != 1:
        found = ", ".join(names) or "none"
        raise ValueError(f"data.{key} must be given where not exactly one column fits: {found}")
    return names[0]
