"""The states of packs in training, as files of the study: `checkpoints/<pack_id>.checkpoint`.

A file is a line that names the format, the head with its own checksum, the arrays byte for byte,
and a checksum over all before it:

    magic | length of head (8 bytes) | head (JSON) | digest of these three | arrays | digest of all

The head names the pack, its runs, the version of symstudy, the size of the file, and the name, type
and shape of every array. Nothing in a file is ever executed: arrays hold numbers, never objects.
Digests are BLAKE2b of 16 bytes; one that differs, or a length that does, makes a file damaged.
"""

import hashlib
import importlib.metadata
import json
import math
from collections.abc import Sequence
from typing import Any, NamedTuple, NoReturn

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import fs

from symstudy.errors import StoreError
from symstudy.store.files.folder import StudyFolder

__all__ = [
    "Checkpoint",
    "delete_checkpoint",
    "list_checkpoints",
    "read_checkpoint",
    "write_checkpoint",
]

FOLDER = "checkpoints"
SUFFIX = ".checkpoint"
MAGIC = b"symstudy checkpoint 1\n"
LENGTH_BYTES = 8
DIGEST_BYTES = 16
KINDS = "biuf"
"""Arrays of truths, integers and floats; no objects, no text."""

State = dict[str, NDArray[Any]]


class Checkpoint(NamedTuple):
    """A pack whose training may be gone on with.

    Attributes:
        pack_id: The pack.
        run_ids: Its runs, in order.
    """

    pack_id: str
    run_ids: tuple[str, ...]


class Head(NamedTuple):
    """What a checkpoint says of itself.

    Attributes:
        checkpoint: The pack and its runs.
        version: Of the symstudy that wrote it.
        arrays: Name, type and shape of each array.
        start: Where the arrays begin.
        size: Bytes of the whole file.
    """

    checkpoint: Checkpoint
    version: str
    arrays: list[tuple[str, str, list[int]]]
    start: int
    size: int


class DamagedError(ValueError):
    """A checkpoint that is not as it was written."""


def write_checkpoint(
    folder: StudyFolder, pack_id: str, run_ids: Sequence[str], state: State
) -> None:
    """Write the state of a pack in place of the one before, whole or not at all.

    Args:
        folder: Of the study.
        pack_id: The pack.
        run_ids: Its runs, in order.
        state: Arrays of numbers by name.

    Raises:
        StoreError: If it cannot be written.
        TypeError: If an array holds something else than numbers.
    """
    arrays = {name: np.ascontiguousarray(array) for name, array in state.items()}
    for name, array in arrays.items():
        if array.dtype.kind not in KINDS:
            raise TypeError(f"the arrays of a state must hold numbers, but {name!r} {array.dtype}")
    content = sum(array.nbytes for array in arrays.values())
    head = {
        "pack_id": pack_id,
        "run_ids": list(run_ids),
        "symstudy": importlib.metadata.version("symstudy"),
        "content": content,
        # ascontiguousarray makes numbers of no axes into rows: the shape is that of the state.
        "arrays": [[name, arrays[name].dtype.str, state[name].shape] for name in arrays],
    }
    text = json.dumps(head).encode()
    opening = MAGIC + len(text).to_bytes(LENGTH_BYTES, "little") + text
    parts: list[Any] = [opening, digest(opening)]
    parts.extend(array.reshape(-1).view(np.uint8) for array in arrays.values() if array.size)
    parts.append(digest(*parts))
    folder.write_bytes(b"".join(parts), FOLDER, f"{pack_id}{SUFFIX}")


def read_checkpoint(folder: StudyFolder, pack_id: str) -> State | None:
    """Return the state of a pack that an earlier attempt left, or None.

    None, too, if another version of symstudy wrote it, or if it is damaged; a damaged file is set
    aside under a name that ends in `.damaged`.

    Raises:
        StoreError: If the folder cannot be read.
    """
    path = path_of(folder, pack_id)
    if folder.filesystem.get_file_info(path).type != fs.FileType.File:
        return None
    content = folder.read_bytes(FOLDER, f"{pack_id}{SUFFIX}")
    try:
        return parse(content, pack_id)
    except DamagedError:
        set_aside(folder, path)
        return None


def delete_checkpoint(folder: StudyFolder, pack_id: str) -> None:
    """Delete the state of a pack that has ended, and what writers that were killed left of it.

    Raises:
        StoreError: If it cannot be deleted.
    """
    folder.delete(FOLDER, f"{pack_id}{SUFFIX}")
    if not folder.is_local:
        # An object store shows nothing of a put before its end.
        return
    for path in folder.list_files(FOLDER, ".tmp"):
        name = path.rsplit("/", 1)[-1]
        if name.startswith(f"{pack_id}{SUFFIX}."):
            folder.delete(FOLDER, name)


def list_checkpoints(folder: StudyFolder) -> list[Checkpoint]:
    """Return the packs that a state was left of, in the order of their names.

    Heads alone are read; a file whose head or length is not as it was written is set aside.

    Raises:
        StoreError: If the folder cannot be read.
    """
    found = []
    for path in folder.list_files(FOLDER, SUFFIX):
        try:
            found.append(read_head(folder, path).checkpoint)
        except DamagedError:
            set_aside(folder, path)
        except FileNotFoundError:
            # Its pack has ended since the folder was listed.
            continue
        except OSError as error:
            raise StoreError(
                f"the results must be readable, but {path!r} is not: {error.strerror or error}."
            ) from error
    return found


def read_head(folder: StudyFolder, path: str) -> Head:
    """Return the head of the file at `path`.

    Raises:
        DamagedError: If the head or the length of the file is not as it was written.
        OSError: If the file cannot be read.
    """
    prefix = len(MAGIC) + LENGTH_BYTES
    with folder.filesystem.open_input_file(path) as file:
        size = file.size()
        opening = file.read_at(min(prefix, size), 0)
        length = int.from_bytes(opening[len(MAGIC) :], "little")
        if len(opening) < prefix or prefix + length + 2 * DIGEST_BYTES > size:
            damaged("is cut short")
        opening = file.read_at(prefix + length + DIGEST_BYTES, 0)
    return parse_head(opening, size)


def parse_head(content: bytes, size: int) -> Head:
    """Return the head that `content`, the beginning of a file of `size` bytes, holds.

    Raises:
        DamagedError: If it is not as it was written.
    """
    prefix = len(MAGIC) + LENGTH_BYTES
    length = int.from_bytes(content[len(MAGIC) : prefix], "little")
    start = prefix + length + DIGEST_BYTES
    if not content.startswith(MAGIC) or start + DIGEST_BYTES > size:
        damaged("does not begin as a checkpoint")
    if content[prefix + length : start] != digest(content[: prefix + length]):
        damaged("has another head than was written")
    head = json.loads(content[prefix : prefix + length])
    if size != start + head["content"] + DIGEST_BYTES:
        damaged("has another length than was written")
    checkpoint = Checkpoint(head["pack_id"], tuple(head["run_ids"]))
    arrays = [(name, kind, shape) for name, kind, shape in head["arrays"]]
    if any(np.dtype(kind).kind not in KINDS for _, kind, _ in arrays):
        damaged("holds something else than numbers")
    return Head(checkpoint, head["symstudy"], arrays, start, size)


def parse(content: bytes, pack_id: str) -> State | None:
    """Return the state in the file `content`, or None if another version wrote it.

    Raises:
        DamagedError: If it is not as it was written, or is another pack's.
    """
    head = parse_head(content, len(content))
    view = memoryview(content)
    if view[-DIGEST_BYTES:] != digest(view[:-DIGEST_BYTES]):
        damaged("has other bytes than were written")
    if head.checkpoint.pack_id != pack_id:
        damaged(f"is of the pack {head.checkpoint.pack_id}")
    if head.version != importlib.metadata.version("symstudy"):
        return None
    state: State = {}
    at = head.start
    for name, kind, shape in head.arrays:
        count = math.prod(shape)
        array = np.frombuffer(content, kind, count, at) if count else np.empty(0, kind)
        # A copy: it may be written to, and lies where processors like it.
        state[name] = array.reshape(shape).copy()
        at += array.nbytes
    return state


def damaged(how: str) -> NoReturn:
    """Raise that a file is not as it was written."""
    raise DamagedError(f"a checkpoint must be as it was written, but this one {how}")


def digest(*parts: Any) -> bytes:
    """Return the checksum of `parts` in a row."""
    whole = hashlib.blake2b(digest_size=DIGEST_BYTES)
    for part in parts:
        whole.update(part)
    return whole.digest()


def path_of(folder: StudyFolder, pack_id: str) -> str:
    """Return where the state of a pack is."""
    return folder.join(FOLDER, f"{pack_id}{SUFFIX}")


def set_aside(folder: StudyFolder, path: str) -> None:
    """Rename a damaged file, unless another process has just done so.

    Raises:
        StoreError: If it cannot be renamed.
    """
    try:
        folder.set_aside(path)
    except FileNotFoundError:
        return
    except (OSError, pa.ArrowException) as error:
        if isinstance(error, StoreError):
            raise
        raise StoreError(
            f"the results must be writable, but the damaged {path!r} cannot be set aside: {error}."
        ) from error
