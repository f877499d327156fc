"""The ledger: planned = done + failed + missing, and nothing twice."""

from collections.abc import Sequence
from typing import NamedTuple

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from symstudy.errors import StoreError
from symstudy.store.connection import Store, is_sound
from symstudy.store.folder import StudyFolder
from symstudy.store.schema import PACKS, TABLES
from symstudy.study.cells import Run, read_cell

__all__ = [
    "Account",
    "Verification",
    "ended_runs",
    "planned_runs",
    "read_account",
    "read_pack",
    "repair",
    "verify",
]


class Account(NamedTuple):
    """How many runs of a study are where.

    Attributes:
        study: Name of the study.
        planned: Runs ever planned.
        done: Runs that ended as planned.
        failed: Runs that ended otherwise, and why: outcome and reason to number.
        missing: Planned runs that have not ended.
    """

    study: str
    planned: int
    done: int
    failed: dict[tuple[str, str], int]
    missing: int

    @property
    def num_failed(self) -> int:
        """Number of runs that did not end as planned."""
        return sum(self.failed.values())


class Verification(NamedTuple):
    """What `verify` found in a study.

    Attributes:
        account: The counts.
        twice: Runs that are done in more than one pack.
        unplanned: Runs that ended without having been planned.
        incomplete: Packs whose history or layers lack rows of their runs.
        damaged: Files that cannot be read through.
    """

    account: Account
    twice: list[str]
    unplanned: list[str]
    incomplete: list[str]
    damaged: list[str]

    @property
    def is_proven(self) -> bool:
        """Whether every planned run has ended, once, with all its rows."""
        wrong = self.twice or self.unplanned or self.incomplete or self.damaged
        return not wrong and self.account.missing == 0

    @property
    def is_consistent(self) -> bool:
        """Whether nothing is wrong with what there is, even if runs are missing."""
        return not (self.twice or self.unplanned or self.incomplete or self.damaged)


def read_column(folder: StudyFolder, table: str, columns: Sequence[str]) -> pa.Table:
    """Return some columns of all files of a table."""
    schema = TABLES[table].schema
    paths = folder.list_files(table, ".parquet")
    if not paths:
        return schema.empty_table().select(list(columns))
    dataset = ds.dataset(paths, schema=schema, format="parquet", filesystem=folder.filesystem)
    return dataset.to_table(columns=list(columns))


def ended_runs(folder: StudyFolder, *, failed_count: bool) -> set[str]:
    """Return the runs that are done, and with `failed_count` those that failed too."""
    table = read_column(folder, "runs", ("run_id", "outcome"))
    return {
        run
        for run, outcome in zip(
            table["run_id"].to_pylist(), table["outcome"].to_pylist(), strict=True
        )
        if outcome == "done" or failed_count
    }


def planned_runs(folder: StudyFolder) -> set[str]:
    """Return every run that was ever planned."""
    return set(read_column(folder, "plan", ("run_id",))["run_id"].to_pylist())


def read_pack(folder: StudyFolder, launch: str, pack_id: str) -> list[Run]:
    """Return the runs of a pack of a launch.

    Raises:
        StoreError: If the launch has no such pack.
    """
    path = folder.join(PACKS.name, f"{launch}.parquet")
    try:
        table = pq.read_table(
            path, filesystem=folder.filesystem, filters=[("pack_id", "==", pack_id)]
        )
    except (OSError, pa.ArrowException) as error:
        raise StoreError(
            f"the packs of launch {launch} must be readable, but {path!r} is not: {error}"
        ) from error
    if table.num_rows == 0:
        raise StoreError(f"launch {launch} must hold pack {pack_id!r}, but {path!r} does not.")
    rows = table.to_pylist()
    cells = {config: read_cell(config) for config in {row["config"] for row in rows}}
    return [Run(row["run_id"], cells[row["config"]], row["seed"]) for row in rows]


def read_account(store: Store) -> list[Account]:
    """Return the counts of every study of `store`."""
    failed: dict[str, dict[tuple[str, str], int]] = {}
    for study, outcome, reason, count in store.sql(
        "select study, outcome, coalesce(reason, ''), count(*) from runs where outcome <> 'done' "
        "group by all order by all"
    ).rows:
        failed.setdefault(study, {})[outcome, reason] = count
    counts = {
        study: (planned, done, missing)
        for study, planned, done, missing in store.sql(
            "select planned.study, count(*), count(*) filter (runs.outcome = 'done'), count(*) "
            "filter (runs.outcome is null) from planned left join runs using (study, run_id) "
            "group by all"
        ).rows
    }
    return [
        Account(folder.name, planned, done, failed.get(folder.name, {}), missing)
        for folder in store.folders
        for planned, done, missing in [counts.get(folder.name, (0, 0, 0))]
    ]


def damaged_files(folder: StudyFolder) -> list[str]:
    """Return the files of a study that cannot be read through."""
    return [
        path
        for name in TABLES
        for path in folder.list_files(name, ".parquet")
        if not is_sound(folder, path)
    ]


def repair(folder: StudyFolder) -> list[str]:
    """Set damaged files aside, so that their runs count as missing; return what was renamed.

    A damaged history or layers file takes its pack's runs file with it: a run counts with all its
    rows.
    """
    broken = damaged_files(folder)
    plans = set(folder.list_files("plan", ".parquet"))
    names = {path.rsplit("/", 1)[-1] for path in broken if path not in plans}
    aside = [folder.set_aside(path) for path in broken]
    left = folder.list_files("runs", ".parquet")
    aside += [folder.set_aside(path) for path in left if path.rsplit("/", 1)[-1] in names]
    return aside


def verify(folder: StudyFolder) -> Verification:
    """Read every file of a study through and hold the ledger against what is there."""
    damaged = damaged_files(folder)
    if damaged:
        return Verification(Account(folder.name, 0, 0, {}, 0), [], [], [], damaged)
    store = Store([folder])
    (account,) = read_account(store)
    twice = store.sql(
        "select run_id from runs_files where outcome = 'done' group by run_id having count(*) > 1"
    )
    unplanned = store.sql(
        "select run_id from runs anti join planned using (study, run_id) order by run_id"
    )
    incomplete = store.sql(
        "select distinct pack_id from runs where outcome = 'done' and (run_id, pack_id, "
        "steps_done) not in (select run_id, pack_id, max(step) from history_files group by all) "
        "order by 1"
    )
    return Verification(
        account,
        [row[0] for row in twice.rows],
        [row[0] for row in unplanned.rows],
        [row[0] for row in incomplete.rows],
        damaged,
    )
