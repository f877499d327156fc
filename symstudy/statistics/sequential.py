"""Looking at data more than once without raising the chance of a wrong decision.

A mean that is judged by a 95 % interval after 5, 10, 20, 40 and 80 seeds, stopping as soon as the
interval decides, is judged wrongly in 18 % of cases, not in 5 %. A group-sequential plan gives each
look an interval of its own, wider than that of a single look, such that all of them together hold
the true mean with the stated confidence: repeated confidence intervals. So it does not matter when
and why one stops, as long as the looks were planned.

References:
    Lan and DeMets 1983, Biometrika 70 (spending functions); Armitage, McPherson and Rowe 1969 (the
    recursion); Jennison and Turnbull 1989, JRSS B 51 (repeated confidence intervals), and their
    book of 2000, section 3.8, for the unknown variance: the nominal level of each look is kept and
    the normal quantile is replaced by Student's.
"""

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special

from symstudy.statistics.intervals import TIED

__all__ = ["Decision", "LookPlan", "judge_looks", "p_of_looks", "plan_looks"]

NODES = 256
"""Points of the quadrature; halving them changes no level in the eighth digit."""
FARTHEST = 12.0
"""No boundary is sought beyond so many standard deviations."""
STEP, LEAST = 1.25, 1e-9
"""Factor between the levels that a p-value is sought among, and the least of them."""


class LookPlan(NamedTuple):
    """When data are looked at, and how strictly.

    Attributes:
        counts: Units, such as seeds, at each look.
        levels: Two-sided error of the interval of each look.
        alpha: Chance that any of the intervals leaves out the true mean.
    """

    counts: tuple[int, ...]
    levels: tuple[float, ...]
    alpha: float


class Decision(NamedTuple):
    """What was decided, at the first look that could, or what the last look says.

    Attributes:
        verdict: `inside`, `outside` or, undecided, an empty string.
        mean: Of the values at that look; NaN without values.
        low: Lower end of the repeated confidence interval.
        high: Upper end.
        units: Units of that look; 0 before the first.
        values: Values among them.
    """

    verdict: str
    mean: float
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


@functools.cache
def plan_looks(counts: tuple[int, ...], alpha: float) -> LookPlan:
    """Return the levels of looks at `counts` units whose errors sum up to `alpha`.

    Let S_k be the sum of the first n_k units over the standard deviation of all n_K, a Brownian
    motion at times n_k / n_K. With f_k the density of S_k where no look before has crossed its
    boundary, the chance to cross at look k is an integral over f_(k-1), which a boundary is solved
    for, and f_k is f_(k-1), cut off there, convolved with the increment.

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
    times = [count / counts[-1] for count in counts]
    unit_nodes, unit_weights = np.polynomial.legendre.leggauss(NODES)
    nodes, mass = np.zeros(1), np.ones(1)
    levels: list[float] = []
    before = spent = 0.0
    for time in times:
        sigma = math.sqrt(time - before)
        target = spend(time, alpha) - spent
        bound = solve_boundary(nodes, mass, sigma, target, FARTHEST * math.sqrt(time))
        levels.append(2.0 * float(special.ndtr(-bound / math.sqrt(time))))
        points = bound * unit_nodes
        gaps = (points[:, None] - nodes[None, :]) / sigma
        density = (np.exp(-0.5 * gaps**2) / (sigma * math.sqrt(2 * math.pi))) @ mass
        nodes, mass = points, density * bound * unit_weights
        before, spent = time, spent + target
    return LookPlan(counts, tuple(levels), alpha)


def solve_boundary(
    nodes: NDArray[np.float64], mass: NDArray[np.float64], sigma: float, target: float, far: float
) -> float:
    """Return b such that |S| > b has the chance `target`, S being a node plus a normal step."""

    def excess(bound: float) -> float:
        over = special.ndtr((nodes - bound) / sigma) + special.ndtr((-bound - nodes) / sigma)
        return float(mass @ over) - target

    return bisect_root(excess, 0.0, far)


def bisect_root(falling: Callable[[float], float], low: float, high: float) -> float:
    """Return where a falling function changes its sign."""
    for _ in range(200):
        middle = 0.5 * (low + high)
        if middle in (low, high):
            break
        low, high = (middle, high) if falling(middle) > 0 else (low, middle)
    return 0.5 * (low + high)


def interval(values: Sequence[float], level: float) -> tuple[float, float, float]:
    """Return the mean and both ends of its t interval of two-sided error `level`."""
    data = np.asarray(values, float)
    if len(data) == 0:
        return math.nan, -math.inf, math.inf
    mean = float(data.mean()) if not np.isinf(data).any() else math.nan
    if len(data) < 2 or math.isnan(mean):
        return mean, -math.inf, math.inf
    quantile = float(special.stdtrit(len(data) - 1, 1.0 - level / 2.0))
    margin = quantile * float(data.std(ddof=1)) / math.sqrt(len(data))
    return mean, mean - margin, mean + margin


def agree_by_sign(
    values: Sequence[float], verdict: str, bottom: float, top: float, level: float
) -> bool:
    """Return whether sign tests agree with what an interval of values that repeat says.

    Of n values the number on one side of the true median is binomial with 1/2, whatever the
    distribution: what all n have in common has a p-value of 2^-n, not 0. Values that all differ
    have a spread that can be trusted as much as an interval of Student's can. What differs by
    rounding repeats.

    Args:
        values: What was seen.
        verdict: `inside` or `outside`.
        bottom: Lower end of the claimed range.
        top: Upper end.
        level: Two-sided error of the look.
    """
    data = np.asarray(values, float)
    steps = np.diff(np.sort(data))
    if bool((steps > TIED * np.abs(data).max(initial=0.0)).all()):
        return True
    inside = [int((data >= bottom).sum()), int((data <= top).sum())]
    beyond = max(int((data > top).sum()), int((data < bottom).sum()))
    hits = min(inside) if verdict == "inside" else beyond
    # Chance of at least so many hits.
    chance = float(special.bdtrc(hits - 1, len(data), 0.5)) if hits else 1.0
    return chance <= level / 2.0


def judge_looks(
    values: Mapping[int, float],
    plan: LookPlan,
    *,
    low: float | None = None,
    high: float | None = None,
    seeds: int,
) -> Decision:
    """Return what the first look that decides says of the claim that a mean lies in a range.

    Args:
        values: By unit, such as a seed, from 0; units without a value, or of one that is NaN, are
            not there. Where a value is infinite, so is the mean, and nothing is decided.
        plan: When to look.
        low: Lower end of the claimed range; none if None.
        high: Upper end; none if None.
        seeds: Units that there are; a look at more of them has not happened yet.

    Returns:
        `inside` where the interval lies within the range, `outside` where it lies outside of it; a
        claim that holds is called `outside` with a chance of at most alpha over all looks, and one
        that does not is called `inside` with the same. Of values that repeat, such as counts, an
        interval may shrink to a point, so a sign test of the look's level must agree.
    """
    bottom = -math.inf if low is None else low
    top = math.inf if high is None else high
    decision = UNSEEN
    for count, level in zip(plan.counts, plan.levels, strict=True):
        if count > seeds:
            break
        seen = [v for unit, v in values.items() if unit < count and not math.isnan(v)]
        mean, least, most = interval(seen, level)
        verdict = ""
        if bottom <= least and most <= top:
            verdict = "inside"
        elif least > top or most < bottom:
            verdict = "outside"
        if verdict and not agree_by_sign(seen, verdict, bottom, top, level):
            verdict = ""
        decision = Decision(verdict, mean, least, most, count, len(seen))
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
