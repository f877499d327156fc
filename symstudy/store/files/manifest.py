"""Which files a table consists of.

A table is a folder of Parquet files, one a pack, until `symstudy compact` merges small ones. It
writes a merged file of every table to `compacted/` and then, in one step, `compact.json`, which
names the merged files and what they replace. Whoever reads tables lists them here: a file that is
replaced is skipped, a merged one counts only if it is named. Before that step the results are the
old files and after it the new ones, whoever dies. Later the replaced files are deleted and the
merged ones moved beside the others; a merged file is found in either place.
"""

import json
import time
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, TypeVar

from pyarrow import fs

from symstudy.errors import StoreError
from symstudy.identity import canonical_json, digest
from symstudy.store.files.folder import StudyFolder
from symstudy.store.tables.schema import CELLS, CERTIFICATES, HISTORY, LAYERS, PLAN, RUNS, TABLES

__all__ = [
    "ATTEMPTS",
    "COMPACTED",
    "MANIFEST",
    "MERGED_PREFIX",
    "PACK_TABLES",
    "PLAN_TABLES",
    "Listing",
    "Manifest",
    "Merged",
    "list_table",
    "list_tables",
    "mark_of",
    "read_again",
    "read_manifest",
    "stem_of",
    "write_manifest",
]

MANIFEST = "compact.json"
COMPACTED = "compacted"
PACK_TABLES = (RUNS.name, HISTORY.name, LAYERS.name, CERTIFICATES.name)
"""Tables of which a pack has a file each, all of one name; the runs first."""
PLAN_TABLES = (PLAN.name, CELLS.name)
"""Tables of which a launch has a file each; they are merged each for itself."""
MERGED_PREFIX = "merged-"
ATTEMPTS = 50
"""So often a reader begins anew when files are merged under its hands."""

T = TypeVar("T")


class Merged(NamedTuple):
    """Files that stand for many: one of every table, all of one name.

    Attributes:
        name: The name, without ending.
        at: When it was written, in seconds since 1970.
        rows: Number of rows of each table.
        replaces: Marks of the files whose rows they hold; see `mark_of`.
    """

    name: str
    at: float
    rows: dict[str, int]
    replaces: tuple[str, ...]


class Manifest(NamedTuple):
    """What `compact.json` says.

    Attributes:
        merged: Merged files that are valid.
        text: The file as it was read; empty if there is none.
    """

    merged: tuple[Merged, ...] = ()
    text: bytes = b""

    def replaced(self, table: str) -> set[str]:
        """Return the marks of the files of `table` that are not to be read."""
        return {mark for item in self.merged if table in item.rows for mark in item.replaces}


class Listing(NamedTuple):
    """The files of a study's tables.

    Attributes:
        files: Of each table.
        lost: Merged files that `compact.json` names and that are not there.
    """

    files: dict[str, list[fs.FileInfo]]
    lost: list[str]

    def paths(self, table: str) -> list[str]:
        """Return the paths of the files of a table."""
        return [info.path for info in self.files[table]]


def stem_of(path: str) -> str:
    """Return the name of a file without its folders and its ending."""
    return path.rsplit("/", 1)[-1].removesuffix(".parquet")


def mark_of(table: str, info: fs.FileInfo) -> str:
    """Return what a replaced file is known by.

    A file of a pack by its name: a pack of which a run has ended is never trained again, unless by
    a worker that did not know, and then its rows are the same. A file of the plan or of its cells
    by its size and time too: it may be written again with other rows. A merged file never is.
    """
    stem = stem_of(info.path)
    if table in PLAN_TABLES and not stem.startswith(MERGED_PREFIX):
        return f"{stem}/{info.size}/{info.mtime_ns}"
    return stem


def read_manifest(folder: StudyFolder) -> Manifest:
    """Return the manifest of a study; empty if nothing was ever merged.

    Raises:
        StoreError: If it cannot be read, or is damaged.
    """
    info = folder.filesystem.get_file_info(folder.join(MANIFEST))
    if info.type != fs.FileType.File:
        return Manifest()
    text = folder.read_bytes(MANIFEST)
    try:
        values = json.loads(text)
        is_sound = values.pop("checksum") == digest(canonical_json(values))
        merged = tuple(
            Merged(item["name"], item["at"], item["rows"], tuple(item["replaces"]))
            for item in values["merged"]
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        is_sound = False
    if not is_sound:
        raise StoreError(
            f"{folder.join(MANIFEST)!r} must be as symstudy wrote it, but it is damaged. Run the "
            "study again: it is set aside and made anew from the merged files."
        )
    return Manifest(merged, text)


def write_manifest(folder: StudyFolder, merged: Iterable[Merged]) -> Manifest:
    """Write the manifest: the one step by which merged files come to count.

    Raises:
        StoreError: If it cannot be written.
    """
    values = {"version": 1, "merged": [item._asdict() for item in merged]}
    values["checksum"] = digest(canonical_json(values))
    folder.write_json(values, MANIFEST)
    return read_manifest(folder)


def list_tables(folder: StudyFolder, tables: Sequence[str] = tuple(TABLES)) -> Listing:
    """Return the files that `tables` consist of, all as of one moment of the manifest.

    Raises:
        StoreError: If the results cannot be read, or their manifest is damaged.
    """
    for _ in range(ATTEMPTS):
        manifest = read_manifest(folder)
        files: dict[str, list[fs.FileInfo]] = {}
        lost: list[str] = []
        for table in tables:
            files[table], missing = list_table(folder, table, manifest)
            lost.extend(missing)
        # Files are deleted only after the manifest has changed.
        if read_manifest(folder).text == manifest.text:
            return Listing(files, lost)
    raise StoreError(f"{folder.path!r} must hold still for a moment, but its files keep changing.")


def list_table(
    folder: StudyFolder, table: str, manifest: Manifest
) -> tuple[list[fs.FileInfo], list[str]]:
    """Return the files of a table, and the paths of merged ones that are not there."""
    named = {item.name for item in manifest.merged if table in item.rows}
    # In this order, since a merged file moves from the first place to the second.
    waiting = folder.list_infos(f"{COMPACTED}/{table}", ".parquet") if named else []
    replaced = manifest.replaced(table)
    found = {
        stem_of(info.path): info
        for info in folder.list_infos(table, ".parquet")
        if mark_of(table, info) not in replaced
    }
    for info in waiting:
        if stem_of(info.path) in named:
            found.setdefault(stem_of(info.path), info)
    lost = [folder.join(COMPACTED, table, f"{name}.parquet") for name in sorted(named - set(found))]
    return sorted(found.values(), key=lambda info: info.path), lost


def read_again(read: Callable[[], T]) -> T:
    """Return what `read` returns; it is called again if files vanish while it reads.

    Args:
        read: Lists files and reads them.

    Raises:
        StoreError: If they vanish again and again.
    """
    for attempt in range(ATTEMPTS):
        try:
            return read()
        except FileNotFoundError:
            time.sleep(0.01 * min(attempt, 10))
    raise StoreError("the results must hold still for a moment, but their files keep changing.")
