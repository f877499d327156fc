"""Files of named columns and arrays: csv, parquet, npz, npy and safetensors, read by name."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from symstudy.datasets.readers.comma_separated import open_csv
from symstudy.datasets.readers.parquet import open_parquet
from symstudy.datasets.readers.table import Columns, plain_column
from symstudy.errors import DataError

__all__ = ["FORMATS", "format_of", "open_columns"]

T = TypeVar("T")


def open_columns(path: Path, key: str) -> Columns:
    """Return the columns of a file, whose format its name tells.

    Args:
        path: The file.
        key: Key of `[data]` that names it, for messages.

    Raises:
        DataError: If it cannot be read.
    """
    opened = FORMATS[format_of(path, key)]
    columns = guarded(path, key, lambda: opened(path))

    def read(wanted: Sequence[str], text: Sequence[str]) -> dict[str, NDArray[Any]]:
        return guarded(path, key, lambda: columns.read(wanted, text))

    return columns._replace(read=read)


def guarded(path: Path, key: str, work: Callable[[], T]) -> T:
    """Return what `work` returns.

    Raises:
        DataError: If the file cannot be read.
    """
    try:
        return work()
    except Exception as error:  # every reader has errors of its own
        raise DataError(
            key, f"must name a readable file, but reading {str(path)!r} says: {error}"
        ) from error


def format_of(path: Path, key: str) -> str:
    """Return the end of a file's name that tells its format.

    Raises:
        DataError: If there is no such format.
    """
    name = path.name.lower()
    found = next((end for end in FORMATS if name.endswith(end)), "")
    if not found:
        raise DataError(key, f"must end in one of {', '.join(FORMATS)}, but got {path.name!r}")
    return found


def open_npz(path: Path) -> Columns:
    """Return the arrays of an archive of NumPy."""
    with np.load(path, allow_pickle=False) as archive:
        names = list(archive.files)

    def read(wanted: Sequence[str], _text: Sequence[str]) -> dict[str, NDArray[Any]]:
        with np.load(path, allow_pickle=False) as opened:
            return {name: plain_column(opened[name]) for name in wanted}

    return Columns(names, False, read)


def open_npy(path: Path) -> Columns:
    """Return the columns of one array of NumPy: its fields, or the whole of it as `x`."""
    array = np.load(path, mmap_mode="r", allow_pickle=False)
    fields = list(array.dtype.names or ())

    def read(wanted: Sequence[str], _text: Sequence[str]) -> dict[str, NDArray[Any]]:
        whole = np.load(path, allow_pickle=False)
        return {name: plain_column(whole[name] if fields else whole) for name in wanted}

    return Columns(fields or ["x"], bool(fields), read)


def open_safetensors(path: Path) -> Columns:
    """Return the tensors of a file of safetensors."""
    from safetensors import safe_open

    with safe_open(path, framework="np") as file:
        names = sorted(file.keys())

    def read(wanted: Sequence[str], _text: Sequence[str]) -> dict[str, NDArray[Any]]:
        with safe_open(path, framework="np") as opened:
            return {name: plain_column(opened.get_tensor(name)) for name in wanted}

    return Columns(names, False, read)


FORMATS: dict[str, Callable[[Path], Columns]] = {
    ".npz": open_npz,
    ".npy": open_npy,
    ".parquet": open_parquet,
    ".csv": open_csv,
    ".csv.gz": open_csv,
    ".safetensors": open_safetensors,
}
"""What opens a file, by the end of its name."""
