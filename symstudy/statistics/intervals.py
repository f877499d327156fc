"""Confidence intervals over seeds: Student's t, the bootstrap, and an exact one of the median."""

import functools
import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from symstudy.statistics.streams import generator
from symstudy.statistics.verdict import Verdict

__all__ = [
    "DRAWS",
    "Interval",
    "all_alike",
    "bootstrap",
    "bootstrap_test",
    "finite",
    "median_interval",
    "student_interval",
    "student_table",
]

DRAWS = 2000
TIED = 1e-12
"""Difference of two numbers, relative to the largest, that is taken for rounding."""

Array = NDArray[np.float64]


class Interval(NamedTuple):
    """A confidence interval.

    Attributes:
        low: Lower end.
        high: Upper end.
        level: Confidence.
        units: Independent values that it was made of, seeds mostly; 0 if not known.
    """

    low: float
    high: float
    level: float = 0.95
    units: int = 0

    def __str__(self) -> str:
        """Both ends, to three digits."""
        return f"[{self.low:.3g}, {self.high:.3g}]"

    def within(self, low: float = -math.inf, high: float = math.inf) -> Verdict:
        """Return what the interval says of a number that is claimed to lie from `low` to `high`.

        Supported where all of the interval lies there, refuted where none of it does: with an
        interval of 90 %, being supported is the outcome of two one-sided tests at 5 %.
        """
        if low <= self.low and self.high <= high:
            return Verdict.SUPPORTED
        if self.low > high or self.high < low:
            return Verdict.REFUTED
        return Verdict.INCONCLUSIVE


def finite(values: ArrayLike) -> Array:
    """Return the finite values as an array."""
    data = np.asarray(values, float)
    kept: Array = data[np.isfinite(data)]
    return kept


def all_alike(values: ArrayLike) -> bool:
    """Return whether finite values differ by rounding at most: they show no spread at all."""
    data = np.asarray(values, float)
    if not len(data):
        return True
    return bool(np.ptp(data) <= TIED * np.abs(data).max())


def median_interval(values: ArrayLike, level: float = 0.9) -> Interval:
    """Return the interval between two order statistics that holds the median with `level`.

    It is exact for every distribution: skewed, discrete, or the same in all seeds. Of n values the
    k-th smallest and k-th largest leave out the median with a chance of at most 2 P(B < k) for B
    binomial with n trials of 1/2. So five values are the fewest for 90 %, six for 95 %; below, the
    interval is infinite.

    Args:
        values: One number a seed; what is not finite is left out.
        level: Confidence that is asked for; the interval returned says the one it has.

    References:
        Thompson 1936 (order statistics as confidence limits of the median).
    """
    data = np.sort(finite(values))
    count = len(data)
    kept, missed = order_place(count, level)
    if kept == 0:
        return Interval(-math.inf, math.inf, level, count)
    return Interval(float(data[kept - 1]), float(data[count - kept]), 1.0 - missed, count)


@functools.cache
def order_place(count: int, level: float) -> tuple[int, float]:
    """Return which order statistic the interval of a median ends at, and its error; 0 if none."""
    kept, missed = 0, 1.0
    for place in range(1, count // 2 + 1):
        error = 2.0 * float(stats.binom.cdf(place - 1, count, 0.5))
        if error > 1.0 - level + 1e-12:
            break
        kept, missed = place, error
    return kept, missed


def student_interval(values: ArrayLike, level: float = 0.95) -> Interval:
    """Return the t interval of the mean of one value a seed.

    It is infinite below two values, and where all are the same: without any spread nothing says how
    far the mean is off.

    References:
        Student 1908.
    """
    data = finite(values)
    if len(data) < 2 or all_alike(data):
        return Interval(-np.inf, np.inf, level)
    margin = stats.t.ppf(0.5 + level / 2, len(data) - 1) * data.std(ddof=1) / np.sqrt(len(data))
    return Interval(float(data.mean() - margin), float(data.mean() + margin), level, len(data))


def student_table(runs: pd.DataFrame, by: str, value: str) -> pd.DataFrame:
    """Return mean and 95 % t interval of `value` at each place of `by`, a row a place.

    Args:
        runs: A row a seed and place.
        by: Column of the places.
        value: Column of the values.

    Returns:
        With the columns `by`, mean, low, high and seeds.
    """
    rows = []
    for place, values in runs.groupby(by)[value]:
        interval = student_interval(values)
        rows.append((place, values.mean(), interval.low, interval.high, len(values)))
    return pd.DataFrame(rows, columns=[by, "mean", "low", "high", "seeds"])


def bootstrap(
    statistic: Callable[[Sequence[int]], float],
    seeds: Sequence[int],
    *,
    draws: int = DRAWS,
    level: float = 0.95,
    stream: str = "bootstrap",
) -> Interval:
    """Return the percentile interval of `statistic` when seeds are resampled with replacement.

    Args:
        statistic: Called with a list of seeds, some of them repeated; NaN draws are left out.
        seeds: The seeds there are; with fewer than three the interval is infinite, and so it is
            where all resamples give the same.
        draws: Resamples.
        level: Confidence.
        stream: Name of the random stream.

    References:
        Efron and Tibshirani 1993, ch. 13 (percentile interval).
    """
    return percentile_interval(resampled(statistic, seeds, draws, stream), draws, level)


def bootstrap_test(
    statistic: Callable[[Sequence[int]], float],
    seeds: Sequence[int],
    limit: float,
    *,
    draws: int = DRAWS,
    level: float = 0.95,
    stream: str = "bootstrap",
) -> tuple[Interval, float]:
    """Return the interval of `bootstrap`, and how often the same draws lie beyond `limit`.

    That share is the level at which the interval ends at the limit, seen from the side on which
    `statistic` of all seeds lies; never 0. It is 1 below three seeds, where all resamples give the
    same, and where `statistic` of all seeds is no number.

    Args:
        statistic: Called with a list of seeds, some of them repeated.
        seeds: The seeds there are.
        limit: What the statistic is held against.
        draws: Resamples.
        level: Confidence.
        stream: Name of the random stream.

    References:
        Efron and Tibshirani 1993, ch. 15.4 (achieved significance level by inverting the interval).
    """
    values = resampled(statistic, seeds, draws, stream)
    observed = statistic(seeds)
    if not math.isfinite(observed) or all_alike(values):
        return Interval(-np.inf, np.inf, level), 1.0
    is_above = observed > limit
    hits = int((values <= limit).sum() if is_above else (values >= limit).sum())
    p_value = min(1.0, (hits + 1) / (len(values) + 1))
    return percentile_interval(values, draws, level), p_value


def percentile_interval(values: Array, draws: int, level: float) -> Interval:
    """Return the percentiles of resampled values; infinite if there are few or all are alike."""
    if len(values) < draws / 2 or all_alike(values):
        return Interval(-np.inf, np.inf, level)
    tail = (1.0 - level) / 2.0
    low, high = np.quantile(values, [tail, 1.0 - tail])
    return Interval(float(low), float(high), level)


def resampled(
    statistic: Callable[[Sequence[int]], float], seeds: Sequence[int], draws: int, stream: str
) -> Array:
    """Return `statistic` of resampled seeds where it is finite; nothing below three seeds."""
    count = len(seeds)
    if count < 3:
        return np.zeros(0)
    places = generator(stream).integers(count, size=(draws, count))
    values = np.array([statistic([seeds[i] for i in row]) for row in places])
    finite: Array = values[np.isfinite(values)]
    return finite
