"""What each claim has cost: the worker time of the runs that it is tested on."""

from typing import NamedTuple

from symstudy.store.tables.connection import Store

__all__ = ["WorkerTime", "worker_times"]


class WorkerTime(NamedTuple):
    """The cost of the runs that a claim is tested on; claims of one study share its runs.

    Attributes:
        study: Name of the study.
        claim: Name of the claim; empty for a study that serves none.
        runs: Number of runs that have ended.
        hours: Time that workers took for them, in hours.
    """

    study: str
    claim: str
    runs: int
    hours: float


def worker_times(store: Store) -> list[WorkerTime]:
    """Return what each claim of each study has cost.

    Raises:
        StoreError: If the results cannot be read.
    """
    rows = store.sql("select study, count(*), coalesce(sum(seconds), 0) from runs group by study")
    spent = {study: (runs, seconds) for study, runs, seconds in rows.rows}
    found = []
    for folder in store.folders:
        runs, seconds = spent.get(folder.name, (0, 0.0))
        claims = folder.read_study().get("claims") or [""]
        found += [WorkerTime(folder.name, claim, runs, seconds / 3600) for claim in claims]
    return found
