"""What a sampler is told of a branch."""

from typing import NamedTuple

from symstudy.identity import stream_key
from symstudy.launch.search.trials import Asked
from symstudy.study.search import Search

__all__ = ["History"]

LARGEST_SEED = 2**32


class History(NamedTuple):
    """The trials of a branch, without those that confirm others.

    Attributes:
        search: The search.
        branch: Number of the branch.
        trials: By number, with their results.
    """

    search: Search
    branch: int
    trials: tuple[Asked, ...]

    def value(self, asked: Asked) -> float | None:
        """Return the value of a trial, or None if it has none (yet)."""
        return asked.value(self.search.config.reduce)

    def seed(self, what: str) -> int:
        """Return the seed of the random numbers called `what`."""
        return stream_key(self.search.config.seed, f"search {self.branch} {what}") % LARGEST_SEED
