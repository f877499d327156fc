"""Runs that other studies of the same results have too: one piece of evidence, not two.

A run is known by its configuration and seed, whatever its study is called. So a study that was
copied under another name has the same runs, and a verdict on it repeats the first one.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from symstudy.errors import StoreError
from symstudy.store import StudyFolder
from symstudy.store.files.siblings import studies_beside
from symstudy.store.tables.ledger import ended_runs

__all__ = ["EndedRuns", "shared_notes"]


class EndedRuns:
    """The runs of studies that are done or stopped, each study read once.

    Attributes:
        known: Those of each study, by the path of its folder.
    """

    def __init__(self) -> None:
        """See the class."""
        self.known: dict[str, set[str]] = {}

    def of(self, folder: StudyFolder) -> set[str]:
        """Return the runs of a study.

        Raises:
            StoreError: If they cannot be read.
        """
        if folder.path not in self.known:
            self.known[folder.path] = ended_runs(folder, failed_count=False)
        return self.known[folder.path]


def shared_notes(
    folder: StudyFolder, claim: str, others: frozenset[str], ended: EndedRuns
) -> Iterator[str]:
    """Yield a note on each study beside this one that has some of its runs and a verdict of them.

    Args:
        folder: Of the study.
        claim: Name of the claim that is tested: studies that serve it count.
        others: Names of studies whose claims are in the same family: they count too.
        ended: What has been read of the studies.

    Raises:
        StoreError: If the runs of the study cannot be read.
    """
    for other in studies_beside(folder):
        record = other.read_study()
        if not is_judged(record, claim, others):
            continue
        own = ended.of(folder)
        try:
            theirs = ended.of(other)
        except StoreError:
            # Another study that is damaged keeps no verdict from being told.
            continue
        count = len(own & theirs)
        if count:
            name = other.name if other.name != folder.name else f"its copy in {other.place}"
            yield f"{count} of {len(own)} runs are those of {name} too: one piece of evidence"


def is_judged(record: Mapping[str, Any], claim: str, others: frozenset[str]) -> bool:
    """Return whether a study has a verdict on the same claim, or one in the same family."""
    claims = record.get("claims", [])
    return claim in claims or (bool(claims) and record.get("name") in others)
