"""Planned runs of an earlier form of a study, which nothing trains any more: found and dropped."""

from collections.abc import Collection
from functools import partial

import pyarrow as pa
import pyarrow.compute as pc

from symstudy.store.files.checkpoints import list_checkpoints
from symstudy.store.files.folder import StudyFolder
from symstudy.store.files.lock import locked
from symstudy.store.tables.dropping import keep_rows
from symstudy.store.tables.plan_record import last_asked, record_dropped
from symstudy.store.tables.reading import read_column
from symstudy.store.tables.schema import PLAN

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
        planned.difference_update(last_asked(folder).to_pylist() if wanted is None else wanted)
    if planned:
        planned.difference_update(*(each.run_ids for each in list_checkpoints(folder)))
    return planned


def drop_planned(folder: StudyFolder, runs: Collection[str]) -> int:
    """Take runs out of the plan that have no row; return how many.

    That they are dropped is recorded first. Each file is then replaced by one without them; broken
    off in between, some are still planned.

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
        record_dropped(folder, len(gone))
        keep_rows(folder, PLAN.name, partial(without, gone=pa.array(sorted(gone), pa.string())))
    return len(gone)


def without(rows: pa.Table, gone: pa.Array) -> pa.Table:
    """Return the rows of other runs than those in `gone`."""
    return rows.filter(pc.invert(pc.is_in(rows["run_id"], gone)))
