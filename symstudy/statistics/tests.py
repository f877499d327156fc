"""P-values over seeds: sign tests, one-sided and equivalence t tests, draws by chance, pooling."""

import functools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from symstudy.statistics.intervals import (
    DRAWS,
    TIED,
    Interval,
    all_alike,
    finite,
    median_interval,
    student_interval,
)
from symstudy.statistics.part import ALPHA, Part
from symstudy.statistics.streams import generator
from symstudy.statistics.verdict import Verdict

__all__ = [
    "Decided",
    "decide_median",
    "drawn_p",
    "fewest_seeds",
    "fisher_p",
    "median_part",
    "permutation_p",
    "seed_part",
    "sign_p",
]

Array = NDArray[np.float64]

LARGEST = 1e300
"""Stands for infinity where values are ranked."""


class Decided(NamedTuple):
    """What one number a seed says of a claimed range of the median seed.

    Attributes:
        verdict: Supported, refuted or inconclusive.
        effect: Median over seeds; NaN without values.
        interval: Exact interval of the median, of at least 90 % where there are five seeds.
        p_value: p-value of the verdict; None where nothing was decided.
    """

    verdict: Verdict
    effect: float
    interval: Interval
    p_value: float | None


@functools.cache
def sign_p(hits: int, count: int) -> float:
    """Return the chance of at least `hits` of `count` seeds where each hits in half of the cases.

    References:
        Arbuthnot 1710; Conover 1999, ch. 3.4 (the sign test).
    """
    return float(stats.binom.sf(hits - 1, count, 0.5))


def decide_median(
    values: ArrayLike,
    low: float = -np.inf,
    high: float = np.inf,
    *,
    comparisons: int = 1,
    alpha: float = ALPHA,
) -> Decided:
    """Test that the median seed lies from `low` to `high`, by exact sign tests.

    Nothing is assumed of the distribution, so the level holds for skewed and discrete values and
    for values that are the same in all seeds. Supported where two one-sided sign tests show the
    median to be above `low` and below `high`, each at `alpha` (equivalence); refuted where one of
    them shows it to be outside, at `alpha` in all: at half of it for each end where there are two.

    Args:
        values: One number a seed; what is not finite is left out.
        low: Lower end of what is claimed.
        high: Upper end of what is claimed.
        comparisons: Number of such tests any of which would refute (Bonferroni).
        alpha: Level.
    """
    data = finite(values)
    count = len(data)
    interval = median_interval(data, 1.0 - 2.0 * alpha)
    if count == 0:
        return Decided(Verdict.INCONCLUSIVE, float("nan"), interval, None)
    effect = float(np.median(data))
    inside = max(sign_p(int((data >= low).sum()), count), sign_p(int((data <= high).sum()), count))
    ends = int(np.isfinite(low)) + int(np.isfinite(high))
    beyond = min(sign_p(int((data < low).sum()), count), sign_p(int((data > high).sum()), count))
    outside = min(1.0, beyond * max(1, ends) * comparisons)
    if inside <= alpha:
        return Decided(Verdict.SUPPORTED, effect, interval, inside)
    if outside <= alpha:
        return Decided(Verdict.REFUTED, effect, interval, outside)
    return Decided(Verdict.INCONCLUSIVE, effect, interval, None)


def fewest_seeds(comparisons: int = 1, alpha: float = ALPHA) -> int:
    """Return the number of seeds below which no sign test can be at `alpha` after correction."""
    return int(np.ceil(np.log2(comparisons / alpha) - 1e-12))


def seed_part(  # noqa: PLR0913  # one test with all that it may be held against
    name: str,
    values: ArrayLike,
    *,
    low: float = -np.inf,
    high: float = np.inf,
    level: float = 0.9,
    rule: str,
    unit: str = "",
    decides: bool = True,
    min_seeds: int = 3,
    too_few: Verdict = Verdict.UNTESTED,
) -> Part:
    """Return the test that the mean of one value a seed lies from `low` to `high`.

    Supported where all of the t interval lies there, refuted where none of it does; with both ends
    and an interval of 90 % that is two one-sided tests at 5 %. Where a value is infinite, so is the
    mean, and nothing is decided; nor is it where all values are the same, since what does not vary
    says nothing of how far the mean is off.

    Args:
        name: What is tested.
        values: One number a seed; what is NaN is left out.
        low: Lower end of what is claimed.
        high: Upper end of what is claimed.
        level: Confidence of the interval.
        rule: What must hold, in words.
        unit: What the values are measured in.
        decides: Whether the claim's verdict rests on it.
        min_seeds: With fewer values nothing is decided.
        too_few: The verdict then.

    References:
        Schuirmann 1987 (two one-sided tests); Student 1908.
    """
    data = np.asarray(values, float)
    data = data[~np.isnan(data)]
    if len(data) < min_seeds:
        return Part(name=name, verdict=too_few, rule=rule, unit=unit, decides=decides)
    if np.isinf(data).any():
        return Part(
            name=name,
            verdict=Verdict.INCONCLUSIVE,
            rule=rule,
            unit=unit,
            decides=decides,
            seeds=len(data),
            note=f"{int(np.isinf(data).sum())} of {len(data)} seeds are infinite, and so is their "
            "mean; median_part has a test of the median",
        )
    if all_alike(data):
        said = "the only value" if len(data) == 1 else f"the value of all {len(data)} seeds"
        return Part(
            name=name,
            verdict=Verdict.INCONCLUSIVE,
            rule=rule,
            effect=float(data.mean()) if len(data) else None,
            unit=unit,
            decides=decides,
            seeds=len(data),
            note=f"{data[0]:.6g} is {said}, so that nothing says how much it varies; median_part "
            "tests the median by counts alone"
            if len(data)
            else "no seed has a value",
        )
    interval = student_interval(data, level)
    mean, verdict = float(data.mean()), interval.within(low, high)
    error = float(data.std(ddof=1)) / np.sqrt(len(data))
    above, below = (mean - low) / error, (high - mean) / error
    inside = float(stats.t.sf(min(above, below), len(data) - 1))
    p_value = {Verdict.SUPPORTED: inside, Verdict.REFUTED: 1.0 - inside}.get(verdict)
    return Part(
        name=name,
        verdict=verdict,
        rule=rule,
        effect=mean,
        interval=interval,
        unit=unit,
        decides=decides,
        p_value=p_value,
        seeds=len(data),
        spread=float(data.std(ddof=1)),
    )


def median_part(
    name: str,
    values: ArrayLike,
    *,
    low: float = -np.inf,
    high: float = np.inf,
    rule: str,
    unit: str = "",
    decides: bool = True,
    min_seeds: int = 3,
) -> Part:
    """Return the test that the median of one value a seed lies from `low` to `high`.

    By exact sign tests, as `decide_median` has them.

    Args:
        name: What is tested.
        values: One number a seed; what is not a number is left out.
        low: Lower end of what is claimed.
        high: Upper end of what is claimed.
        rule: What must hold, in words.
        unit: Unit of the values.
        decides: Whether the claim's verdict rests on it.
        min_seeds: With fewer values the part is untested.
    """
    data = np.asarray(values, float)
    data = data[~np.isnan(data)]
    if len(data) < min_seeds:
        return Part(name=name, verdict=Verdict.UNTESTED, rule=rule, unit=unit, decides=decides)
    # What never happens is farther outside than any number.
    decided = decide_median(np.clip(data, -LARGEST, LARGEST), low, high)
    return Part(
        name=name,
        verdict=decided.verdict,
        rule=rule,
        effect=decided.effect if abs(decided.effect) < LARGEST else None,
        interval=decided.interval if np.abs(decided.interval[:2]).max() < LARGEST else None,
        unit=unit,
        decides=decides,
        p_value=decided.p_value,
        seeds=len(data),
        spread=float(data.std(ddof=1)) if len(data) > 1 and np.isfinite(data).all() else None,
    )


def drawn_p(observed: float, drawn: ArrayLike) -> float:
    """Return how often a statistic drawn by chance is at least the observed one; never 0.

    What differs by rounding is equal: the same sum in another order would else count as smaller. A
    drawn statistic that is NaN counts as large.

    Args:
        observed: The statistic.
        drawn: The same, drawn by chance.

    Returns:
        A p-value; NaN where `observed` is.

    References:
        Phipson and Smyth 2010: (b + 1) / (m + 1), so that no p-value is zero.
    """
    if np.isnan(observed):
        return float("nan")
    values = np.asarray(drawn, float)
    known = values[np.isfinite(values)]
    size = max(abs(observed) if np.isfinite(observed) else 0.0, np.abs(known).max(initial=0.0))
    is_smaller = values < observed - TIED * size
    return float((~is_smaller).sum() + 1) / (len(values) + 1)


def fisher_p(p_values: ArrayLike) -> float:
    """Return the pooled p-value of independent tests of one hypothesis; NaN if one is, or none is.

    References:
        Fisher 1925, ch. 4 (minus twice the sum of logarithms is chi-squared).
    """
    values = np.asarray(p_values, float)
    if not len(values) or np.isnan(values).any():
        return float("nan")
    if (values == 0.0).any():
        return 0.0
    return float(stats.combine_pvalues(values, method="fisher").pvalue)


def permutation_p(
    statistic: Callable[[Array], float],
    values: Array,
    *,
    draws: int = DRAWS,
    stream: str = "permutation",
) -> float:
    """Return how often `statistic` of permuted `values` is at least that of `values`; never 0."""
    source = generator(stream)
    drawn = [statistic(values[source.permutation(len(values))]) for _ in range(draws)]
    return drawn_p(statistic(values), drawn)
