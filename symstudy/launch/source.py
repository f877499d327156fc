"""Where a launcher's packs come from: a plan that is made, or one that grows as runs end."""

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Container, Iterable
from typing import NamedTuple

from symstudy.launch.job import PackReport
from symstudy.study.packs import Pack

__all__ = ["AbstractPackSource", "Order", "PlannedSource"]


class Order(NamedTuple):
    """A pack to be trained.

    Attributes:
        pack: The pack.
        file: Name of the file in `packs/`, without its ending, that tells workers its runs.
        certified: Whether one of its runs is trained once more alone.
    """

    pack: Pack
    file: str
    certified: bool = False


class AbstractPackSource(ABC):
    """Hands out packs, one at a time, until there are no more.

    Contract: used by one thread. A pack is handed out once; a launcher whose worker dies trains the
    same order again. `ended` is called once for every order, after its rows are in the store, and
    may make new packs; or else `lost`.
    """

    @abstractmethod
    def next_order(self) -> Order | None:
        """Return the next pack to train, or None if there is none before others have ended."""

    @property
    @abstractmethod
    def is_over(self) -> bool:
        """Whether there will never be another pack."""

    @abstractmethod
    def ended(self, report: PackReport) -> None:
        """Take note of a pack that is accounted for."""

    @abstractmethod
    def lost(self, pack_id: str) -> None:
        """Take note of a pack that cost too many workers and is given up: its runs stay missing."""


class PlannedSource(AbstractPackSource):
    """Packs that are all known beforehand: a grid."""

    def __init__(
        self, packs: Iterable[Pack], file: str, certified: Container[str] = frozenset()
    ) -> None:
        """Hand out `packs` in their order.

        Args:
            packs: The packs.
            file: Name of the file of packs that holds their runs.
            certified: Identifiers of the packs of which a run is trained once more alone.
        """
        self.left = deque(Order(pack, file, pack.pack_id in certified) for pack in packs)

    def next_order(self) -> Order | None:
        """Return the next pack, or None if there is none left."""
        return self.left.popleft() if self.left else None

    @property
    def is_over(self) -> bool:
        """Whether all packs have been handed out."""
        return not self.left

    def ended(self, report: PackReport) -> None:
        """Nothing depends on it."""

    def lost(self, pack_id: str) -> None:
        """Nothing depends on it."""
