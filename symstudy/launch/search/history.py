"""The trials of a branch as a sampler sees them."""

from typing import NamedTuple

from symstudy.identity import stream_key
from symstudy.launch.search.trials import EvaluatedTrial
from symstudy.study.search import Search

__all__ = ["History"]

LARGEST_SEED = 2**32


class History(NamedTuple):
    """The trials of a branch, without those that confirm others.

    Attributes:
        search: Search of the study.
        branch: Number of the branch.
        trials: Trials by number, with their results.
    """

    search: Search
    branch: int
    trials: tuple[EvaluatedTrial, ...]

    def value(self, asked: EvaluatedTrial) -> float | None:
        """Return the objective of a trial reduced over its runs, or None if it has none (yet)."""
        return asked.value(self.search.config.reduce)

    def seed(self, what: str) -> int:
        """Return the seed of the random numbers called `what`."""
        return stream_key(self.search.config.seed, f"search {self.branch} {what}") % LARGEST_SEED
