"""How many runs the plan of a study held after its last launch, as `study.json` has it.

A run that has ended is known from its row, and one that the last launch asked for from its pack. Of
others that are planned a file of the plan alone tells: where it is lost, only their number does.
"""

from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from symstudy.errors import StoreError
from symstudy.store.files.folder import StudyFolder
from symstudy.store.files.manifest import stem_of
from symstudy.store.tables.reading import read_column
from symstudy.store.tables.schema import PACKS, PLAN

__all__ = ["PlanLoss", "last_asked", "read_plan_loss", "record_dropped"]

NOTHING = pa.chunked_array([], pa.string())
DROPPED = "dropped"
"""What an entry of `launches` has since `symstudy drop` records how many runs it takes out."""


class PlanLoss(NamedTuple):
    """What the plan lacks.

    Attributes:
        asked: Runs that the last launch asked for and that no file of the plan has.
        others: How many fewer runs the plan has than after the last launch, without those.
        is_recorded: Whether that number counts what was dropped since; an older version did not
            record it, so the runs may have been dropped.
    """

    asked: int
    others: int
    is_recorded: bool

    @property
    def is_certain(self) -> bool:
        """Whether a file of the plan is lost."""
        return self.asked > 0 or (self.is_recorded and self.others > 0)


def read_plan_loss(folder: StudyFolder) -> PlanLoss:
    """Return what the plan of a study lacks, by its last launch.

    Raises:
        StoreError: If the results cannot be read.
    """
    launches = folder.read_study().get("launches", [])
    if not launches:
        return PlanLoss(0, 0, is_recorded=True)
    launch = launches[-1]
    planned = pc.unique(read_column(folder, PLAN.name, ("run_id",))["run_id"])
    try:
        asked = last_asked(folder)
    except StoreError:
        # The next launch writes one of its own.
        asked = NOTHING
    lost = len(pc.unique(asked.filter(pc.invert(pc.is_in(asked, planned)))))
    num_recorded = count_of(launch, "planned") - count_of(launch, DROPPED)
    if not len(asked):
        # It may have died before it wrote what it has planned.
        num_recorded -= count_of(launch, "new_runs")
    others = max(0, num_recorded - len(planned) - lost)
    return PlanLoss(lost, others, is_recorded="planned" in launch and DROPPED in launch)


def last_asked(folder: StudyFolder) -> pa.ChunkedArray:
    """Return the runs of the packs of the last launch, which were all that its study lacked.

    Raises:
        StoreError: If a file of packs is damaged.
    """
    launches = folder.read_study().get("launches", [])
    launch = launches[-1].get("launch") if launches else None
    # A search writes a file a batch: the launch and a number.
    found = [
        runs_of_packs(folder, path)
        for path in (folder.list_files(PACKS.name, ".parquet") if launch else ())
        if stem_of(path) == launch or stem_of(path).startswith(f"{launch}-")
    ]
    return pa.chunked_array([chunk for column in found for chunk in column.chunks], pa.string())


def runs_of_packs(folder: StudyFolder, path: str) -> pa.ChunkedArray:
    """Return the runs that a file of packs lists.

    Raises:
        StoreError: If it is damaged.
    """
    try:
        return pq.read_table(path, columns=["run_id"], filesystem=folder.filesystem)["run_id"]
    except (OSError, pa.ArrowException) as error:
        raise StoreError(
            f"a file of packs must be a whole Parquet file, but {path!r} is damaged: {error}. Run "
            "the study again: it sets it aside and writes one of its own."
        ) from error


def record_dropped(folder: StudyFolder, count: int) -> None:
    """Record in `study.json` that runs are taken out of the plan, if its last launch counts them.

    Raises:
        StoreError: If it cannot be written.
    """
    values = folder.read_study()
    launches = values.get("launches", [])
    if launches and DROPPED in launches[-1]:
        launches[-1][DROPPED] = count_of(launches[-1], DROPPED) + count
        folder.write_study(values)


def count_of(launch: dict[str, Any], key: str) -> int:
    """Return a number of an entry of `launches`; 0 if it has none."""
    value = launch.get(key, 0)
    return value if type(value) is int else 0
