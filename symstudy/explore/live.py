"""What has changed while a study runs: counts, progress and time left, as events."""

from typing import Any

from symstudy.errors import UserError
from symstudy.explore.panels.base import ENDED
from symstudy.explore.session import Session
from symstudy.launch.control import read_progress
from symstudy.launch.lease import may_be_alive, read_lease
from symstudy.launch.progress import parse_snapshot
from symstudy.store import StudyFolder, quoted

__all__ = ["read_state"]

ENDINGS = f"select study, {ENDED}, count(*) from runs group by all"  # names of our own


def read_state(session: Session) -> dict[str, Any]:
    """Return the counts of every study, and the progress of those that run."""
    try:
        accounts = count_runs(session)
        running = [driver for folder in session.folders if (driver := read_driver(folder))]
    except UserError as error:
        return {"changes": session.changes, "accounts": [], "running": [], "error": str(error)}
    return {
        "changes": session.changes,
        "accounts": accounts,
        "running": running,
        "error": session.error,
    }


def count_runs(session: Session) -> list[dict[str, Any]]:
    """Return counts of the runs of each study by how they ended, from the rows in memory."""
    with session.lock:
        rows = session.source.counts(ENDINGS, [quoted("study"), ENDED], [])
        missing = dict(session.source.rows("select study, count(*) from missing group by study"))
        folders = session.folders
    ended: dict[str, list[int]] = {}
    for study, end, count in rows:
        ended.setdefault(study, [0, 0, 0])[end] = count
    accounts = []
    for name in dict.fromkeys([folder.name for folder in folders] + list(ended) + list(missing)):
        done, stopped, failed = ended.get(name, (0, 0, 0))
        left = missing.get(name, 0)
        accounts.append(
            {
                "study": name,
                "planned": done + stopped + failed + left,
                "done": done,
                "stopped": stopped,
                "failed": failed,
                "missing": left,
            }
        )
    return accounts


def read_driver(folder: StudyFolder) -> dict[str, Any] | None:
    """Return who runs a study now, and how far it is; None if nobody does."""
    lease = read_lease(folder)
    if lease is None or not may_be_alive(lease):
        return None
    snapshot = parse_snapshot(read_progress(folder, lease.launch) or {})
    return {
        "study": folder.name,
        "driver": lease.driver,
        "progress": snapshot._asdict() if snapshot else None,
    }
