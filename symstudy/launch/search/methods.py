"""What to train next: pure functions of what was asked for and what became of it.

Contract: a function of `METHODS` is given the search, the number of a branch and the trials of
that branch by number, and returns what it wants trained next. It keeps nothing, so a search goes on
after any death as if nothing had happened. An empty answer means to wait while trials are open, and
that the branch is done where none is.
"""

from collections.abc import Callable, Sequence

from symstudy.launch.search.bisection import bisect
from symstudy.launch.search.replication import replicate
from symstudy.launch.search.sampling import sample
from symstudy.launch.search.trials import Asked, Proposal
from symstudy.study.search import MODELS, Search

__all__ = ["METHODS", "propose"]

METHODS: dict[str, Callable[[Search, int, Sequence[Asked]], list[Proposal]]] = {
    **dict.fromkeys(MODELS, sample),
    "bisect": bisect,
    "replicate": replicate,
}


def propose(search: Search, branch: int, asked: Sequence[Asked]) -> list[Proposal]:
    """Return what a branch of a search wants trained next."""
    return METHODS[search.config.method](search, branch, asked)
