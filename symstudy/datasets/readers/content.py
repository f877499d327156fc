"""What identifies the content of data files: the SHA-256 of their bytes, read once a process."""

import functools
import hashlib
import tarfile
import time
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from symstudy.datasets.readers.cifar import is_batch
from symstudy.datasets.readers.places import Source
from symstudy.datasets.readers.unpacked import open_unpacked
from symstudy.errors import DataError

__all__ = ["content_of"]

BLOCK = 1 << 22
SETTLED_NS = 2_000_000_000
"""Clocks of file systems tick at least so often."""


class Stamp(NamedTuple):
    """A file as it was when it was looked at: one that has changed has another stamp."""

    name: str
    path: str
    size: int
    changed_ns: int
    inode: int


def content_of(sources: Sequence[Source]) -> str:
    """Return the SHA-256 of files, with their names and lengths, in hexadecimal digits.

    A packed file counts as what it holds, so that packing it makes no other data set.

    Raises:
        DataError: If one cannot be read.
    """
    try:
        stamps = tuple(stamp_of(source) for source in sources)
        newest = max((stamp.changed_ns for stamp in stamps), default=0)
        # A file that was just written may be written again without its time being another.
        is_settled = time.time_ns() - newest > SETTLED_NS
        return hash_files(stamps) if is_settled else hash_files.__wrapped__(stamps)
    except (OSError, EOFError, tarfile.TarError, zlib.error) as error:
        raise DataError("kind", f"must be given files that can be read, but: {error}") from error


def stamp_of(source: Source) -> Stamp:
    """Return the stamp of a file."""
    status = source.path.stat()
    return Stamp(source.name, str(source.path), status.st_size, status.st_mtime_ns, status.st_ino)


@functools.lru_cache(maxsize=64)
def hash_files(stamps: tuple[Stamp, ...]) -> str:
    """Return the SHA-256 of the files behind `stamps`."""
    total = hashlib.sha256()
    for stamp in stamps:
        for name, inner in digests_of(stamp):
            total.update(f"{name.removesuffix('.gz')}|{inner}\n".encode())
    return total.hexdigest()


def digests_of(stamp: Stamp) -> Iterator[tuple[str, str]]:
    """Yield the name and the SHA-256 of a file; of an archive those of its batches of images."""
    if not stamp.path.endswith((".tar.gz", ".tgz")):
        with open_unpacked(Path(stamp.path)) as file:
            inner = hashlib.sha256()
            while block := file.read(BLOCK):
                inner.update(block)
            yield stamp.name, inner.hexdigest()
        return
    found = {}
    with tarfile.open(stamp.path, "r:gz") as archive:
        for member in archive:
            name = Path(member.name).name
            if member.isfile() and is_batch(name):
                content = archive.extractfile(member)
                assert content is not None, "the member is a file"
                found[name] = hashlib.sha256(content.read()).hexdigest()
    for name in sorted(found):
        yield f"{stamp.name}/{name}".removeprefix("/"), found[name]
