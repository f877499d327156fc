"""The trials of a branch as a sampler sees them."""

from collections.abc import Sequence
from typing import NamedTuple

from symstudy.identity import stream_key
from symstudy.launch.search.trials import REDUCERS, EvaluatedTrial
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

    def values(self, trials: Sequence[EvaluatedTrial]) -> list[float | None]:
        """Return the objective of each trial reduced over its runs, for a sampler to learn from.

        A run that diverged counts as worse than every run of `trials` that has a value, and so does
        a trial none of whose runs is feasible: a sampler that is told nothing of them asks for more
        of their kind. None for a trial that is open or has failed for another reason, such as
        memory, and as long as no run has a value.
        """
        config = self.search.config
        bad = worse_than(
            [value for trial in trials for value in trial.values],
            is_minimized=config.direction == "minimize",
        )
        found = []
        for trial in trials:
            told = list(trial.values)
            if bad is not None:
                told += [bad] * trial.num_diverged
                if not told and trial.is_infeasible:
                    told = [bad]
            found.append(None if trial.is_open or not told else REDUCERS[config.reduce](told))
        return found

    def seed(self, what: str) -> int:
        """Return the seed of the random numbers called `what`."""
        return stream_key(self.search.config.seed, f"search {self.branch} {what}") % LARGEST_SEED


def worse_than(values: Sequence[float], *, is_minimized: bool) -> float | None:
    """Return a value that is worse than all of `values` by their spread; None if there are none."""
    if not values:
        return None
    spread = (max(values) - min(values)) or abs(values[0]) or 1.0
    return max(values) + spread if is_minimized else min(values) - spread
