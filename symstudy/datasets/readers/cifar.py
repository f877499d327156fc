"""The formats of CIFAR: batches pickled by Python, or of bytes; in a folder or a packed one.

A pickle can run any code. These are read by an unpickler that knows NumPy arrays and plain values
and refuses everything else.
"""

import io
import pickle
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from symstudy.datasets.readers.samples import Part, joined

__all__ = ["Batch", "is_batch", "is_cifar", "read_batches", "read_cifar"]

SIDE = 32
PIXELS = 3 * SIDE * SIDE


class PlainUnpickler(pickle.Unpickler):
    """An unpickler of NumPy arrays and plain values."""

    allowed = frozenset(
        {
            ("numpy.core.multiarray", "_reconstruct"),
            ("numpy._core.multiarray", "_reconstruct"),
            ("numpy.core.numeric", "_frombuffer"),
            ("numpy._core.numeric", "_frombuffer"),
            ("numpy", "ndarray"),
            ("numpy", "dtype"),
            ("_codecs", "encode"),
        }
    )

    def find_class(self, module: str, name: str) -> Any:
        """Return what an array is rebuilt with; refuse everything else."""
        if (module, name) not in self.allowed:
            raise pickle.UnpicklingError(
                f"it must hold arrays and plain values alone, but names {module}.{name}"
            )
        if name == "_reconstruct":
            return reconstructed
        if name == "_frombuffer":
            return from_buffer
        return super().find_class(module, name)


def reconstructed(kind: type, shape: tuple[int, ...], code: bytes) -> Any:
    """Return an empty array, which the pickle then fills.

    Raises:
        pickle.UnpicklingError: If it is to be anything but an array.
    """
    if kind is not np.ndarray:
        raise pickle.UnpicklingError(f"it must hold arrays, but got a {kind.__name__}")
    return np.ndarray.__new__(np.ndarray, shape, np.dtype(code.decode("latin1")))


def from_buffer(
    content: bytes, kind: np.dtype[Any], shape: tuple[int, ...], order: Literal["C", "F"]
) -> NDArray[Any]:
    """Return an array of bytes, as newer pickles have them."""
    return np.frombuffer(content, kind).reshape(shape, order=order)


def read_plain(content: bytes) -> dict[str, Any]:
    """Return the table that a pickle holds, its keys as text.

    Raises:
        ValueError: If it holds anything else.
    """
    try:
        found = PlainUnpickler(io.BytesIO(content), encoding="bytes").load()
    except Exception as error:  # a damaged pickle raises whatever it likes
        raise ValueError(f"it is no batch of CIFAR that can be read safely: {error}") from error
    if not isinstance(found, dict):
        raise ValueError("it must hold a table of data and labels")  # noqa: TRY004
    return {
        key.decode("latin1") if isinstance(key, bytes) else str(key): value
        for key, value in found.items()
    }


def pickled_batch(content: bytes) -> Part:
    """Return the images and labels of a pickled batch; of CIFAR-100 the fine labels.

    Raises:
        ValueError: If it is none.
    """
    table = read_plain(content)
    labels = table.get("labels", table.get("fine_labels"))
    data = table.get("data")
    if labels is None or not isinstance(data, np.ndarray) or data.dtype != np.uint8:
        raise ValueError("it must hold data, of bytes, and labels or fine_labels")
    x = data.reshape(-1, 3, SIDE, SIDE)
    y = np.asarray(labels, np.int64).reshape(-1)
    if len(x) != len(y):
        raise ValueError(f"it has {len(x)} images and {len(y)} labels")
    return Part(x, y)


def bytes_batch(content: bytes) -> Part:
    """Return the images and labels of a batch of bytes: a label, or two, before each image.

    Raises:
        ValueError: If it is none.
    """
    raw = np.frombuffer(content, np.uint8)
    for labels in (1, 2):
        if len(raw) and len(raw) % (PIXELS + labels) == 0:
            rows = raw.reshape(-1, PIXELS + labels)
            x = rows[:, labels:].reshape(-1, 3, SIDE, SIDE)
            return Part(x, rows[:, labels - 1].astype(np.int64))
    raise ValueError(f"its {len(raw)} bytes are no images of {PIXELS} bytes with labels")


class Batch(NamedTuple):
    """A file of a batch, in a folder or a packed one.

    Attributes:
        name: Name of the file.
        content: Returns what it holds.
    """

    name: str
    content: Callable[[], bytes]


def is_cifar(path: Path) -> bool:
    """Return whether a path names CIFAR: a folder of batches, a packed one, or one batch."""
    name = path.name.lower()
    if path.is_dir():
        return any(is_batch(file.name) and file.is_file() for file in path.iterdir())
    return name.endswith((".tar.gz", ".tgz", ".bin")) or is_batch(name)


def is_batch(name: str) -> bool:
    """Return whether a file's name is that of a batch."""
    stem = name.removesuffix(".bin")
    return stem in {"train", "test", "test_batch"} or stem.startswith("data_batch")


def read_cifar(path: Path) -> dict[str, Part]:
    """Return the samples of a folder of batches or of a packed one: `train`, `test` or both.

    Raises:
        ValueError: If it holds none, or damaged ones.
    """
    if path.is_file() and path.name.lower().endswith((".tar.gz", ".tgz")):
        with tarfile.open(path, "r:gz") as archive:
            batches = [
                Batch(Path(member.name).name, content_from(archive, member))
                for member in archive.getmembers()
                if member.isfile() and is_batch(Path(member.name).name)
            ]
            return read_batches(batches)
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    return read_batches(
        [Batch(file.name, file.read_bytes) for file in files if is_batch(file.name)]
        or [Batch(file.name, file.read_bytes) for file in files if file.suffix == ".bin"]
    )


def content_from(archive: tarfile.TarFile, member: tarfile.TarInfo) -> Callable[[], bytes]:
    """Return what reads a member of an archive; nothing is unpacked on the disk."""

    def read() -> bytes:
        file = archive.extractfile(member)
        assert file is not None, "the member is a file"
        return file.read()

    return read


def read_batches(batches: list[Batch]) -> dict[str, Part]:
    """Return the samples of batches, in the order of their names, for training and for the test.

    Raises:
        ValueError: If there are none, or one is damaged.
    """
    found: dict[str, list[Part]] = {}
    for batch in sorted(batches, key=lambda each: each.name):
        read = bytes_batch if batch.name.endswith(".bin") else pickled_batch
        side = "test" if batch.name.startswith("test") else "train"
        try:
            found.setdefault(side, []).append(read(batch.content()))
        except ValueError as error:
            raise ValueError(f"{batch.name!r}: {error}") from error
    if not found:
        raise ValueError("it has no batches: data_batch_1, ..., test_batch, or train and test")
    return {side: joined(parts) for side, parts in found.items()}
