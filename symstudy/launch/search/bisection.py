"""Bisection for the value of a field at which a condition changes.

Each round asks for a few points inside of the bracket at once, since a pack trains them in the time
of one; with q points the bracket shrinks by q + 1. Seeds need not agree: the change is placed where
the fewest of them contradict a single step.
"""

from collections.abc import Sequence
from typing import NamedTuple

from symstudy.launch.search.trials import EvaluatedTrial, Proposal
from symstudy.study.search import Search

__all__ = ["Bracket", "bisect", "find_bracket"]


class Bracket(NamedTuple):
    """Interval in which the condition changes.

    Attributes:
        low: Share of the way through the field's range, from 0 to 1.
        high: The same of the upper end.
    """

    low: float
    high: float

    @property
    def width(self) -> float:
        """Share of the whole range."""
        return self.high - self.low


def bisect(search: Search, branch: int, asked: Sequence[EvaluatedTrial]) -> list[Proposal]:
    """Return the next points of a bisection: first both ends, then points within the bracket."""
    del branch
    config = search.config
    (dimension,) = search.space
    left = config.trials - len(asked)
    if any(a.is_open for a in asked) or left <= 0:
        return []
    if not asked:
        shares = [place / (config.batch + 1) for place in range(config.batch + 2)]
    else:
        bracket = find_bracket(search, asked)
        if bracket is None or bracket.width <= config.resolution:
            return []
        step = bracket.width / (config.batch + 1)
        shares = [bracket.low + step * place for place in range(1, config.batch + 1)]
    taken = {a.trial.point[dimension.field] for a in asked}
    values = dict.fromkeys(dimension.at(share) for share in shares)
    points = [value for value in values if value not in taken]
    return [Proposal({dimension.field: value}, search.seeds) for value in points[:left]]


def find_bracket(search: Search, asked: Sequence[EvaluatedTrial]) -> Bracket | None:
    """Return the bracket that the ended trials leave, or None if the condition does not change.

    At each point every seed says whether the condition holds (its value is above 0). For a change
    between two neighbouring points the seeds that contradict it are counted; the bracket spans all
    places with the least count. Ends of the range whose majorities agree have no bracket.
    """
    (dimension,) = search.space
    said: list[tuple[float, int, int]] = []
    for a in asked:
        if not a.is_open and a.values:
            place = dimension.share(a.trial.point[dimension.field])
            holds = sum(v > 0 for v in a.values)
            said.append((place, holds, len(a.values) - holds))
    said.sort()
    if len(said) < 2:
        return None
    first, last = (yes > no for _, yes, no in (said[0], said[-1]))
    if first == last:
        return None
    # Seeds that contradict a change right of each point: those on its left that say what the right
    # end says, and those on its right that say what the left end says.
    as_first = [yes if first else no for _, yes, no in said]
    as_last = [no if first else yes for _, yes, no in said]
    against = [
        sum(as_last[: place + 1]) + sum(as_first[place + 1 :]) for place in range(len(said) - 1)
    ]
    places = [place for place, count in enumerate(against) if count == min(against)]
    return Bracket(said[places[0]][0], said[places[-1] + 1][0])
