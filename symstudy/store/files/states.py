"""The state of a pack as a safetensors file, with checksums in its metadata.

A safetensors file is the length of its head (8 bytes), the head (JSON: type, shape and place of
each array, and a table of texts), and the arrays byte for byte. The texts say which pack it is, and
hold two checksums: one of the arrays, and one of the head with zeros in the place of that checksum,
so that heads can be listed without reading the arrays. Any program that reads safetensors reads the
file. Nothing in it is ever executed, and nothing is taken for granted: a head may have the right
checksum and any content.
"""

import hashlib
import importlib.metadata
import itertools
import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, NoReturn, TypeGuard

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load

from symstudy.store.files.names import is_plain_name

__all__ = [
    "DamagedStateError",
    "Head",
    "State",
    "damaged",
    "parse_state",
    "read_head",
    "state_bytes",
    "symstudy_version",
]

State = dict[str, NDArray[Any]]

TYPES = {
    "BOOL": "|b1", "U8": "|u1", "I8": "|i1", "U16": "<u2", "I16": "<i2", "U32": "<u4", "I32": "<i4",
    "U64": "<u8", "I64": "<i8", "F16": "<f2", "F32": "<f4", "F64": "<f8",
}  # fmt: skip
"""Names of types in a safetensors file, and in numpy: truths, integers and floats alone."""
NAMES = {kind: name for name, kind in TYPES.items()}
FORMAT = "symstudy checkpoint 2"
LENGTH_BYTES = 8
ALIGNMENT = 8
LARGEST_HEAD = 100_000_000
"""Bytes; the limit of the format."""
METADATA = "__metadata__"
KEYS = {"format", "pack_id", "run_ids", "symstudy", "arrays_hash", "head_hash"}
UNKNOWN = "0" * 32
"""Stands in the place of the head's checksum while that is computed."""


class DamagedStateError(ValueError):
    """A file that is not a state as it was written."""


class Head(NamedTuple):
    """The head of the file of a state.

    Attributes:
        pack_id: Identifier of the pack.
        run_ids: Identifiers of its runs, in order.
        version: Version of the symstudy that wrote it.
        arrays_hash: Checksum of the arrays.
        names: Names of the arrays, in the state's order.
        start: Byte at which the arrays begin.
    """

    pack_id: str
    run_ids: tuple[str, ...]
    version: str
    arrays_hash: str
    names: tuple[str, ...]
    start: int


def state_bytes(pack_id: str, run_ids: Sequence[str], state: State) -> bytes:
    """Return the file of a state.

    Args:
        pack_id: Identifier of the pack.
        run_ids: Identifiers of its runs, in order.
        state: Arrays of numbers by name.

    Raises:
        TypeError: If an array holds something else than numbers.
    """
    arrays = {name: plain_array(name, array) for name, array in state.items()}
    # The widest first: then every array begins where processors read its numbers fastest.
    placed = sorted(arrays, key=lambda name: -arrays[name].itemsize)
    sizes = [arrays[name].nbytes for name in placed]
    ends = dict(zip(placed, itertools.accumulate(sizes), strict=True))
    content: list[Any] = [
        arrays[name].reshape(-1).view(np.uint8) for name in placed if arrays[name].size
    ]
    head: dict[str, Any] = {
        METADATA: {
            "format": FORMAT,
            "pack_id": pack_id,
            "run_ids": json.dumps(list(run_ids)),
            "symstudy": symstudy_version(),
            "arrays_hash": hash_of(content),
            "head_hash": UNKNOWN,
        }
    }
    for name, array in arrays.items():
        place = [ends[name] - array.nbytes, ends[name]]
        # ascontiguousarray makes numbers of no axes into rows: the shape is that of the state.
        shape = list(state[name].shape)
        head[name] = {"dtype": NAMES[array.dtype.str], "shape": shape, "data_offsets": place}
    text = json.dumps(head, separators=(",", ":")).encode()
    text += b" " * (-len(text) % ALIGNMENT)
    opening = len(text).to_bytes(LENGTH_BYTES, "little") + text
    sealed = opening.replace(hash_field(UNKNOWN), hash_field(hash_of([opening])), 1)
    return b"".join([sealed, *content])


def plain_array(name: str, array: NDArray[Any]) -> NDArray[Any]:
    """Return an array as its bytes stand in a file.

    Raises:
        TypeError: If it holds something else than numbers.
    """
    plain = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
    if plain.dtype.str not in NAMES:
        raise TypeError(f"the arrays of a state must hold numbers, but {name!r} is {array.dtype}")
    if name == METADATA:
        raise TypeError(f"an array of a state must not be called {METADATA!r}")
    return plain


def read_head(read_at: Callable[[int, int], bytes], size: int) -> Head:
    """Return the head of a file.

    Args:
        read_at: Returns so many bytes (second) from a place on (first).
        size: Size of the file, in bytes.

    Raises:
        DamagedStateError: If the head or the length of the file is not as it was written, or the
            head does not say what one must.
    """
    length = int.from_bytes(read_at(0, min(LENGTH_BYTES, size)), "little")
    if size < LENGTH_BYTES or length > min(LARGEST_HEAD, size - LENGTH_BYTES):
        damaged("is cut short")
    opening = read_at(0, LENGTH_BYTES + length)
    try:
        values = json.loads(opening[LENGTH_BYTES:])
    except (ValueError, RecursionError):
        damaged("does not begin with a head in JSON")
    if not isinstance(values, dict):
        damaged("has a head that is no table")
    about = texts_of(values.pop(METADATA, None))
    check_hash(opening, about["head_hash"])
    ends = [check_array(entry) for entry in values.values()]
    if size != len(opening) + max(ends, default=0):
        damaged("has another length than was written")
    run_ids = run_ids_of(about["run_ids"])
    if not is_plain_name(about["pack_id"]):
        damaged("names a pack that is no plain name")
    return Head(
        about["pack_id"],
        run_ids,
        about["symstudy"],
        about["arrays_hash"],
        tuple(values),
        len(opening),
    )


def parse_state(content: bytes, head: Head) -> State:
    """Return the arrays of a file whose head is `head`; they may be written to.

    Raises:
        DamagedStateError: If they are not as they were written.
    """
    if hash_of([memoryview(content)[head.start :]]) != head.arrays_hash:
        damaged("has other arrays than were written")
    try:
        arrays = load(content)
    except (SafetensorError, ValueError, TypeError, KeyError) as error:
        raise DamagedStateError(f"a state must be a safetensors file, but: {error}") from error
    return {name: arrays[name] for name in head.names}


def texts_of(values: object) -> Mapping[str, str]:
    """Return the table of texts of a head.

    Raises:
        DamagedStateError: If one is missing or no text.
    """
    if not isinstance(values, dict) or not values.keys() >= KEYS:
        damaged("has a head without what a state says of itself")
    if not all(isinstance(values[key], str) for key in KEYS):
        damaged("has a head with values of wrong types")
    if values["format"] != FORMAT:
        damaged(f"is of the format {values['format']!r}")
    return values


def run_ids_of(text: str) -> tuple[str, ...]:
    """Return the identifiers of runs in a head.

    Raises:
        DamagedStateError: If they are no list of different texts.
    """
    try:
        values = json.loads(text)
    except (ValueError, RecursionError):
        damaged("has a head whose runs are not JSON")
    is_list = isinstance(values, list) and all(isinstance(value, str) for value in values)
    if not is_list or not values or len(set(values)) < len(values):
        damaged("has a head whose runs are no list of identifiers")
    return tuple(values)


def check_hash(opening: bytes, told: str) -> None:
    """Raise unless `told` is the checksum of a head.

    Raises:
        DamagedStateError: If it is not.
    """
    unsealed = opening.replace(hash_field(told), hash_field(UNKNOWN), 1)
    if len(told) != len(UNKNOWN) or hash_of([unsealed]) != told:
        damaged("has another head than was written")


def check_array(entry: object) -> int:
    """Return the byte at which an array ends, counted from the first.

    Raises:
        DamagedStateError: If a head does not say type, shape and place of numbers.
    """
    if not isinstance(entry, dict):
        damaged("has a head that does not say what an array is")
    kind, shape, place = (entry.get(key) for key in ("dtype", "shape", "data_offsets"))
    if not isinstance(kind, str) or kind not in TYPES:
        damaged("holds something else than numbers")
    if not is_counts(shape) or not is_counts(place) or len(place) != 2:
        damaged("has a head with an array of no shape or place")
    if place[1] - place[0] != math.prod(shape) * np.dtype(TYPES[kind]).itemsize:
        damaged("has a head with an array that does not fit its place")
    return int(place[1])


def is_counts(values: object) -> TypeGuard[list[int]]:
    """Return whether `values` is a list of whole numbers that are not negative."""
    return isinstance(values, list) and all(
        type(value) is int and 0 <= value < 1 << 62 for value in values
    )


def symstudy_version() -> str:
    """Return the version of symstudy that runs; states of another one are not gone on with."""
    return importlib.metadata.version("symstudy")


def hash_field(value: str) -> bytes:
    """Return how the head's checksum stands in the head."""
    return b'"head_hash":"' + value.encode() + b'"'


def hash_of(parts: Sequence[Any]) -> str:
    """Return the checksum of some bytes in a row: BLAKE2b of 16 bytes, as hexadecimal digits."""
    whole = hashlib.blake2b(digest_size=16)
    for part in parts:
        whole.update(part)
    return whole.hexdigest()


def damaged(how: str) -> NoReturn:
    """Raise that a file is not as it was written."""
    raise DamagedStateError(f"a checkpoint must be as it was written, but this one {how}")
