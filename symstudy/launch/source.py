"""Sources of packs: a launcher asks one for packs to train until there are no more."""

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Container, Iterable
from typing import NamedTuple

from symstudy.launch.messages import PackReport
from symstudy.study.packs import Pack

__all__ = ["AbstractPackSource", "PackAssignment", "PlannedSource"]


class PackAssignment(NamedTuple):
    """A pack to train, with what a worker needs to find its runs.

    Attributes:
        pack: The pack.
        file: Name of the file in `packs/`, without its ending, that lists the pack's runs.
        certified: Whether one of its runs is trained once more alone, to compare the numbers.
    """

    pack: Pack
    file: str
    certified: bool = False


class AbstractPackSource(ABC):
    """Yields packs to train, one at a time, until there are no more.

    Contract: used by one thread. A pack is yielded once; a launcher whose worker dies trains the
    same assignment again. For every assignment exactly one of two methods is called: `ended`, after
    the pack's rows are in the store, which may make new packs; or `lost`.
    """

    @abstractmethod
    def next_assignment(self) -> PackAssignment | None:
        """Return the next pack to train, or None if there is none before others have ended."""

    @property
    @abstractmethod
    def is_over(self) -> bool:
        """Whether there will never be another pack."""

    @abstractmethod
    def ended(self, report: PackReport) -> None:
        """Record that a worker has finished with a pack."""

    @abstractmethod
    def lost(self, pack_id: str) -> None:
        """Record that a pack was given up after too many of its workers died."""


class PlannedSource(AbstractPackSource):
    """Yields a fixed list of packs: those of a grid."""

    def __init__(
        self, packs: Iterable[Pack], file: str, certified: Container[str] = frozenset()
    ) -> None:
        """Yield `packs` in their order.

        Args:
            packs: Packs to train.
            file: Name of the file in `packs/` that lists their runs.
            certified: Identifiers of the packs of which a run is trained once more alone.
        """
        self.left = deque(PackAssignment(pack, file, pack.pack_id in certified) for pack in packs)

    def next_assignment(self) -> PackAssignment | None:
        """Return the next pack, or None if there is none left."""
        return self.left.popleft() if self.left else None

    @property
    def is_over(self) -> bool:
        """Whether all packs have been yielded."""
        return not self.left

    def ended(self, report: PackReport) -> None:
        """Do nothing: the list of packs is fixed."""

    def lost(self, pack_id: str) -> None:
        """Do nothing: the list of packs is fixed."""
