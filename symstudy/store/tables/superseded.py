"""Planned runs of an earlier form of a study, which nothing trains any more: found and dropped."""

import time
from collections.abc import Callable, Collection, Iterator
from functools import partial

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from symstudy.store.files.checkpoints import list_checkpoints
from symstudy.store.files.folder import StudyFolder
from symstudy.store.files.generations import next_name, to_change, write_generation
from symstudy.store.files.lock import locked
from symstudy.store.files.manifest import list_own, stem_of
from symstudy.store.files.merging import Source, write_part
from symstudy.store.files.parts import Generation, Part
from symstudy.store.files.rewriting import in_schema, open_parquet, united_schema
from symstudy.store.files.sealed import read_whole
from symstudy.store.tables.keys import KEY_COLUMNS
from symstudy.store.tables.reading import read_column
from symstudy.store.tables.schema import PACKS, PLAN

__all__ = ["drop_planned", "never_trained"]


def never_trained(folder: StudyFolder, wanted: Collection[str] | None = None) -> set[str]:
    """Return the planned runs that are not wanted and have neither a row nor a saved state.

    Args:
        folder: Folder of the study's results.
        wanted: Runs of the study as it is now; those that the last launch asked for if not given.

    Raises:
        StoreError: If the results cannot be read.
    """
    planned = set(read_column(folder, PLAN.name, ("run_id",))["run_id"].to_pylist())
    planned -= set(read_column(folder, "runs", ("run_id",))["run_id"].to_pylist())
    if planned:
        planned.difference_update(last_asked(folder) if wanted is None else wanted)
    if planned:
        planned.difference_update(*(each.run_ids for each in list_checkpoints(folder)))
    return planned


def last_asked(folder: StudyFolder) -> set[str]:
    """Return the runs of the packs of the last launch, which were all that its study lacked."""
    launches = folder.read_study().get("launches", [])
    if not launches:
        return set()
    launch = launches[-1]["launch"]
    found: set[str] = set()
    for path in folder.list_files(PACKS.name, ".parquet"):
        # A search writes a file a batch: the launch and a number.
        if stem_of(path) == launch or stem_of(path).startswith(f"{launch}-"):
            rows = pq.read_table(path, columns=["run_id"], filesystem=folder.filesystem)
            found.update(rows["run_id"].to_pylist())
    return found


def drop_planned(folder: StudyFolder, runs: Collection[str]) -> int:
    """Take runs out of the plan that have no row; return how many.

    Each file is replaced by one without them; broken off in between, some are still planned.

    Args:
        folder: Folder of the study's results.
        runs: Identifiers of the runs; those that have a row by now stay.

    Raises:
        StoreError: If the results cannot be read or written.
    """
    with locked(folder):
        ended = set(read_column(folder, "runs", ("run_id",))["run_id"].to_pylist())
        planned = set(read_column(folder, PLAN.name, ("run_id",))["run_id"].to_pylist())
        gone = (set(runs) & planned) - ended
        if not gone:
            return 0
        keep = partial(without, gone=pa.array(sorted(gone), pa.string()))
        generation = to_change(folder)
        for info in list_own(folder, PLAN.name, generation):
            rewrite(folder, info.path, keep)
        drop_merged(folder, generation, keep)
    return len(gone)


def without(rows: pa.Table, gone: pa.Array) -> pa.Table:
    """Return the rows of other runs than those in `gone`."""
    return rows.filter(pc.invert(pc.is_in(rows["run_id"], gone)))


def rewrite(folder: StudyFolder, path: str, keep: Callable[[pa.Table], pa.Table]) -> None:
    """Replace a file of the plan by one with the rows that are kept; delete it without any."""
    source, total, kept = kept_rows(folder, path, keep)
    place = path.removeprefix(folder.join("")).split("/")
    if kept == 0:
        folder.delete(*place)
    elif kept < total:
        groups = source.groups()
        keys = KEY_COLUMNS[PLAN.name]
        folder.write_groups(source.schema, groups, *place, statistics=True, keys=keys)


def drop_merged(
    folder: StudyFolder, generation: Generation, keep: Callable[[pa.Table], pa.Table]
) -> None:
    """Write the merged files of the plan that change as a new generation."""
    name = next_name(generation)
    now = time.time()
    parts: list[Part] = []
    for number, part in enumerate(generation.parts):
        if PLAN.name not in part.files:
            parts.append(part)
            continue
        source, total, kept = kept_rows(folder, folder.join(part.files[PLAN.name]), keep)
        if kept == total:
            parts.append(part)
            continue
        files, rows = write_part(folder, name, number, {PLAN.name: source})
        parts.append(part._replace(files=files, rows=rows, at=now))
    if tuple(parts) != generation.parts:
        write_generation(folder, generation, parts, at=now, name=name)


def kept_rows(
    folder: StudyFolder, path: str, keep: Callable[[pa.Table], pa.Table]
) -> tuple[Source, int, int]:
    """Return what a file without some rows is written from, its rows, and how many are kept."""
    file = open_parquet(read_whole(folder.filesystem, path))
    schema = united_schema(PLAN.name, [file.schema_arrow])

    def groups() -> Iterator[pa.Table]:
        for group in range(file.num_row_groups):
            yield keep(in_schema(file.read_row_group(group), schema))

    return Source(schema, groups), file.metadata.num_rows, sum(g.num_rows for g in groups())
