"""The ledger: planned = done + stopped + failed + missing, and nothing twice."""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from symstudy.errors import StoreError
from symstudy.store.files.folder import StudyFolder
from symstudy.store.files.manifest import list_tables
from symstudy.store.files.sealed import find_broken
from symstudy.store.tables.certificates import Certificate, read_certificate
from symstudy.store.tables.completeness import incomplete_runs
from symstudy.store.tables.connection import Store
from symstudy.store.tables.keys import ENDED
from symstudy.store.tables.losses import find_losses
from symstudy.store.tables.reading import read_column
from symstudy.store.tables.schema import PACKS
from symstudy.study.cell import Run
from symstudy.study.expand import read_cell

__all__ = [
    "Account",
    "Verification",
    "damaged_files",
    "ended_runs",
    "folder_labels",
    "planned_runs",
    "read_account",
    "read_column",
    "read_pack",
    "verify",
]


class Account(NamedTuple):
    """Counts of the runs of a study: done, stopped, failed, missing.

    Attributes:
        study: Name of the study.
        planned: Runs ever planned.
        done: Runs that ended as planned.
        stopped: Runs that were stopped early on purpose, by a search or train.stop.
        failed: Runs that ended otherwise, and why: outcome and reason to number.
        missing: Planned runs that have not ended.
    """

    study: str
    planned: int
    done: int
    stopped: int
    failed: dict[tuple[str, str], int]
    missing: int

    @property
    def num_failed(self) -> int:
        """Number of runs that did not end as planned."""
        return sum(self.failed.values())

    def counts(self) -> dict[str, int]:
        """Return the numbers of runs, for programs."""
        return {
            "planned": self.planned,
            "done": self.done,
            "stopped": self.stopped,
            "failed": self.num_failed,
            "missing": self.missing,
        }


class Verification(NamedTuple):
    """What `verify` found in a study.

    Attributes:
        account: The counts.
        twice: Runs that are done or stopped in more than one pack.
        unplanned: Runs that ended without having been planned.
        incomplete: Packs that lack rows of their runs, or have some twice.
        damaged: Files that cannot be read through.
        unknown_cells: Planned cells whose hyperparameters are in no file.
        lost: What is lost, a sentence each, with what to do about it.
        untold: What cannot be told, since an older version did not record it, a sentence each.
        certificate: How runs that were trained once more alone compare with their packs; None where
            files are damaged. It decides nothing here: the rows are there all the same.
    """

    account: Account
    twice: list[str]
    unplanned: list[str]
    incomplete: list[str]
    damaged: list[str]
    unknown_cells: list[str]
    lost: list[str]
    untold: list[str]
    certificate: Certificate | None

    @property
    def is_proven(self) -> bool:
        """Whether there are planned runs, and each has ended, once, with all its rows.

        Where nothing is planned the plan may be lost, and nothing is proven.
        """
        return self.is_consistent and self.account.missing == 0 and self.account.planned > 0

    @property
    def is_consistent(self) -> bool:
        """Whether nothing is wrong with what there is, even if runs are missing."""
        found = (self.twice, self.unplanned, self.incomplete, self.damaged, self.unknown_cells)
        return not any(found) and not self.lost


def ended_runs(folder: StudyFolder, *, failed_count: bool) -> set[str]:
    """Return the runs that are done or stopped, and with `failed_count` those that failed too."""
    table = read_column(folder, "runs", ("run_id", "outcome"))
    if not failed_count:
        table = table.filter(pc.is_in(table["outcome"], pa.array(ENDED)))
    return set(table["run_id"].to_pylist())


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
        # Of the groups of rows only those are read whose statistics allow for the pack.
        table = pq.read_table(
            path,
            filesystem=folder.filesystem,
            schema=PACKS.schema,
            filters=[("pack_id", "==", pack_id)],
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
    """Return the counts of every study of `store`, by its folders.

    Each folder is counted for itself, also where two say that they are the same study, such as a
    copy that lies beside it.
    """
    labels = folder_labels(store.folders)
    names = Counter(folder.name for folder in store.folders)
    by_name = {account.study: account for account in count_studies(store)}
    accounts = []
    for folder, label in zip(store.folders, labels, strict=True):
        if names[folder.name] == 1 and folder.name in by_name:
            accounts.append(by_name[folder.name])
        else:
            # Of one name, or of one that its rows do not have.
            accounts.append(total(label, count_studies(Store([folder]))))
    return accounts


def total(study: str, accounts: Sequence[Account]) -> Account:
    """Return the sum of some accounts as that of `study`."""
    failed: Counter[tuple[str, str]] = Counter()
    for account in accounts:
        failed.update(account.failed)
    return Account(
        study,
        sum(account.planned for account in accounts),
        sum(account.done for account in accounts),
        sum(account.stopped for account in accounts),
        dict(failed),
        sum(account.missing for account in accounts),
    )


def folder_labels(folders: Sequence[StudyFolder]) -> list[str]:
    """Return what tells folders apart: the study of each, and where it lies if two are of one."""
    names = Counter(folder.name for folder in folders)
    return [
        folder.name
        if names[folder.name] == 1 or folder.place == folder.name
        else f"{folder.name} in {folder.place}"
        for folder in folders
    ]


def count_studies(store: Store) -> list[Account]:
    """Return the counts of what rows say is a study; no file is read for it."""
    failed: dict[str, dict[tuple[str, str], int]] = {}
    for study, outcome, reason, count in store.sql(
        "select study, outcome, coalesce(reason, ''), count(*) from runs_ended "
        "where outcome not in ('done', 'stopped') group by all order by all"
    ).rows:
        failed.setdefault(study, {})[outcome, reason] = count
    counts = {
        study: numbers
        for study, *numbers in store.sql(
            "select planned_runs.study, count(*), count(*) filter (outcome = 'done'), "
            "count(*) filter (outcome = 'stopped'), count(*) filter (outcome is null) "
            "from planned_runs left join runs_ended using (study, run_id) group by all"
        ).rows
    }
    return [
        Account(study, planned, done, stopped, failed.get(study, {}), missing)
        for study, (planned, done, stopped, missing) in counts.items()
    ]


def damaged_files(folder: StudyFolder) -> list[str]:
    """Return the files of a study's tables that are not as they were written, or lost."""
    listing = list_tables(folder)
    paths = [info.path for infos in listing.files.values() for info in infos]
    broken = find_broken(folder.is_sound, paths)
    if broken:
        # A file that was replaced while it was read is not damaged but gone.
        now = list_tables(folder)
        there = {info.path for infos in now.files.values() for info in infos}
        broken = [path for path in broken if path in there]
    return [*broken, *listing.lost]


def verify(folder: StudyFolder) -> Verification:
    """Read every file of a study through and hold the ledger against what is there."""
    damaged = damaged_files(folder)
    if damaged:
        nothing = Account(folder.name, 0, 0, 0, {}, 0)
        return Verification(nothing, [], [], [], damaged, [], [], [], None)
    store = Store([folder])
    (account,) = read_account(store)
    twice = store.sql(
        "select run_id from runs_keys where outcome in ('done', 'stopped') group by run_id "
        "having count(*) > 1 order by run_id"
    )
    unplanned = store.sql(
        "select run_id from runs_ended anti join plan_keys using (study, run_id) order by run_id"
    )
    unknown = store.sql(
        "select distinct cell_id from plan_files anti join cells_keys using (study, cell_id) "
        "order by cell_id"
    )
    incomplete = incomplete_runs(store)
    losses = find_losses(folder, store, incomplete)
    return Verification(
        account,
        [row[0] for row in twice.rows],
        [row[0] for row in unplanned.rows],
        sorted(set(incomplete["pack_id"].to_pylist())),
        damaged,
        [row[0] for row in unknown.rows],
        losses.lost,
        losses.untold,
        read_certificate(store),
    )
