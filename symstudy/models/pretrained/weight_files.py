"""Tensors by name from files of weights, without running what a file may hold.

Two formats are read: safetensors, a header of JSON and raw numbers, and what `torch.save` writes,
whose pickle is loaded with `weights_only=True`: anything but tensors and plain containers is
refused. Tensors stay in the file until they are asked for, where the format allows it.
"""

import pickle
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from symstudy.errors import ModelError

__all__ = ["NamedTensors", "open_weights"]

WRAPPERS = ("state_dict", "model_state_dict", "model")
"""Names under which training scripts keep the weights beside other things."""
ZIP = b"PK\x03\x04"
"""What a file of `torch.save` begins with since torch 1.6."""
PICKLE = b"\x80\x02"
"""What it began with before."""
SHOWN_BYTES = 24


class NamedTensors(NamedTuple):
    """The tensors of a file, or of several.

    Attributes:
        shapes: Shape of each, by name.
        read: Returns the tensor of a name, on the CPU, in the precision of the file.
    """

    shapes: Mapping[str, tuple[int, ...]]
    read: Callable[[str], Tensor]


def open_weights(files: Iterable[Path]) -> NamedTensors:
    """Return the tensors of all `files` together.

    Args:
        files: Of safetensors or torch, told apart by how they begin and not by their names.

    Raises:
        ModelError: If one of them cannot be read, holds no weights, or would run code when read.
    """
    shapes: dict[str, tuple[int, ...]] = {}
    homes: dict[str, Callable[[str], Tensor]] = {}
    for file in files:
        part = open_file(file)
        shapes.update(part.shapes)
        homes.update(dict.fromkeys(part.shapes, part.read))
    return NamedTensors(shapes, lambda name: homes[name](name))


def open_file(path: Path) -> NamedTensors:
    """Return the tensors of one file.

    Raises:
        ModelError: As `open_weights`.
    """
    try:
        with path.open("rb") as file:
            begin = file.read(SHOWN_BYTES)
        # Eight bytes of length, then the JSON of the header.
        if begin[8:9] == b"{":
            return open_safetensors(path)
        if begin.startswith((ZIP, PICKLE)):
            return open_torch(path, is_zip=begin.startswith(ZIP))
    except OSError as error:
        raise ModelError(
            f"model.path must name weights that can be read, but {str(path)!r} cannot: {error}."
        ) from error
    raise ModelError(
        f"model.path must name a file of safetensors or torch, but {str(path)!r} is neither: it "
        f"begins with {begin!r}. A page or a pointer to the file is what an incomplete download "
        "leaves."
    )


def open_safetensors(path: Path) -> NamedTensors:
    """Return the tensors of a safetensors file."""
    try:
        with safe_open(path, framework="pt") as file:
            names = list(file.keys())
            shapes = {name: tuple(file.get_slice(name).get_shape()) for name in names}
    except SafetensorError as error:
        raise ModelError(
            f"model.path must name a whole file of safetensors, but {str(path)!r} is broken: "
            f"{error}. Download it again."
        ) from error

    def read(name: str) -> Tensor:
        with safe_open(path, framework="pt") as file:
            tensor: Tensor = file.get_tensor(name)
        return tensor

    return NamedTensors(shapes, read)


def open_torch(path: Path, *, is_zip: bool) -> NamedTensors:
    """Return the tensors of a file of `torch.save`; one of the zip format is mapped, not read."""
    try:
        loaded: Any = torch.load(path, map_location="cpu", weights_only=True, mmap=is_zip)
    except pickle.UnpicklingError as error:
        raise ModelError(
            f"model.path must name tensors alone, but {str(path)!r} holds what could run code when "
            "it is read, and was not read. Save its state_dict(), or take the safetensors of the "
            "same weights."
        ) from error
    except (RuntimeError, EOFError, ValueError) as error:
        raise ModelError(
            f"model.path must name a whole file of torch, but {str(path)!r} cannot be read: "
            f"{str(error).splitlines()[0]}. Download it again."
        ) from error
    tensors = tensors_of(loaded)
    if not tensors:
        kind = type(loaded).__name__
        keys = f" of {', '.join(map(str, list(loaded)[:5]))}" if isinstance(loaded, dict) else ""
        raise ModelError(
            f"model.path must name tensors by name, as of state_dict(), but {str(path)!r} holds a "
            f"{kind}{keys}."
        )
    return NamedTensors(
        {name: tuple(tensor.shape) for name, tensor in tensors.items()}, tensors.__getitem__
    )


def tensors_of(loaded: object) -> dict[str, Tensor]:
    """Return the tensors of a dictionary, or of the one that it wraps."""
    if not isinstance(loaded, dict):
        return {}
    for name in WRAPPERS:
        if isinstance(loaded.get(name), dict):
            return tensors_of(loaded[name])
    return {str(name): item for name, item in loaded.items() if isinstance(item, Tensor)}
