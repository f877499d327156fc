"""Few files instead of many, without a row lost or doubled, whoever dies and whoever reads.

The steps and their order (see `symstudy.store.files.manifest` for how readers see them):

1. Files of packs whose rows are final are read, and merged files of every table written to
   `compacted/`. Nobody reads these yet; left alone by a death they are deleted later.
2. `compact.json` is replaced: from now on the merged files count and the others do not.
3. After a time of grace, for readers that have them open, the replaced files are deleted, those of
   `runs` first, and the merged ones moved into the tables' folders. `compact.json` stays: a worker
   that was cut off may still write a pack that has been merged.

A merged file says in its own metadata what it replaces, so that even a lost `compact.json` can be
made again.
"""

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyarrow import fs

from symstudy.identity import digest
from symstudy.store.files.folder import StudyFolder
from symstudy.store.files.lock import locked
from symstudy.store.files.manifest import (
    COMPACTED,
    MERGED_PREFIX,
    PACK_TABLES,
    PLAN_TABLES,
    Manifest,
    Merged,
    list_table,
    mark_of,
    read_manifest,
    stem_of,
    write_manifest,
)
from symstudy.store.files.rewriting import in_schema, open_parquet, united_schema
from symstudy.store.files.sealed import is_sound, read_whole
from symstudy.store.tables.keys import ENDED, KEY_COLUMNS
from symstudy.store.tables.schema import CERTIFICATES, RUNS, TABLES
from symstudy.store.tables.version_4 import migrate

__all__ = [
    "GRACE_S",
    "Compaction",
    "compact",
    "finish",
    "recover_manifest",
    "write_merged",
]

GRACE_S = 600.0
"""Replaced files stay for so long, for readers that have them open."""
TARGET_BYTES = 32 << 20
"""About the size of the files of all tables that are merged into one."""
GROUP_BYTES = 2 << 20
"""Packs whose files have this size together are one group of rows in every table: a damaged byte
costs the packs of its group and no others."""
EMBEDDED = b"symstudy_merged"
LEADS = (RUNS.name, *PLAN_TABLES)
"""Tables whose merged files say what they replace."""

Clock = Callable[[], float]
Contents = dict[str, bytes]
Parts = Mapping[str, Callable[[], Iterable[pa.Table]]]


class Compaction(NamedTuple):
    """What was done.

    Attributes:
        study: Name of the study.
        files_before: Files that its tables consisted of.
        files_after: Files that they consist of now.
        merged: Files that were merged.
        deleted: Replaced files that were deleted.
        waiting: Replaced files that are still there, until the time of grace is over.
        skipped: Packs that were left as they are, since a file of theirs is damaged or missing.
    """

    study: str
    files_before: int
    files_after: int
    merged: int
    deleted: int
    waiting: int
    skipped: tuple[str, ...]


class Small(NamedTuple):
    """The files of a pack, or of packs that were merged before.

    Attributes:
        stem: Their name.
        files: The file of each table.
    """

    stem: str
    files: dict[str, fs.FileInfo]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(info.size for info in self.files.values())


def compact(
    folder: StudyFolder, *, grace_s: float = GRACE_S, clock: Clock = time.time
) -> Compaction:
    """Merge the small files of a study's tables into few.

    Args:
        folder: Of the study.
        grace_s: Age in seconds at which replaced files are deleted.
        clock: Returns the time, in seconds since 1970.

    Raises:
        StoreError: If the results cannot be read or written, or their manifest is damaged.
    """
    with locked(folder):
        manifest = read_manifest(folder)
        if not manifest.text:
            manifest = recover_manifest(folder)
        migrate(folder)
        clear_leftovers(folder, manifest)
        before = count_files(folder, manifest)
        deleted, _ = finish(folder, manifest, before=clock() - grace_s)
        merged = 0
        skipped: list[str] = []
        for batch in batches(small_packs(folder, manifest, skipped)):
            item, left = merge_packs(folder, manifest, batch, clock)
            skipped.extend(left)
            if item is not None:
                manifest = switch(folder, manifest, item)
                merged += sum(len(small.files) for small in batch if small.stem in item.replaces)
        for table in PLAN_TABLES:
            for batch in batches(small_plans(folder, table, manifest)):
                item = merge_plans(folder, table, manifest, batch, clock)
                if item is not None:
                    manifest = switch(folder, manifest, item)
                    merged += len(batch)
        more, waiting = finish(folder, manifest, before=clock() - grace_s)
        after = count_files(folder, manifest)
    return Compaction(folder.name, before, after, merged, deleted + more, waiting, tuple(skipped))


def switch(folder: StudyFolder, manifest: Manifest, item: Merged) -> Manifest:
    """Make `item` count, in place of what it replaces."""
    for table in item.rows:
        folder.sync(f"{COMPACTED}/{table}")
    rest = [one for one in manifest.merged if one.name not in item.replaces]
    changed = write_manifest(folder, [*rest, item])
    folder.sync(".")
    return changed


def finish(folder: StudyFolder, manifest: Manifest, *, before: float) -> tuple[int, int]:
    """Delete replaced files, and move merged ones into the tables' folders.

    Args:
        folder: Of the study.
        manifest: Its manifest.
        before: Only what was merged by then, in seconds since 1970.

    Returns:
        Files deleted, and files that wait.
    """
    due = [item for item in manifest.merged if item.at <= before]
    deleted = waiting = 0
    for table in TABLES:
        gone = Manifest(tuple(due)).replaced(table)
        later = manifest.replaced(table) - gone
        for info in folder.list_infos(table, ".parquet"):
            mark = mark_of(table, info)
            if mark in gone:
                folder.delete(table, info.base_name)
                deleted += 1
            elif mark in later:
                waiting += 1
    for table in TABLES:
        names = {item.name for item in due if table in item.rows}
        for info in folder.list_infos(f"{COMPACTED}/{table}", ".parquet") if names else ():
            if stem_of(info.path) in names:
                folder.move(info.path, folder.join(table, info.base_name))
    return deleted, waiting


def clear_leftovers(folder: StudyFolder, manifest: Manifest) -> None:
    """Delete merged files that never came to count, since whoever wrote them died."""
    for table in TABLES:
        named = {item.name for item in manifest.merged if table in item.rows}
        for info in folder.list_infos(f"{COMPACTED}/{table}", ".parquet"):
            if stem_of(info.path) not in named:
                folder.delete(COMPACTED, table, info.base_name)


def recover_manifest(folder: StudyFolder) -> Manifest:
    """Make a lost manifest again, from what the merged files say of themselves.

    Merged files count if they are whole, all of them, and something of what they replace is gone.
    If nothing is, they are either not in force or no loss: the rows are those of the old files.

    Raises:
        StoreError: If the results cannot be read or written.
    """
    files = {
        table: {
            stem_of(info.path): info
            for place in (table, f"{COMPACTED}/{table}")
            for info in folder.list_infos(place, ".parquet")
        }
        for table in TABLES
    }
    found: list[Merged] = []
    for lead in LEADS:
        there = {mark_of(lead, info) for info in files[lead].values()}
        for stem, info in files[lead].items():
            item = (
                read_merged(folder, files, lead, info) if stem.startswith(MERGED_PREFIX) else None
            )
            if item is not None and not there.issuperset(item.replaces):
                found.append(item)
    inner = {mark for item in found for mark in item.replaces}
    left = [item for item in found if item.name not in inner]
    return write_manifest(folder, left) if left else Manifest()


def read_merged(
    folder: StudyFolder, files: dict[str, dict[str, fs.FileInfo]], lead: str, info: fs.FileInfo
) -> Merged | None:
    """Return what the merged files of one name say of themselves; None if they are not whole."""
    name = stem_of(info.path)
    content = read_whole(folder.filesystem, info.path)
    if not is_sound(content):
        return None
    metadata = pq.ParquetFile(pa.BufferReader(content)).metadata
    values = json.loads((metadata.metadata or {}).get(EMBEDDED, b"{}"))
    if not values:
        return None
    for table in values["rows"]:
        other = files[table].get(name)
        if other is None or not folder.is_sound(other.path):
            return None
    rows = {**values["rows"], lead: metadata.num_rows}
    return Merged(name, values["at"], rows, tuple(values["replaces"]))


def count_files(folder: StudyFolder, manifest: Manifest) -> int:
    """Return the number of files that the tables consist of."""
    return sum(len(list_table(folder, table, manifest)[0]) for table in TABLES)


def small_packs(folder: StudyFolder, manifest: Manifest, skipped: list[str]) -> list[Small]:
    """Return the packs whose files are small, the oldest first; incomplete ones are `skipped`."""
    files = {
        table: {stem_of(info.path): info for info in list_table(folder, table, manifest)[0]}
        for table in PACK_TABLES
    }
    found = []
    for stem in files[RUNS.name]:
        own = {table: of_table[stem] for table, of_table in files.items() if stem in of_table}
        if any(table not in own for table in PACK_TABLES if table != CERTIFICATES.name):
            skipped.append(stem)
        elif not is_waiting(folder, own.values()):
            found.append(Small(stem, own))
    return oldest_first(found, RUNS.name)


def small_plans(folder: StudyFolder, table: str, manifest: Manifest) -> list[Small]:
    """Return the files of the plan or of its cells that are small, the oldest first."""
    infos, _ = list_table(folder, table, manifest)
    found = [
        Small(stem_of(info.path), {table: info}) for info in infos if not is_waiting(folder, [info])
    ]
    return oldest_first(found, table)


def is_waiting(folder: StudyFolder, infos: Iterable[fs.FileInfo]) -> bool:
    """Return whether one of some merged files has not moved into its table's folder yet."""
    return any(info.path.startswith(folder.join(COMPACTED, "")) for info in infos)


def oldest_first(found: Sequence[Small], table: str) -> list[Small]:
    """Return what is small, by time."""
    small = [item for item in found if item.size < TARGET_BYTES / 2]
    return sorted(small, key=lambda item: (item.files[table].mtime_ns or 0, item.stem))


def batches(found: Sequence[Small]) -> Iterator[list[Small]]:
    """Yield what is merged into one, several at least."""
    batch: list[Small] = []
    size = 0
    for item in found:
        batch.append(item)
        size += item.size
        if size >= TARGET_BYTES:
            yield batch
            batch, size = [], 0
    if len(batch) > 1:
        yield batch


def merge_packs(
    folder: StudyFolder, manifest: Manifest, batch: Sequence[Small], clock: Clock
) -> tuple[Merged | None, list[str]]:
    """Write the merged files of some packs; nobody reads them yet.

    Packs are left alone whose runs have all failed: they may be trained again as the same pack.

    Returns:
        What was written, if anything, and the packs that are damaged.
    """
    groups: list[list[Small]] = [[]]
    damaged: list[str] = []
    found: dict[str, list[pa.Schema]] = {}
    for small in batch:
        contents = read_contents(folder, small)
        if not all(is_sound(content) for content in contents.values()):
            damaged.append(small.stem)
        elif has_ended(contents[RUNS.name]):
            for table, content in contents.items():
                found.setdefault(table, []).append(open_parquet(content).schema_arrow)
            if sum(one.size for one in groups[-1]) >= GROUP_BYTES:
                groups.append([])
            groups[-1].append(small)
    stems = [small.stem for group in groups for small in group]
    if len(stems) < 2:
        return None, damaged
    tables = [table for table in PACK_TABLES if any(table in small.files for small in batch)]
    schemas = {table: united_schema(table, found.get(table, [])) for table in tables}
    parts: Parts = {
        table: partial(pack_groups, folder, table, schemas[table], groups) for table in tables
    }
    item = write_merged(folder, parts, schemas, with_nested(manifest, stems), clock())
    if not all(is_unchanged(folder, info) for s in batch for info in s.files.values()):
        # A pack was written again in the meantime: another time.
        return None, damaged
    return item, damaged


def with_nested(manifest: Manifest, marks: Sequence[str]) -> list[str]:
    """Return what is replaced with those `marks`: what they replaced themselves stays so."""
    inner = {item.name: item.replaces for item in manifest.merged}
    return sorted({*marks, *(mark for stem in marks for mark in inner.get(stem, ()))})


def merge_plans(
    folder: StudyFolder, table: str, manifest: Manifest, batch: Sequence[Small], clock: Clock
) -> Merged | None:
    """Write the merged file of some files of the plan or of its cells; nobody reads it yet."""
    infos = [small.files[table] for small in batch]
    if not all(folder.is_sound(info.path) for info in infos):
        return None
    replaces = with_nested(manifest, [mark_of(table, info) for info in infos])
    files = [open_parquet(read_whole(folder.filesystem, info.path)) for info in infos]
    schema = united_schema(table, [file.schema_arrow for file in files])
    parts: Parts = {table: partial(plan_groups, files, schema)}
    item = write_merged(folder, parts, {table: schema}, replaces, clock())
    return item if all(is_unchanged(folder, info) for info in infos) else None


def pack_groups(
    folder: StudyFolder, table: str, schema: pa.Schema, groups: Sequence[Sequence[Small]]
) -> Iterator[pa.Table]:
    """Yield the rows of one table of groups of packs."""
    for group in groups:
        rows = [
            in_schema(
                open_parquet(read_whole(folder.filesystem, item.files[table].path)).read(), schema
            )
            for item in group
            if table in item.files
        ]
        yield pa.concat_tables([schema.empty_table(), *rows])


def plan_groups(files: Sequence[pq.ParquetFile], schema: pa.Schema) -> Iterator[pa.Table]:
    """Yield the rows of files of the plan or of its cells."""
    for file in files:
        for group in range(file.num_row_groups):
            yield in_schema(file.read_row_group(group), schema)


def write_merged(
    folder: StudyFolder,
    parts: Parts,
    schemas: Mapping[str, pa.Schema],
    replaces: Sequence[str],
    at: float,
) -> Merged:
    """Write merged files to `compacted/`, and read them back.

    Args:
        folder: Of the study.
        parts: For each table, what returns the rows of its groups.
        schemas: Schema of each table.
        replaces: Marks of what the files replace.
        at: The time, in seconds since 1970.

    Raises:
        StoreError: If they cannot be written.
        RuntimeError: If what was written is not what was to be.
    """
    name = MERGED_PREFIX + digest("|".join(replaces))
    rows: dict[str, int] = {}
    # The runs last: their file tells what the others must be.
    for table in sorted(parts, key=lambda table: table == RUNS.name):
        about = {"replaces": list(replaces), "rows": rows, "at": at}
        schema = schemas[table]
        if table in LEADS:
            schema = schema.with_metadata({**schema.metadata, EMBEDDED: json.dumps(about)})
        counts: list[int] = []
        place = (COMPACTED, table, f"{name}.parquet")
        groups = counted(parts[table](), schema, counts)
        folder.write_groups(schema, groups, *place, statistics=True, keys=KEY_COLUMNS[table])
        content = folder.read_bytes(*place)
        found = pq.ParquetFile(pa.BufferReader(content)).metadata.num_rows
        if not is_sound(content) or found != sum(counts):
            raise RuntimeError(f"{folder.join(*place)!r} must read as it was written")
        rows[table] = found
    return Merged(name, at, rows, tuple(replaces))


def counted(groups: Iterable[pa.Table], schema: pa.Schema, counts: list[int]) -> Iterator[pa.Table]:
    """Yield `groups` in `schema`, taking note of their numbers of rows."""
    for group in groups:
        counts.append(group.num_rows)
        yield group.replace_schema_metadata(schema.metadata)


def read_contents(folder: StudyFolder, small: Small) -> Contents:
    """Return the bytes of the files of a pack."""
    return {table: read_whole(folder.filesystem, info.path) for table, info in small.files.items()}


def has_ended(content: bytes) -> bool:
    """Return whether a file of runs holds one that is never trained again."""
    outcomes = open_parquet(content).read(columns=["outcome"])["outcome"]
    return bool(pc.any(pc.is_in(outcomes, pa.array(ENDED))).as_py())


def is_unchanged(folder: StudyFolder, before: fs.FileInfo) -> bool:
    """Return whether a file is still the one that was listed."""
    now = folder.filesystem.get_file_info(before.path)
    return bool(
        now.type == fs.FileType.File and (now.size, now.mtime_ns) == (before.size, before.mtime_ns)
    )
