"""What a run is called, and which random numbers belong to it.

A run is one cell (a point of the swept hyperparameters) with one seed. Its identifier is a hash of
the fields that change its result, so the same run has the same name in a plan, in a store and in
another study; running a study again runs what is missing. Its random streams are keyed by the seed
and a stream's name alone, so that cells which differ in, say, weight decay share teacher, data,
initialisation and batches, and can be compared in pairs.
"""

import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

REPLICA_SEEDS = 2**31
"""Seeds of replicas lie below this."""
IDENTITY_VERSION = 1
"""Raised when a field or a default changes its meaning: old results are then not used again."""


def canonical_json(value: Any) -> str:
    """Return the one JSON text of `value`: sorted keys, no spaces, shortest floats, no NaN."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def valid_json(value: Any, *, indent: int | None = None) -> str:
    """Return `value` as JSON that every program reads: NaN and infinity, which it lacks, are null.

    Whole numbers of any size stay numbers. What is no value of JSON, such as a date, or a decimal
    of more digits than a float has, becomes text.
    """
    return json.dumps(finite(value), indent=indent, default=str, allow_nan=False)


def finite(value: Any) -> Any:
    """Return a value with None in the place of every float that is not finite."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Decimal) and value == value.to_integral_value():
        return int(value)
    if isinstance(value, Mapping):
        return {str(key): finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return value


def digest(text: str) -> str:
    """Return 20 hexadecimal characters (80 bits) that identify `text`."""
    return hashlib.blake2b(text.encode(), digest_size=10).hexdigest()


def cell_id(config_json: str) -> str:
    """Return the identifier of the cell with the canonical configuration `config_json`."""
    return digest(f"cell|{IDENTITY_VERSION}|{config_json}")


def run_id(config_json: str, seed: int) -> str:
    """Return the identifier of the run of the cell `config_json` with `seed`."""
    return digest(f"run|{IDENTITY_VERSION}|{config_json}|{seed}")


def pack_id(run_ids: Iterable[str]) -> str:
    """Return the identifier of the pack that holds exactly the runs `run_ids`, in any order."""
    return digest("pack|" + "|".join(sorted(run_ids)))


def replica_seed(seed: int, replica: int) -> int:
    """Return the seed of what training draws in one of several runs on the same data.

    That of replica 0 is the seed of the run.
    """
    return seed if replica == 0 else stream_key(seed, f"replica {replica}") % REPLICA_SEEDS


def stream_key(seed: int, stream: str) -> int:
    """Return the 64-bit key of the random stream called `stream` of the runs with `seed`."""
    text = f"stream|{stream}|{seed}"
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")
