"""Encoded pictures (PNG, JPEG and others): a folder of class folders, or the bytes of each.

Pictures become grey or coloured as a whole: grey where every one is.
"""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from symstudy.datasets.readers.places import sources_below
from symstudy.datasets.readers.samples import Part

__all__ = ["Picture", "decode", "is_picture", "read_class_folders"]

ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm")
GREY = ("1", "L", "LA", "I;16", "I")
PARTS = frozenset({"train", "training", "val", "valid", "validation", "test", "testing"})
"""Names of folders that hold a part of a data set, with the folders of its classes in it."""
LARGEST = 1 << 26
"""Pixels of a picture that are read at most."""


class Picture(NamedTuple):
    """An encoded picture.

    Attributes:
        name: What it is called in messages.
        content: Its bytes, or the file that holds them.
    """

    name: str
    content: bytes | Path


def is_picture(path: Path) -> bool:
    """Return whether a file's name is that of a picture."""
    return path.suffix.lower() in ENDINGS


def read_class_folders(folder: Path, size: int) -> Part:
    """Return the pictures of a folder that has a folder for each class, with the folders' names.

    Args:
        folder: The folder.
        size: Side that pictures are brought to; 0 for their own, which must be the same for all.

    Raises:
        ValueError: If there are none, they differ in size, or the folders are parts of the data.
    """
    files = [each for each in sources_below(folder) if is_picture(each.path)]
    loose = [each.name for each in files if "/" not in each.name]
    if loose:
        raise ValueError(f"every picture must be in a folder of its class, but {loose[0]!r} is not")
    if not files:
        raise ValueError("it must have a folder of pictures for each class, but has no picture")
    first = {each.name.split("/", 1)[0] for each in files}
    if first <= PARTS and all(each.name.count("/") > 1 for each in files):
        raise ValueError(
            "it must have a folder for each class, but has a folder for each part of the data: "
            f"{', '.join(sorted(first))}. Type train = '.../train' and, where there is one, "
            "test = '.../test'"
        )
    labels = np.array([each.name.split("/", 1)[0] for each in files], dtype=object)
    return Part(decode([Picture(each.name, each.path) for each in files], size), labels)


def decode(pictures: Sequence[Picture], size: int) -> NDArray[np.uint8]:
    """Return pictures as bytes `[samples, channels, rows, columns]`.

    Raises:
        ValueError: If one cannot be read, or they differ in size.
    """
    modes = {mode_of(each) for each in pictures}
    mode = "L" if modes <= set(GREY) else "RGB"
    first = bytes_of(pictures[0], mode, size)
    out = np.empty((len(pictures), *first.shape), np.uint8)
    for place, picture in enumerate(pictures):
        image = bytes_of(picture, mode, size)
        if image.shape != first.shape:
            raise ValueError(
                f"pictures must be of one size, but {picture.name!r} has {list(image.shape[1:])} "
                f"and {pictures[0].name!r} {list(first.shape[1:])} pixels. Type size = 32, say"
            )
        out[place] = image
    return out


def opened(picture: Picture) -> Any:
    """Return a picture whose head has been read.

    Raises:
        ValueError: If it cannot be read, or is too large.
    """
    from PIL import Image

    content = picture.content
    try:
        image = Image.open(io.BytesIO(content) if isinstance(content, bytes) else content)
    except Exception as error:  # every decoder has errors of its own
        raise ValueError(f"{picture.name!r} must be a picture: {error}") from error
    if image.width * image.height > LARGEST:
        raise ValueError(f"{picture.name!r} must have at most {LARGEST} pixels")
    return image


def mode_of(picture: Picture) -> str:
    """Return the mode of a picture: how its pixels are stored.

    Raises:
        ValueError: If it cannot be read, or is too large.
    """
    with opened(picture) as image:
        mode: str = image.mode
        return mode


def bytes_of(picture: Picture, mode: str, size: int) -> NDArray[np.uint8]:
    """Return a picture as bytes `[channels, rows, columns]`.

    Raises:
        ValueError: If it cannot be read.
    """
    from PIL import Image

    with opened(picture) as image:
        try:
            # Grey of 16 bits has no mode of its own in Pillow's conversion: it would be cut off.
            deep = image.mode.startswith("I")
            values = np.asarray(image) // 257 if deep else None
            found = Image.fromarray(values.astype(np.uint8)) if values is not None else image
            found = found.convert(mode)
        except Exception as error:  # every decoder has errors of its own
            raise ValueError(f"{picture.name!r} must be a whole picture: {error}") from error
    if size and found.size != (size, size):
        found = found.resize((size, size), Image.Resampling.BILINEAR)
    array = np.asarray(found, np.uint8)
    return array[None] if array.ndim == 2 else array.transpose(2, 0, 1)
