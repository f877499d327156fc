"""Merged files: what one stands for, and the JSON form of a generation of them."""

import json
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from pyarrow import fs

from symstudy.identity import canonical_json, digest
from symstudy.store.files.conditional import Seen
from symstudy.store.files.names import is_plain_name
from symstudy.store.tables.schema import (
    CELLS,
    CERTIFICATES,
    HISTORY,
    LAYERS,
    PAIRS,
    PLAN,
    REPRESENTATIONS,
    RUNS,
    TABLES,
)

__all__ = [
    "OPTIONAL_TABLES",
    "PACK_TABLES",
    "PLAN_TABLES",
    "Generation",
    "Part",
    "PlanFile",
    "from_json",
    "plan_file",
    "sealed",
    "stem_of",
    "to_json",
    "unsealed",
]

PACK_TABLES = (RUNS.name, HISTORY.name, LAYERS.name, REPRESENTATIONS.name, CERTIFICATES.name)
"""Tables of which a pack has a file each, all of one name; the runs first."""
OPTIONAL_TABLES = (REPRESENTATIONS.name, CERTIFICATES.name)
"""Those of them that some packs have no file of."""
PLAN_TABLES = (PLAN.name, CELLS.name, PAIRS.name)
"""Tables of which a launch has a file each; they are merged each for itself."""


class PlanFile(NamedTuple):
    """A file of the plan, which may be written again with other rows: then it is another one.

    Attributes:
        name: Name without ending.
        size: Size in bytes.
        modified: Time of its last change, in nanoseconds since 1970; None if that is unknown.
    """

    name: str
    size: int
    modified: int | None


class Part(NamedTuple):
    """Merged files: one of every table that the same packs have, or one of the plan or its cells.

    Attributes:
        files: Path of the file of each table, within the study's folder.
        rows: Number of rows of each table.
        packs: Names of the packs whose own files it stands for. A pack of which a run has ended is
            never trained again, unless by a worker that did not know, and then its rows are the
            same.
        plans: Files of the plan, or of its cells, that it stands for.
        at: Time at which it was written, in seconds since 1970.
    """

    files: dict[str, str]
    rows: dict[str, int]
    packs: tuple[str, ...]
    plans: tuple[PlanFile, ...]
    at: float


class Generation(NamedTuple):
    """What the merged files of a study are.

    Attributes:
        name: Name of its folder; empty where nothing was ever merged.
        parts: The merged files that count.
        retired: Paths of merged files that counted once, and the time since when they do not.
        pointer: The pointer as it was read or written.
    """

    name: str = ""
    parts: tuple[Part, ...] = ()
    retired: Mapping[str, float] = {}
    pointer: Seen | None = None

    def cover(self, table: str) -> Callable[[fs.FileInfo], Part | None]:
        """Return what tells which part stands for a file in the folder of `table`."""
        if table in PLAN_TABLES:
            parts = [part for part in self.parts if table in part.files]
            plans = {plan: part for part in parts for plan in part.plans}
            return lambda info: plans.get(plan_file(info))
        packs = {pack: part for part in self.parts for pack in part.packs}
        return lambda info: packs.get(stem_of(info.path))

    def paths(self, table: str) -> list[str]:
        """Return the paths of the merged files of a table, within the study's folder."""
        return [part.files[table] for part in self.parts if table in part.files]


def stem_of(path: str) -> str:
    """Return the name of a file without its folders and its ending."""
    return path.rsplit("/", 1)[-1].removesuffix(".parquet")


def plan_file(info: fs.FileInfo) -> PlanFile:
    """Return what a file of the plan is known by."""
    return PlanFile(stem_of(info.path), info.size, info.mtime_ns)


def to_json(name: str, generation: Generation) -> bytes:
    """Return the file of a generation that is to be called `name`."""
    return sealed(
        {
            "generation": name,
            "parts": [part._asdict() for part in generation.parts],
            "retired": dict(generation.retired),
        }
    )


def from_json(name: str, content: bytes) -> Generation:
    """Return the generation `name`, of which `content` is the file.

    Raises:
        ValueError: If it is not as it was written, or names other files than one may.
    """
    values = unsealed(content)
    try:
        if values is None or values["generation"] != name:
            raise ValueError(name)
        parts = tuple(parse_part(part) for part in values["parts"])
        retired = {own_path(path): float(at) for path, at in values["retired"].items()}
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(name) from error
    return Generation(name, parts, retired)


def parse_part(values: dict[str, Any]) -> Part:
    """Return what a generation says of a part.

    Raises:
        ValueError: If it says something that cannot be.
        KeyError: If it lacks something.
        TypeError: If something is of a wrong type.
    """
    files = {table: own_path(path) for table, path in values["files"].items()}
    rows = {table: int(count) for table, count in values["rows"].items()}
    packs = tuple(values["packs"])
    plans = tuple(PlanFile(*plan) for plan in values["plans"])
    if not files or not files.keys() <= TABLES.keys() or rows.keys() != files.keys():
        raise ValueError
    if not all(is_plain_name(name) for name in (*packs, *(plan.name for plan in plans))):
        raise ValueError
    return Part(files, rows, packs, plans, float(values["at"]))


def own_path(path: str) -> str:
    """Return `path` if it can be one of a merged file.

    Raises:
        ValueError: If it cannot.
    """
    names = path.split("/")
    if not 2 <= len(names) <= 4 or not all(is_plain_name(name) for name in names):
        raise ValueError
    return path


def unsealed(content: bytes) -> dict[str, Any] | None:
    """Return a JSON object without its checksum; None if that is not the right one."""
    try:
        values = json.loads(content)
        is_sound = values.pop("checksum") == digest(canonical_json(values))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    return values if is_sound else None


def sealed(values: Mapping[str, Any]) -> bytes:
    """Return a JSON object with its checksum."""
    whole = {**values, "checksum": digest(canonical_json(dict(values)))}
    return (json.dumps(whole, indent=2) + "\n").encode()
