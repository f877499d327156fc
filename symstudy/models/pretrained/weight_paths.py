"""Where the files of trained weights are, and what identifies their content; needs no torch.

A path names a file of weights; the index of weights that are cut into several files, as Hugging
Face writes it; or a folder that holds one of these under its usual name.
"""

import functools
import hashlib
import json
import time
from pathlib import Path
from typing import NamedTuple

from symstudy.errors import ModelError

__all__ = ["WeightPaths", "content_of", "find_weights", "is_there", "size_of"]

USUAL_NAMES = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
)
"""What a folder of weights holds, the first that is there."""


SETTLED_NS = 2_000_000_000
"""Clocks of file systems tick at least so often."""


class WeightPaths(NamedTuple):
    """The files behind a path.

    Attributes:
        files: Files of weights, in the order of their names.
        folder: The folder that they are in, and a `config.json` beside them perhaps.
    """

    files: tuple[Path, ...]
    folder: Path


def is_there(path: str) -> bool:
    """Return whether there is a file or a folder at `path`."""
    return Path(path).expanduser().exists()


def find_weights(path: str) -> WeightPaths:
    """Return the files behind `path`.

    Raises:
        ModelError: If there are none, or an index names one that is missing.
    """
    found = Path(path).expanduser()
    if found.is_dir():
        names = [name for name in USUAL_NAMES if (found / name).is_file()]
        if not names:
            raise ModelError(
                f"model.path must hold one of {', '.join(USUAL_NAMES)}, but the folder {path!r} "
                "holds none. Name the file itself."
            )
        found /= names[0]
    if not found.is_file():
        raise ModelError(
            f"model.path must name a file of weights, but there is none at {path!r}. Download it "
            "first, and give its path from here or from the root."
        )
    if found.suffix != ".json":
        return WeightPaths((found,), found.parent)
    try:
        parts = sorted(set(json.loads(found.read_bytes())["weight_map"].values()))
        files = tuple(found.parent / Path(part).name for part in parts)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(
            f"model.path must name weights or an index with a weight_map, but {path!r} is neither."
        ) from error
    missing = [file.name for file in files if not file.is_file()]
    if missing or not files:
        raise ModelError(
            f"every file of the index {path!r} must lie beside it, but {len(missing)} of "
            f"{len(files)} do not, {(missing or ['none'])[0]} among them."
        )
    return WeightPaths(files, found.parent)


def size_of(path: str) -> int:
    """Return how many bytes the files behind `path` have; 0 where they cannot be found."""
    try:
        return sum(file.stat().st_size for file in find_weights(path).files)
    except (ModelError, OSError):
        return 0


def content_of(path: str) -> str:
    """Return the SHA-256 of the files behind `path`, one after another, in hexadecimal digits.

    Raises:
        ModelError: If there are none, or they cannot be read.
    """
    try:
        stamps = tuple(
            (str(file), file.stat().st_size, file.stat().st_mtime_ns)
            for file in find_weights(path).files
        )
        newest = max(changed for _, _, changed in stamps)
        # A file that was just written may be written again without its time being another.
        is_settled = time.time_ns() - newest > SETTLED_NS
        return hash_files(stamps) if is_settled else hash_files.__wrapped__(stamps)
    except OSError as error:
        raise ModelError(
            f"model.path must name weights that can be read, but {path!r} cannot: {error}."
        ) from error


@functools.lru_cache(maxsize=64)
def hash_files(stamps: tuple[tuple[str, int, int], ...]) -> str:
    """Return the SHA-256 of files given by path, size and time: a changed file is read anew."""
    total = hashlib.sha256()
    for path, _, _ in stamps:
        with Path(path).open("rb") as file:
            while block := file.read(1 << 22):
                total.update(block)
    return total.hexdigest()
