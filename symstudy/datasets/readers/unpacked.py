"""Files as they are, or unpacked where their name ends in .gz."""

import contextlib
import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

__all__ = ["open_unpacked"]


@contextlib.contextmanager
def open_unpacked(path: Path, *, is_packed: bool | None = None) -> Iterator[BinaryIO]:
    """Open a file for reading bytes, unpacked if it is packed; by default if it ends in .gz."""
    with path.open("rb") as raw:
        if not (path.suffix == ".gz" if is_packed is None else is_packed):
            yield raw
            return
        with gzip.GzipFile(fileobj=raw) as unpacked:
            yield cast("BinaryIO", unpacked)
