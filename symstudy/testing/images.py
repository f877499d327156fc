"""Small files of images in every format that `data.kind = "images"` reads, for tests."""

import gzip
import io
import pickle
import pickletools
import struct
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Images",
    "cifar_batch",
    "cifar_batch_of_python_2",
    "draw_images",
    "png",
    "write_idx",
    "write_pair",
    "write_tar",
]


class Images(NamedTuple):
    """Images as bytes, with a label each.

    Attributes:
        x: Pixels, a row an image.
        y: Labels.
    """

    x: NDArray[np.uint8]
    y: NDArray[np.int64]


def draw_images(
    count: int = 30, shape: tuple[int, ...] = (8, 8), classes: int = 3, seed: int = 0
) -> Images:
    """Return random images, each class in turn."""
    x = np.random.default_rng(seed).integers(0, 256, (count, *shape), dtype=np.uint8)
    return Images(x, np.arange(count) % classes)


def write_idx(path: Path, array: NDArray[Any]) -> None:
    """Write bytes as an idx file, packed if it ends in .gz."""
    head = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    content = head + array.astype(np.uint8).tobytes()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(content, mtime=0) if path.suffix == ".gz" else content)


def write_pair(folder: Path, images: Images, side: str = "train", end: str = "") -> Path:
    """Write grey images and their labels as MNIST has them; return the path of the images."""
    path = folder / f"{side}-images-idx3-ubyte{end}"
    write_idx(path, images.x)
    write_idx(folder / f"{side}-labels-idx1-ubyte{end}", images.y)
    return path


def cifar_batch(images: Images, protocol: int = 2) -> bytes:
    """Return the bytes of a pickled batch of CIFAR; images are `[samples, 3, 32, 32]`."""
    rows = images.x.reshape(len(images.x), -1)
    return pickle.dumps({b"data": rows, b"labels": images.y.tolist()}, protocol=protocol)


def cifar_batch_of_python_2(table: Mapping[str, Any]) -> bytes:
    """Return the bytes of a pickled table as Python 2 wrote it, and so the authors of CIFAR.

    All texts are strings of bytes there, and NumPy's functions are where they were then.
    """
    content = bytearray(pickle.dumps(dict(table), protocol=3))
    strings = {"B": b"T", "C": b"U", "X": b"T"}
    for code, _, place in pickletools.genops(bytes(content)):
        assert place is not None, "a pickle of bytes has places"
        if code.code in strings:
            content[place : place + 1] = strings[code.code]
    content[1] = 2
    return bytes(content).replace(b"numpy._core.", b"numpy.core.")


def write_tar(path: Path, files: Mapping[str, bytes]) -> None:
    """Write a packed folder of files of the given contents."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))


def png(image: NDArray[np.uint8]) -> bytes:
    """Return an image, grey or `[rows, columns, 3]`, as the bytes of a PNG."""
    from PIL import Image

    out = io.BytesIO()
    Image.fromarray(image).save(out, "png")
    return out.getvalue()
