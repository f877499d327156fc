"""Few files instead of many, without a row lost or doubled, whoever dies and whoever reads.

The files of packs whose rows are final are read, and merged ones of every table written as a new
generation (`symstudy.store.files.generations`), which nobody reads yet. Then the pointer is moved:
from now on the merged files count and the others do not. What does not count is deleted later, for
the sake of readers that have it open; a reader that misses a file reads the pointer again.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property, partial
from typing import NamedTuple, final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyarrow import fs

from symstudy.store.files.cleaning import clean, clear_leftovers
from symstudy.store.files.folder import StudyFolder
from symstudy.store.files.generations import next_name, write_generation
from symstudy.store.files.lock import locked
from symstudy.store.files.manifest import list_own, list_table
from symstudy.store.files.merging import Groups, Source, write_part
from symstudy.store.files.parts import (
    OPTIONAL_TABLES,
    PACK_TABLES,
    PLAN_TABLES,
    Generation,
    Part,
    plan_file,
    stem_of,
)
from symstudy.store.files.recovery import current_generation
from symstudy.store.files.rewriting import in_schema, open_parquet, united_schema
from symstudy.store.files.sealed import is_sound, read_whole
from symstudy.store.tables.keys import ENDED
from symstudy.store.tables.merged_runs import PlannedCells
from symstudy.store.tables.schema import CELLS, RUNS, TABLES
from symstudy.store.tables.version_4 import migrate

__all__ = ["GRACE_S", "Compaction", "compact"]

GRACE_S = 600.0
"""Files that do not count any more stay for so long, for readers that have them open."""
TARGET_BYTES = 32 << 20
"""About the size of the files of all tables that are merged into one."""
GROUP_BYTES = 2 << 20
"""Packs whose files have this size together are one group of rows in every table: a damaged byte
costs the packs of its group and no others."""

Clock = Callable[[], float]
Contents = dict[str, bytes]


class Compaction(NamedTuple):
    """What was done.

    Attributes:
        study: Name of the study.
        files_before: Number of files that its tables consisted of.
        files_after: Number of files that they consist of now.
        merged: Number of files that were merged.
        deleted: Number of files that counted once and were deleted.
        waiting: Number of such files that are still there, for readers that have them open.
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
    """The files of a pack, or merged ones that are merged again.

    Attributes:
        name: Name of the pack, or of the merged file.
        files: The file of each table.
        part: The merged files; None for those of a pack.
    """

    name: str
    files: dict[str, fs.FileInfo]
    part: Part | None

    @property
    def size(self) -> int:
        """Size of all files, in bytes."""
        return sum(info.size for info in self.files.values())


def compact(
    folder: StudyFolder, *, grace_s: float = GRACE_S, clock: Clock = time.time
) -> Compaction:
    """Merge the small files of a study's tables into few.

    Args:
        folder: Folder of the study's results.
        grace_s: Age in seconds at which files that do not count any more are deleted.
        clock: Returns the time, in seconds since 1970.

    Raises:
        StoreError: If the results cannot be read or written, or what says which files count is
            damaged.
    """
    with locked(folder):
        migrate(folder)
        generation = clear_leftovers(folder, current_generation(folder))
        before = count_files(folder, generation)
        deleted, _ = clean(folder, generation, before=clock() - grace_s)
        merging = Merging(folder, generation, clock())
        merging.merge()
        if merging.written:
            kept = [part for part in generation.parts if part not in merging.replaced]
            parts = [*kept, *merging.written]
            generation = write_generation(
                folder, generation, parts, at=merging.at, name=merging.name
            )
        more, waiting = clean(folder, generation, before=clock() - grace_s)
        after = count_files(folder, generation)
    return Compaction(
        folder.name,
        before,
        after,
        merging.merged,
        deleted + more,
        waiting,
        tuple(merging.skipped),
    )


def count_files(folder: StudyFolder, generation: Generation) -> int:
    """Return the number of files that the tables consist of."""
    return sum(len(list_table(folder, table, generation)[0]) for table in TABLES)


@final
class Merging:
    """The writing of the merged files of a new generation; they do not count yet.

    Attributes:
        folder: Folder of the study's results.
        generation: The generation that counts.
        at: The time, in seconds since 1970.
        name: Name of the new generation.
        written: The new parts.
        replaced: Parts of the generation before that the new ones stand for.
        merged: Number of files that were merged.
        skipped: Packs of which a file is damaged or missing.
    """

    def __init__(self, folder: StudyFolder, generation: Generation, at: float) -> None:
        """Prepare; `merge` writes."""
        self.folder = folder
        self.generation = generation
        self.at = at
        self.name = next_name(generation)
        self.written: list[Part] = []
        self.replaced: list[Part] = []
        self.merged = 0
        self.skipped: list[str] = []

    @cached_property
    def cells(self) -> PlannedCells:
        """The planned cells, whose hyperparameters are copied beside the runs that are merged."""
        infos, _ = list_table(self.folder, CELLS.name, self.generation)
        return PlannedCells(self.folder, [info.path for info in infos])

    def merge(self) -> None:
        """Merge what is small: first packs, then files of the plan."""
        for batch in batches(self.small_packs()):
            self.merge_packs(batch)
        for table in PLAN_TABLES:
            for batch in batches(self.small_plans(table)):
                self.merge_plans(table, batch)

    def small_packs(self) -> list[Small]:
        """Return the packs and merged packs whose files are small, the oldest first."""
        own = {
            table: {
                stem_of(info.path): info for info in list_own(self.folder, table, self.generation)
            }
            for table in PACK_TABLES
        }
        found = []
        for name in own[RUNS.name]:
            files = {table: of_table[name] for table, of_table in own.items() if name in of_table}
            if any(table not in files for table in PACK_TABLES if table not in OPTIONAL_TABLES):
                self.skipped.append(name)
            else:
                found.append(Small(name, files, None))
        return oldest_first([*found, *self.small_parts(RUNS.name)], RUNS.name)

    def small_plans(self, table: str) -> list[Small]:
        """Return the files of the plan, or of its cells, that are small, the oldest first."""
        found = [
            Small(stem_of(info.path), {table: info}, None)
            for info in list_own(self.folder, table, self.generation)
        ]
        return oldest_first([*found, *self.small_parts(table)], table)

    def small_parts(self, table: str) -> list[Small]:
        """Return the merged files that have `table`; those of which one is gone are skipped."""
        found = []
        for part in self.generation.parts:
            if table not in part.files:
                continue
            paths = [self.folder.join(path) for path in part.files.values()]
            infos = self.folder.filesystem.get_file_info(paths)
            name = part.files[table]
            if all(info.type == fs.FileType.File for info in infos):
                found.append(Small(name, dict(zip(part.files, infos, strict=True)), part))
            else:
                self.skipped.append(name)
        return found

    def merge_packs(self, batch: Sequence[Small]) -> None:
        """Write the merged files of some packs.

        Packs are left alone whose runs have all failed: they may be trained again as the same pack.
        """
        groups: list[list[Small]] = [[]]
        schemas: dict[str, list[pa.Schema]] = {}
        cells: list[pa.Array] = []
        for small in batch:
            contents = read_contents(self.folder, small)
            if not all(is_sound(content) for content in contents.values()):
                self.skipped.append(small.name)
            elif small.part is not None or has_ended(contents[RUNS.name]):
                for table, content in contents.items():
                    schemas.setdefault(table, []).append(open_parquet(content).schema_arrow)
                runs = open_parquet(contents[RUNS.name]).read(columns=["cell_id"])
                cells.append(pc.unique(runs["cell_id"]))
                if sum(one.size for one in groups[-1]) >= GROUP_BYTES:
                    groups.append([])
                groups[-1].append(small)
        smalls = [small for group in groups for small in group]
        tables = [table for table in PACK_TABLES if any(table in small.files for small in smalls)]
        sources = {}
        for table in tables:
            schema = united_schema(table, schemas.get(table, ()))
            rows = partial(pack_groups, self.folder, table, schema, groups)
            sources[table] = Source(schema, rows)
        if cells and self.cells.knows(pa.concat_arrays(cells)):
            schema, groups_of_runs = sources[RUNS.name]
            source = partial(runs_beside_cells, groups_of_runs, self.cells)
            sources[RUNS.name] = Source(self.cells.schema(schema), source)
        self.write(smalls, sources)

    def merge_plans(self, table: str, batch: Sequence[Small]) -> None:
        """Write the merged file of some files of the plan, or of its cells."""
        smalls = [small for small in batch if self.folder.is_sound(small.files[table].path)]
        paths = [small.files[table].path for small in smalls]
        files = [open_parquet(read_whole(self.folder.filesystem, path)) for path in paths]
        schema = united_schema(table, [file.schema_arrow for file in files])
        self.write(smalls, {table: Source(schema, partial(plan_groups, files, schema))})

    def write(self, smalls: Sequence[Small], sources: Mapping[str, Source]) -> None:
        """Write the merged files of what is small, unless it changes meanwhile."""
        if len(smalls) < 2:
            return
        files, rows = write_part(self.folder, self.name, len(self.written), sources)
        infos = [info for small in smalls for info in small.files.values()]
        if not all(is_unchanged(self.folder, info) for info in infos):
            # A pack was written again in the meantime: another time.
            return
        old = [small.part for small in smalls if small.part is not None]
        packs = {pack for part in old for pack in part.packs}
        plans = {plan for part in old for plan in part.plans}
        for small in smalls:
            own = [info for table, info in small.files.items() if table in PLAN_TABLES]
            if small.part is None and own:
                plans.update(map(plan_file, own))
            elif small.part is None:
                packs.add(small.name)
        self.replaced.extend(old)
        self.written.append(
            Part(files, rows, tuple(sorted(packs)), tuple(sorted(plans, key=str)), self.at)
        )
        self.merged += len(infos)


def oldest_first(found: Sequence[Small], table: str) -> list[Small]:
    """Return what is small, by time."""
    small = [item for item in found if item.size < TARGET_BYTES / 2]
    return sorted(small, key=lambda item: (item.files[table].mtime_ns or 0, item.name))


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


def runs_beside_cells(groups: Groups, cells: PlannedCells) -> Iterator[pa.Table]:
    """Yield groups of runs with copies of the hyperparameters of their cells."""
    for rows in groups():
        yield cells.beside(rows)


def plan_groups(files: Sequence[pq.ParquetFile], schema: pa.Schema) -> Iterator[pa.Table]:
    """Yield the rows of files of the plan or of its cells."""
    for file in files:
        for group in range(file.num_row_groups):
            yield in_schema(file.read_row_group(group), schema)


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
