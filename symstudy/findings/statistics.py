"""Statistics of claims: seeds are the independent units, not rows.

Random numbers come from a named stream, so an interval is the same every time it is computed.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import optimize, stats

from symstudy.findings.finding import Interval, Part, Verdict
from symstudy.streams import Stream

__all__ = [
    "PowerLaw",
    "bootstrap",
    "bootstrap_test",
    "fit_power_law",
    "holm",
    "log_slope",
    "permutation_p",
    "seed_part",
    "seed_slopes",
    "spearman",
    "student_interval",
    "student_table",
]

DRAWS = 2000
HUBER = 0.1
"""Residuals of ln y beyond this count linearly: a tenth is 10 % of y."""

Array = NDArray[np.float64]


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
        seeds: The seeds there are; with fewer than three the interval is infinite.
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
    `statistic` of all seeds lies; never 0, and 1 below three seeds.

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
    is_above = statistic(seeds) > limit
    hits = int((values <= limit).sum() if is_above else (values >= limit).sum())
    p_value = min(1.0, (hits + 1) / (len(values) + 1))
    return percentile_interval(values, draws, level), p_value


def percentile_interval(values: Array, draws: int, level: float) -> Interval:
    """Return the percentiles of resampled values; infinite if less than half of `draws` is left."""
    if len(values) < draws / 2:
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
    places = Stream(0, stream).integers(count, draws, count)
    values = np.array([statistic([seeds[i] for i in row]) for row in places])
    finite: Array = values[np.isfinite(values)]
    return finite


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


def student_interval(values: ArrayLike, level: float = 0.95) -> Interval:
    """Return the t interval of the mean of one value a seed; infinite below two values."""
    data = np.asarray(values, float)
    data = data[np.isfinite(data)]
    if len(data) < 2:
        return Interval(-np.inf, np.inf, level)
    margin = stats.t.ppf(0.5 + level / 2, len(data) - 1) * data.std(ddof=1) / np.sqrt(len(data))
    return Interval(float(data.mean() - margin), float(data.mean() + margin), level, len(data))


def seed_part(
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
    and an interval of 90 % that is two one-sided tests at 5 %.

    Args:
        name: What is tested.
        values: One number a seed; what is not finite is left out.
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
    data = data[np.isfinite(data)]
    if len(data) < min_seeds:
        return Part(name=name, verdict=too_few, rule=rule, unit=unit, decides=decides)
    interval = student_interval(data, level)
    mean, verdict = float(data.mean()), interval.within(low, high)
    error = max(float(data.std(ddof=1)) / np.sqrt(len(data)), np.finfo(float).tiny)
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
    )


def seed_slopes(table: pd.DataFrame) -> Array:
    """Return the slope of ln value against ln column for each row of `table`, a seed.

    One number a seed: seeds are independent, so a t interval of these is one of the slope, and with
    five seeds it keeps its level where a percentile bootstrap does not.

    Args:
        table: A row a seed and a column a place on the axis; positive.
    """
    if table.empty:
        return np.zeros(0)
    places = np.log(table.columns.to_numpy(float))
    centred = places - places.mean()
    slopes: Array = np.log(table.to_numpy(float)) @ centred / (centred @ centred)
    return slopes


def log_slope(x: ArrayLike, y: ArrayLike) -> float:
    """Return the least-squares slope of ln y against ln x; NaN below two positive points."""
    xs, ys = np.asarray(x, float), np.asarray(y, float)
    keep = (xs > 0) & (ys > 0) & np.isfinite(xs) & np.isfinite(ys)
    if len(set(xs[keep].tolist())) < 2:
        return float("nan")
    return float(np.polyfit(np.log(xs[keep]), np.log(ys[keep]), 1)[0])


def spearman(x: ArrayLike, y: ArrayLike) -> float:
    """Return Spearman's rank correlation; NaN below three points, 0 where y is constant."""
    xs, ys = np.asarray(x, float), np.asarray(y, float)
    keep = np.isfinite(xs) & np.isfinite(ys)
    xs, ys = xs[keep], ys[keep]
    if len(xs) < 3 or len(set(xs.tolist())) < 2:
        return float("nan")
    if len(set(ys.tolist())) < 2:
        return 0.0
    # Pearson's correlation of the ranks; scipy's own function takes ten times as long.
    return float(np.corrcoef(stats.rankdata(xs), stats.rankdata(ys))[0, 1])


def permutation_p(
    statistic: Callable[[Array], float],
    values: Array,
    *,
    draws: int = DRAWS,
    stream: str = "permutation",
) -> float:
    """Return how often `statistic` of permuted `values` is at least that of `values`; never 0.

    References:
        Phipson and Smyth 2010: (b + 1) / (m + 1), so that no p-value is zero.
    """
    observed = statistic(values)
    source = Stream(0, stream)
    hits = sum(
        statistic(values[source.permutation(len(values), draw)]) >= observed
        for draw in range(draws)
    )
    return (hits + 1) / (draws + 1)


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values adjusted for the family by Holm's step-down method, in their own order.

    References:
        Holm 1979.
    """
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    adjusted = [0.0] * len(p_values)
    running = 0.0
    for rank, i in enumerate(order):
        running = max(running, min(1.0, (len(p_values) - rank) * p_values[i]))
        adjusted[i] = running
    return adjusted


class PowerLaw(NamedTuple):
    """A fitted law y = offset + amplitude x^exponent.

    Attributes:
        exponent: Dimensionless.
        amplitude: In units of y, at x = 1.
        offset: In units of y; 0 where none was fitted.
        residuals: ln y less the fitted ln y, a point each.
        held_out: ln y less its prediction at the largest x, from a fit without it; NaN below 4
            points.
        agreement: Share of the starts that reached the best loss.
    """

    exponent: float
    amplitude: float
    offset: float
    residuals: Array
    held_out: float
    agreement: float

    def predict(self, x: ArrayLike) -> Array:
        """Return the law at `x`."""
        law: Array = self.offset + self.amplitude * np.asarray(x, float) ** self.exponent
        return law


def fit_power_law(x: ArrayLike, y: ArrayLike, *, with_offset: bool = False) -> PowerLaw:
    """Fit a power law to positive points in log space with Huber's loss from several starts.

    Args:
        x: Abscissae, positive.
        y: Ordinates, positive.
        with_offset: Whether to fit y = offset + amplitude x^exponent with an offset of at least 0.

    Raises:
        ValueError: If there are fewer than 2 points (3 with an offset), or one is not positive.

    References:
        Hoffmann et al. 2022, Approach 3 (Huber loss of log residuals, many starts); the held-out
        largest scale follows the advice of Besiroglu et al. 2024 (arXiv:2404.10102) to show what a
        fit predicts.
    """
    xs, ys = np.asarray(x, float), np.asarray(y, float)
    needed = 3 if with_offset else 2
    if len(xs) < needed or not ((xs > 0).all() and (ys > 0).all()):
        raise ValueError(f"a power law needs {needed} positive points, but got x={xs}, y={ys}")
    exponent, amplitude, offset, agreement = fit_parameters(xs, ys, with_offset=with_offset)
    law = offset + amplitude * xs**exponent
    held_out = float("nan")
    if len(xs) > needed + 1:
        last = xs.argmax()
        keep = np.arange(len(xs)) != last
        b, a, e, _ = fit_parameters(xs[keep], ys[keep], with_offset=with_offset)
        held_out = float(np.log(ys[last]) - np.log(e + a * xs[last] ** b))
    return PowerLaw(exponent, amplitude, offset, np.log(ys) - np.log(law), held_out, agreement)


def fit_parameters(x: Array, y: Array, *, with_offset: bool) -> tuple[float, float, float, float]:
    """Return exponent, amplitude, offset and the agreement of the starts.

    Without an offset the loss is convex, so reweighted least squares find its only minimum.
    """
    slope, intercept = huber_line(np.log(x), np.log(y))
    if not with_offset:
        return slope, float(np.exp(intercept)), 0.0, 1.0

    def residual(parameters: Array) -> Array:
        log_law = np.logaddexp(parameters[1] + parameters[0] * np.log(x), parameters[2])
        difference: Array = np.log(y) - log_law
        return difference

    starts = [
        np.array([slope * factor, intercept + shift, np.log(y.min()) - drop])
        for factor in (0.5, 1.0, 2.0)
        for shift in (-1.0, 0.0, 1.0)
        for drop in (0.01, 1.0, 4.0)
    ]
    fits = [
        optimize.least_squares(residual, start, loss="huber", f_scale=HUBER) for start in starts
    ]
    best = min(fits, key=lambda fit: fit.cost)
    agreement = np.mean([fit.cost <= best.cost * (1 + 1e-6) + 1e-12 for fit in fits])
    return float(best.x[0]), float(np.exp(best.x[1])), float(np.exp(best.x[2])), float(agreement)


def huber_line(x: Array, y: Array) -> tuple[float, float]:
    """Return slope and intercept of the line with the least Huber loss.

    It is found by reweighted least squares.

    References:
        Huber 1981, ch. 7.8 (modified weights; the loss falls at every step).
    """
    weights = np.ones_like(x)
    slope = intercept = 0.0
    for _ in range(200):
        total = weights.sum()
        mean_x, mean_y = (weights @ x) / total, (weights @ y) / total
        before = slope
        slope = float(weights @ ((x - mean_x) * (y - mean_y)) / (weights @ (x - mean_x) ** 2))
        intercept = float(mean_y - slope * mean_x)
        size = np.abs(y - intercept - slope * x)
        weights = np.minimum(1.0, HUBER / np.maximum(size, 1e-300))
        if abs(slope - before) <= 1e-12 * max(1.0, abs(slope)):
            break
    return slope, intercept
