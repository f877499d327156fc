"""Parquet files that carry hashes of all their bytes, and their narrow columns in front.

Between the last page and the footer Parquet allows any bytes; every reader of Parquet reads such a
file. There we put the columns that say which rows count, once more: to open a million runs in
thousands of files takes a second with them, and ten through footers of a hundred columns each. And
there stand hashes of the pages, of those columns and of the footer: whether a file is still as it
was written takes one pass over its bytes instead of decoding them. Page checksums, which are
written too, guard queries.
"""

import hashlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs

__all__ = [
    "BrokenFileError",
    "ReadAt",
    "find_broken",
    "has_frame",
    "is_sound",
    "read_keys",
    "read_seal",
    "read_whole",
    "seal",
]

MAGIC = b"PAR1"
NAME = b"symstudy seal 1:"
DIGEST = 16
"""Bytes of a hash."""
LENGTH = 8
"""Bytes of the length of the narrow columns."""
SEAL = len(NAME) + LENGTH + 3 * DIGEST
TAIL = 8
"""Bytes after the footer: its length and the magic."""
GLANCE = 1 << 16
"""Bytes of a file's end that are read at once: all of it but the pages, in most."""
THREADS = 8
"""Files that are looked at together; most of the time goes to waiting for the storage."""


ReadAt = Callable[[int, int], bytes]
"""From a place in a file and a count to so many bytes from there on."""


class BrokenFileError(ValueError):
    """A file is not as it was written."""


class Seal(NamedTuple):
    """Whether the parts of a sealed file are as they were written.

    Attributes:
        pages: The rows.
        keys: The narrow columns.
        footer: What tells where the rows are.
    """

    pages: bool
    keys: bool
    footer: bool


def seal(content: pa.Buffer, keys: pa.Table | None = None) -> bytes:
    """Return the Parquet file `content` with narrow columns and hashes before its footer."""
    view = memoryview(content)
    at = len(view) - TAIL - footer_bytes(view)
    block = memoryview(b"" if keys is None else to_block(keys))
    hashes = [hash_of(part) for part in (view[:at], block, view[at:])]
    length = len(block).to_bytes(LENGTH, "little")
    return b"".join((view[:at], block, NAME, length, *hashes, view[at:]))


def to_block(table: pa.Table) -> bytes:
    """Return a table in Arrow's own form, compressed as a whole, after its length."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        for batch in table.combine_chunks().to_batches():
            writer.write_batch(batch)
    plain = sink.getvalue()
    # Compressed column by column it would take ten times as long to read.
    packed: bytes = pa.Codec("zstd").compress(plain, asbytes=True)
    return len(plain).to_bytes(LENGTH, "little") + packed


def from_block(block: memoryview) -> pa.Table:
    """Return the table of a block."""
    size = int.from_bytes(block[:LENGTH], "little")
    plain = pa.Codec("zstd").decompress(block[LENGTH:], size)
    with pa.ipc.open_stream(plain) as reader:
        return reader.read_all()


def read_seal(content: bytes) -> Seal | None:
    """Return what the seal of a file says; None if the file has none."""
    view = memoryview(content)
    footer = len(view) - TAIL - footer_bytes(view)
    at = footer - SEAL
    if at < len(MAGIC) or view[at : at + len(NAME)] != NAME:
        return None
    length = int.from_bytes(view[at + len(NAME) : at + len(NAME) + LENGTH], "little")
    pages = max(at - length, 0)
    found = [hash_of(part) for part in (view[:pages], view[pages:at], view[footer:])]
    wanted = [view[footer - i * DIGEST :][:DIGEST] for i in (3, 2, 1)]
    return Seal(*(one == other for one, other in zip(found, wanted, strict=True)))


def read_keys(read_at: ReadAt, size: int) -> pa.Table | None:
    """Return the narrow columns of a file; None if it has none.

    Args:
        read_at: Reads the file.
        size: Of the file, in bytes.

    Raises:
        BrokenFileError: If the file is no whole Parquet file, or these columns are damaged.
    """
    start = max(size - GLANCE, 0)
    end = read_at(start, size - start)
    head = end[:4] if start == 0 else read_at(0, 4)
    if len(end) < size - start or not has_frame(head, end[-TAIL:], size):
        raise BrokenFileError
    footer = size - TAIL - footer_bytes(memoryview(end))
    at = footer - SEAL
    if at < len(MAGIC):
        return None
    mark = end[at - start :][:SEAL] if at >= start else read_at(at, SEAL)
    if mark[: len(NAME)] != NAME:
        return None
    length = int.from_bytes(mark[len(NAME) : len(NAME) + LENGTH], "little")
    if not 0 < length <= at:
        return None
    block = end[at - length - start : at - start] if at - length >= start else b""
    block = block or read_at(at - length, length)
    if hash_of(memoryview(block)) != mark[-2 * DIGEST : -DIGEST]:
        raise BrokenFileError
    return from_block(memoryview(block))


def is_sound(content: bytes) -> bool:
    """Return whether a Parquet file is as it was written.

    A file without a seal, which another program has written, is decoded with its checksums.
    """
    if not has_frame(content[:4], content[-TAIL:], len(content)):
        return False
    found = read_seal(content)
    if found is not None:
        return all(found)
    try:
        pq.read_table(pa.BufferReader(content), page_checksum_verification=True)
    except (OSError, pa.ArrowException):
        return False
    return True


def has_frame(head: bytes, tail: bytes, size: int) -> bool:
    """Return whether the first 4 and last 8 bytes of `size` are those of a Parquet file."""
    footer = int.from_bytes(tail[:4], "little")
    return head == tail[4:] == MAGIC and 0 < footer <= size - len(MAGIC) - TAIL


def footer_bytes(view: memoryview) -> int:
    """Return the length that a file gives for its footer."""
    return int.from_bytes(view[-TAIL:-4], "little")


def hash_of(part: memoryview) -> bytes:
    """Return the hash of some bytes."""
    return hashlib.blake2b(part, digest_size=DIGEST).digest()


def find_broken(
    check: Callable[[str], bool], paths: Sequence[str], *, threads: int = THREADS
) -> list[str]:
    """Return those of `paths` for which `check` is false, looked at several at a time."""

    def broken(start: int) -> list[str]:
        return [path for path in paths[start::threads] if not check(path)]

    if len(paths) < threads:
        return [path for path in paths if not check(path)]
    with ThreadPoolExecutor(threads) as pool:
        return sorted(path for part in pool.map(broken, range(threads)) for path in part)


def read_whole(filesystem: fs.FileSystem, path: str) -> bytes:
    """Return the bytes of a file.

    Raises:
        OSError: If it cannot be read.
    """
    with filesystem.open_input_file(path) as file:
        content: bytes = file.read()
    return content
