"""Search methods: pure functions from the trials so far to the next proposals.

Contract: a function of `METHODS` is given the search, the number of a branch and the trials of
that branch by number, and returns what it wants trained next. It keeps nothing, so a search goes on
after any death as if nothing had happened. An empty answer means to wait while trials are open, and
that the branch is done where none is.
"""

from collections.abc import Callable, Sequence

from symstudy.launch.search.bisection import bisect
from symstudy.launch.search.replication import replicate
from symstudy.launch.search.sampling import sample
from symstudy.launch.search.trials import EvaluatedTrial, Proposal
from symstudy.study.search import Search
from symstudy.study.search_keys import MODELS

__all__ = ["METHODS", "propose"]

METHODS: dict[str, Callable[[Search, int, Sequence[EvaluatedTrial]], list[Proposal]]] = {
    **dict.fromkeys(MODELS, sample),
    "bisect": bisect,
    "replicate": replicate,
}


def propose(search: Search, branch: int, asked: Sequence[EvaluatedTrial]) -> list[Proposal]:
    """Return the next proposals of a branch, by the search's method."""
    return METHODS[search.config.method](search, branch, asked)
