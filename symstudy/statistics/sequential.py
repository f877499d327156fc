"""Looking at data more than once without raising the chance of a wrong decision.

A median that is judged by a sign test at 5 % after 10, 20, 40, 80 and 160 seeds, stopping as soon
as the test decides, is judged wrongly far more often than in 5 % of cases. A group-sequential plan
gives each look a share of the error, and asks at each for so many values on one side of a bound
that all looks together spend no more than that. So it does not matter when and why one stops, as
long as the looks were planned.

Of values whose median is a bound, the number above it is a sum of fair coins, whatever their
distribution: the chance of every course of such numbers is known exactly, and no assumption is
made of skewness, spread or ties.

References:
    Lan and DeMets 1983, Biometrika 70 (spending functions); Armitage, McPherson and Rowe 1969 (the
    recursion, here over whole numbers); Jennison and Turnbull 2000, chapters 9 (repeated confidence
    intervals) and 12 (exact tests of binary values).
"""

import functools
import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from scipy import stats

__all__ = ["Decision", "LookPlan", "judge_looks", "p_of_looks", "plan_looks"]

STEP = 1.25
"""Factor between the levels that a p-value is sought among."""
LEAST = 1e-12
"""The least of these levels."""
ROUNDING = 1e-12
"""Share of an error that rounding may add to a chance."""


class LookPlan(NamedTuple):
    """When data are looked at, and how strictly.

    Attributes:
        counts: Units, such as seeds, at each look.
        spent: Error that may have been spent by each look, of both sides together.
        alpha: Chance that any of the looks is wrong.
    """

    counts: tuple[int, ...]
    spent: tuple[float, ...]
    alpha: float


class Decision(NamedTuple):
    """What was decided, at the first look that could, or what the last look says.

    Attributes:
        verdict: `inside`, `outside` or, undecided, an empty string.
        median: Of the values at that look; NaN without values.
        low: Lower end of the repeated confidence interval of the median.
        high: Upper end.
        units: Units of that look; 0 before the first.
        values: Values among them.
    """

    verdict: str
    median: float
    low: float
    high: float
    units: int
    values: int

    @property
    def is_decided(self) -> bool:
        """Whether there is a verdict."""
        return bool(self.verdict)


UNSEEN = Decision("", math.nan, -math.inf, math.inf, 0, 0)


def spend(share: float, alpha: float) -> float:
    """Return the error that is spent by the time a share of the units is there.

    Lan and DeMets' function of Pocock's type: about the same strictness at every look, so that what
    is clear is decided early.
    """
    return alpha * math.log(1.0 + (math.e - 1.0) * share)


def plan_looks(counts: tuple[int, ...], alpha: float) -> LookPlan:
    """Return looks at `counts` units whose errors sum up to `alpha`.

    Args:
        counts: Growing numbers of units.
        alpha: Chance, above 0 and below 1.

    Raises:
        ValueError: If `counts` is empty or does not grow, or alpha is out of range.
    """
    if not counts or list(counts) != sorted(set(counts)) or counts[0] < 1:
        raise ValueError(f"`counts` must be growing numbers of units, but got {counts!r}")
    if not 0 < alpha < 1:
        raise ValueError(f"`alpha` must be above 0 and below 1, but got {alpha!r}")
    spent = tuple(spend(count / counts[-1], alpha) for count in counts)
    return LookPlan(tuple(counts), spent, alpha)


@functools.lru_cache(maxsize=4096)
def needed_hits(numbers: tuple[int, ...], spent: tuple[float, ...]) -> tuple[int, ...]:
    """Return how many values on one side of a bound each look asks for.

    Of values whose median is the bound, the chance that a look is the first to have so many is at
    most its share of the error of one side, half of the whole. What whole numbers leave of a share
    is not spent later: so a smaller error asks for as many or more at every look.

    Args:
        numbers: Values at each look; they do not fall.
        spent: Error of both sides that may have been spent by each look.

    Returns:
        A number a look; one more than its values where it cannot decide.
    """
    alive, before, spent_before = np.ones(1), 0, 0.0
    needed = []
    for number, allowed in zip(numbers, spent, strict=True):
        step = number - before
        alive = np.convolve(alive, stats.binom.pmf(np.arange(step + 1), step, 0.5))
        # Chance to have come here without a decision, and to have at least so many hits.
        tails = np.append(np.cumsum(alive[::-1])[::-1], 0.0)
        share = 0.5 * (allowed - spent_before) * (1.0 + ROUNDING)
        least = int(np.argmax(tails <= share))
        alive[least:] = 0.0
        needed.append(least)
        before, spent_before = number, allowed
    return tuple(needed)


def judge_looks(
    values: Mapping[int, float],
    plan: LookPlan,
    *,
    low: float | None = None,
    high: float | None = None,
    seeds: int,
) -> Decision:
    """Return what the first look that decides says of the claim that a median lies in a range.

    Args:
        values: By unit, such as a seed, from 0; units without a value, or of one that is NaN, are
            not there.
        plan: When to look.
        low: Lower end of the claimed range; none if None.
        high: Upper end; none if None.
        seeds: Units that there are; a look at more of them has not happened yet.

    Returns:
        `inside` where the interval lies within the range, `outside` where it lies outside of it; a
        claim that holds is called `outside` with a chance of at most alpha over all looks, and one
        that does not is called `inside` with the same.
    """
    bottom = -math.inf if low is None else low
    top = math.inf if high is None else high
    seen = [
        sorted(v for unit, v in values.items() if unit < count and not math.isnan(v))
        for count in plan.counts
        if count <= seeds
    ]
    needed = needed_hits(tuple(map(len, seen)), plan.spent[: len(seen)])
    decision = UNSEEN
    for count, there, hits in zip(plan.counts, seen, needed, strict=False):
        can_decide = 0 < hits <= len(there)
        least = there[-hits] if can_decide else -math.inf
        most = there[hits - 1] if can_decide else math.inf
        verdict = ""
        if can_decide and bottom <= least and most <= top:
            verdict = "inside"
        elif least > top or most < bottom:
            verdict = "outside"
        median = float(np.median(there)) if there else math.nan
        decision = Decision(verdict, median, least, most, count, len(there))
        if verdict:
            break
    return decision


def p_of_looks(
    values: Mapping[int, float],
    plan: LookPlan,
    *,
    low: float | None = None,
    high: float | None = None,
    seeds: int,
) -> float | None:
    """Return the p-value of what `judge_looks` decides; None where it decides nothing.

    It is the least error of a plan of the same looks at which one of those that have happened
    decides the same. Units stop being added at the first look that decides at the plan's own error,
    so a smaller one has fewer looks to decide at: the chance of a p-value of at most p is at most
    p, for each p up to the plan's alpha. Errors are tried a quarter apart, and the larger is told.

    Args:
        values: As for `judge_looks`.
        plan: The looks that were planned.
        low: Lower end of the claimed range; none if None.
        high: Upper end; none if None.
        seeds: Units that there are.

    References:
        Jennison and Turnbull 2000, section 9.2: repeated p-values.
    """
    verdict = judge_looks(values, plan, low=low, high=high, seeds=seeds).verdict
    if not verdict:
        return None
    # Decided after no steps; a smaller error decides less.
    least, most = 0, int(math.log(plan.alpha / LEAST, STEP)) + 1
    while most - least > 1:
        middle = (least + most) // 2
        stricter = plan_looks(plan.counts, plan.alpha / STEP**middle)
        decision = judge_looks(values, stricter, low=low, high=high, seeds=seeds)
        least, most = (middle, most) if decision.verdict == verdict else (least, middle)
    return plan.alpha / STEP**least
