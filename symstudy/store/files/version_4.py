"""Merged files as version 4 of the tables had them: `compact.json` and files called `merged-*`.

A merged file of each table was written to `compacted/<table>/`; `compact.json` named it, and what
it replaced; after a time it was moved into the table's folder. It is found in either place.
"""

from typing import Any

from pyarrow import fs

from symstudy.store.files.folder import StudyFolder
from symstudy.store.files.generations import OLD_MANIFEST, damaged_error
from symstudy.store.files.names import is_plain_name
from symstudy.store.files.parts import Generation, Part, PlanFile, unsealed
from symstudy.store.tables.schema import PLAN, TABLES

__all__ = ["COMPACTED", "MERGED_PREFIX", "read_manifest"]

COMPACTED = "compacted"
MERGED_PREFIX = "merged-"


def read_manifest(folder: StudyFolder) -> Generation:
    """Return the merged files that `compact.json` names, as a generation without a name.

    Raises:
        DamagedGenerationError: If it is damaged.
        StoreError: If it cannot be read.
    """
    values = unsealed(folder.read_bytes(OLD_MANIFEST))
    try:
        parts = tuple(part_of(folder, item) for item in (values or {})["merged"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        path = folder.join(OLD_MANIFEST)
        raise damaged_error(folder, path, "but it is damaged") from error
    return Generation(parts=parts)


def part_of(folder: StudyFolder, item: dict[str, Any]) -> Part:
    """Return what `compact.json` says of the merged files of one name.

    Raises:
        ValueError: If it says something that cannot be.
        KeyError: If it lacks something.
        TypeError: If something is of a wrong type.
    """
    name, marks = item["name"], list(item["replaces"])
    rows = {table: int(count) for table, count in item["rows"].items()}
    if not is_plain_name(name) or not rows or not rows.keys() <= TABLES.keys():
        raise ValueError
    files = {table: find(folder, table, f"{name}.parquet") for table in rows}
    at = float(item["at"])
    if PLAN.name in rows:
        plans = tuple(plan_of(mark) for mark in marks if "/" in mark)
        # Merged files that were merged again are known by their names alone, and are gone.
        return Part(files, rows, (), plans, at)
    if not all(is_plain_name(mark) for mark in marks):
        raise ValueError
    return Part(files, rows, tuple(marks), (), at)


def plan_of(mark: str) -> PlanFile:
    """Return the file of the plan that a mark of name, size and time stands for.

    Raises:
        ValueError: If it stands for none.
    """
    name, size, modified = mark.split("/")
    if not is_plain_name(name):
        raise ValueError
    return PlanFile(name, int(size), None if modified == "None" else int(modified))


def find(folder: StudyFolder, table: str, file: str) -> str:
    """Return where a merged file is, within the study's folder."""
    places = (f"{COMPACTED}/{table}/{file}", f"{table}/{file}")
    infos = folder.filesystem.get_file_info([folder.join(place) for place in places])
    there = [
        place for place, info in zip(places, infos, strict=True) if info.type == fs.FileType.File
    ]
    return (there or places)[0]
