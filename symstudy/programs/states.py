"""The state that a program saves: one file, of a line of JSON and a safetensors file behind it.

The line says which run it is of, up to where its reports are kept with it, the checksum of the
rest, and the tree of dicts, lists and plain values in which the arrays belong. Nothing in it is
ever executed.
"""

import hashlib
import json
import os
import sys
import uuid
from pathlib import Path
from typing import Any, NamedTuple

__all__ = ["StateError", "StateHead", "read_head", "read_state", "write_state"]

FORMAT = "symstudy program state 1"


class StateError(ValueError):
    """A file that is not a state as it was saved."""


class StateHead(NamedTuple):
    """The head of a saved state.

    Attributes:
        run_id: Identifier of its run.
        reports: Name of the file of reports that it was saved beside.
        size: Bytes of it that had been written.
    """

    run_id: str
    reports: str
    size: int


def write_state(path: Path, head: StateHead, state: dict[str, Any]) -> None:
    """Write a state in place of the one before, whole or not at all.

    Raises:
        TypeError: If it holds something that is no array and no plain value.
        OSError: If it cannot be written.
    """
    if not isinstance(state, dict):
        raise TypeError(f"run.save must be given a dict, but got a {type(state).__name__}.")
    arrays: dict[str, Any] = {}
    tree = encoded(state, "state", arrays)
    content = array_bytes(arrays)
    about = {"format": FORMAT, **head._asdict(), "hash": checksum(content), "tree": tree}
    temporary = path.with_name(f"{path.name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(json.dumps(about).encode() + b"\n")
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def read_head(path: Path, run_id: str) -> StateHead:
    """Return the head of the state at `path`.

    Raises:
        StateError: If it is damaged, or another run's.
        OSError: If it cannot be read.
    """
    return split(path, run_id)[0]


def read_state(path: Path, run_id: str) -> dict[str, Any]:
    """Return the state at `path`.

    Raises:
        StateError: If it is damaged, or another run's.
        OSError: If it cannot be read.
    """
    _, tree, content = split(path, run_id)
    state: dict[str, Any] = decoded(tree, arrays_of(content, tree))
    return state


def split(path: Path, run_id: str) -> tuple[StateHead, Any, bytes]:
    """Return head, tree and arrays of a file.

    Raises:
        StateError: If it is damaged, or another run's.
    """
    line, _, content = path.read_bytes().partition(b"\n")
    try:
        about = json.loads(line)
        head = StateHead(*(about[name] for name in StateHead._fields))
        is_whole = about["format"] == FORMAT and about["hash"] == checksum(content)
        tree = about["tree"]
    except (ValueError, KeyError, TypeError):
        is_whole = False
    if not is_whole:
        raise StateError(f"a state must be as it was saved, but {str(path)!r} is damaged.")
    if head.run_id != run_id:
        raise StateError(f"{str(path)!r} must be of run {run_id}, but is of {head.run_id!r}.")
    return head, tree, content


def checksum(content: bytes) -> str:
    """Return the checksum of some bytes."""
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def is_tensor(value: Any) -> bool:
    """Return whether a value is a tensor of torch, which is not loaded for it."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor)


def is_array(value: Any) -> bool:
    """Return whether a value is an array of numpy, which is not loaded for it."""
    numpy = sys.modules.get("numpy")
    return numpy is not None and isinstance(value, numpy.ndarray)


def encoded(value: Any, place: str, arrays: dict[str, Any]) -> Any:
    """Return a value as JSON, its arrays put into `arrays` and named in their places.

    Raises:
        TypeError: If it holds something that is no array and no plain value.
    """
    if value is None or isinstance(value, bool | str) or type(value) in (int, float):
        return value
    if is_tensor(value) or (is_array(value) and value.dtype.kind in "biuf"):
        name = f"a{len(arrays)}"
        arrays[name] = value
        return {"array": name, "of": "torch" if is_tensor(value) else "numpy"}
    if isinstance(value, dict):
        pairs = [
            [encoded(key, f"{place} key", arrays), encoded(item, f"{place}[{key!r}]", arrays)]
            for key, item in value.items()
        ]
        return {"dict": pairs}
    if isinstance(value, list | tuple):
        items = [encoded(item, f"{place}[{i}]", arrays) for i, item in enumerate(value)]
        return {"list": items} if isinstance(value, list) else {"tuple": items}
    if hasattr(value, "item") and not hasattr(value, "__len__"):
        return encoded(value.item(), place, arrays)
    raise TypeError(
        "run.save must be given arrays, tensors, numbers, texts, None, and dicts, lists and tuples "
        f"of these, but {place} is a {type(value).__name__}."
    )


def decoded(tree: Any, arrays: dict[str, Any]) -> Any:
    """Return what `encoded` was given."""
    if not isinstance(tree, dict):
        return tree
    if "array" in tree:
        array = arrays[tree["array"]]
        return array.numpy() if tree["of"] == "numpy" and is_tensor(array) else array
    if "dict" in tree:
        return {decoded(key, arrays): decoded(item, arrays) for key, item in tree["dict"]}
    items = [decoded(item, arrays) for item in tree["list" if "list" in tree else "tuple"]]
    return items if "list" in tree else tuple(items)


def array_bytes(arrays: dict[str, Any]) -> bytes:
    """Return arrays as a safetensors file; with a tensor among them, all as tensors."""
    if not arrays:
        return b""
    if any(map(is_tensor, arrays.values())):
        import torch
        from safetensors.torch import save

        tensors = {
            name: (array if is_tensor(array) else torch.from_numpy(array.copy()))
            .detach()
            .cpu()
            .contiguous()
            .clone()
            for name, array in arrays.items()
        }
        return bytes(save(tensors))
    import numpy as np
    from safetensors.numpy import save as save_arrays

    return bytes(save_arrays({name: np.ascontiguousarray(a) for name, a in arrays.items()}))


def arrays_of(content: bytes, tree: Any) -> dict[str, Any]:
    """Return the arrays of a safetensors file, as tensors where the tree has one.

    Raises:
        StateError: If it is none.
    """
    if not content:
        return {}
    from safetensors import SafetensorError

    try:
        if '"of": "torch"' in json.dumps(tree):
            from safetensors.torch import load

            return dict(load(content))
        from safetensors.numpy import load as load_arrays

        return dict(load_arrays(content))
    except SafetensorError as error:
        raise StateError(
            f"the arrays of a state must be a safetensors file, but: {error}"
        ) from error
