"""What a number of seeds can show: the smallest effect, or the narrowest margin, that a test finds.

Everything is in units of the standard deviation between seeds, for normal values.
"""

import functools
import math
from collections.abc import Callable

from scipy import integrate, optimize, stats

from symstudy.statistics.intervals import Interval
from symstudy.statistics.part import ALPHA

__all__ = [
    "MOST_SEEDS",
    "POWER",
    "detectable_effect",
    "detectable_share",
    "reachable_margin",
    "seeds_needed",
    "sign_effect",
    "sign_margin",
    "sign_seeds_needed",
    "spread_between_seeds",
]

POWER = 0.8
"""Chance with which an effect that is there is to be found."""
MOST_SEEDS = 100_000
"""Beyond so many nobody looks further."""


def spread_between_seeds(interval: Interval, seeds: int) -> float | None:
    """Return the standard deviation between seeds that a t interval of their mean rests on.

    The half-width of the interval is t s / sqrt(n), so s is known from it.

    Args:
        interval: Of the mean.
        seeds: Values it was made of, if the interval itself does not know.
    """
    count = interval.units or seeds
    half = (interval.high - interval.low) / 2
    if count < 2 or not math.isfinite(half):
        return None
    return float(half * math.sqrt(count) / quantile(count, interval.level))


def quantile(seeds: int, level: float) -> float:
    """Return by how many standard errors a t interval of so many seeds reaches to each side."""
    return float(stats.t.ppf(0.5 + level / 2, seeds - 1))


@functools.cache
def detectable_effect(seeds: int, *, level: float = 0.95, power: float = POWER) -> float:
    """Return the least distance of the true mean from a bound that is found, in sd between seeds.

    The interval of `level` lies wholly on the right side of the bound when t = distance sqrt(n) / s
    is at least its quantile; t has the noncentral t distribution with n - 1 degrees of freedom.

    Args:
        seeds: At least 2.
        level: Of the two-sided interval.
        power: Chance with which it is found.

    References:
        Cohen 1988, ch. 2 (power of t tests).
    """
    limit, root = quantile(seeds, level), math.sqrt(seeds)

    def lacking(distance: float) -> float:
        found = 1.0 - float(stats.nct.cdf(limit, seeds - 1, distance * root))
        return found - power

    return solve(lacking)


@functools.cache
def reachable_margin(seeds: int, *, level: float = 0.9, power: float = POWER) -> float:
    """Return the least margin within which a mean at its centre is shown to lie, in sd.

    The interval lies within +-m when |mean| + t s / sqrt(n) <= m. Given s the mean is normal, and
    (n - 1) s^2 has a chi-squared distribution, over which the chance is integrated.

    Args:
        seeds: At least 2.
        level: Of the two-sided interval; 0.9 makes two one-sided tests at 5 %.
        power: Chance with which it is shown.

    References:
        Schuirmann 1987 (two one-sided tests); the exact power by conditioning on s is Owen 1965.
    """
    limit, root, freedom = quantile(seeds, level), math.sqrt(seeds), seeds - 1

    def lacking(margin: float) -> float:
        def density(scaled: float) -> float:
            # scaled = s sqrt(n - 1) / sigma has a chi distribution.
            left = root * margin - limit * scaled / math.sqrt(freedom)
            inside = 2.0 * float(stats.norm.cdf(left)) - 1.0
            return inside * float(stats.chi.pdf(scaled, freedom))

        most = root * margin * math.sqrt(freedom) / limit
        # Where the density has its mass: the rest of a long range would hide it.
        low, high = stats.chi.ppf([1e-12, 1.0 - 1e-12], freedom)
        if most <= low:
            return -power
        found, _ = integrate.quad(density, low, min(most, high), limit=200)
        return float(found) - power

    return solve(lacking)


def solve(lacking: Callable[[float], float]) -> float:
    """Return where an increasing function of a positive number passes 0."""
    high = 1.0
    while lacking(high) < 0:
        high *= 2.0
    return float(optimize.brentq(lacking, 0.0, high, xtol=1e-10))


def detectable_share(seeds: int, power: float = POWER) -> float:
    """Return the share of seeds that must violate a rule for one of `seeds` to show it.

    Of n independent seeds none violates it with chance (1 - p)^n.
    """
    return -math.expm1(math.log1p(-power) / seeds)


def seeds_needed(margin: float, *, level: float = 0.9, power: float = POWER) -> int | None:
    """Return how many seeds a margin needs, given in sd between seeds.

    Returns:
        The number; None if it is beyond 100,000.
    """
    low, high = 1, 2
    while reachable_margin(high, level=level, power=power) > margin:
        low, high = high, 2 * high
        if high > MOST_SEEDS:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        if reachable_margin(middle, level=level, power=power) > margin:
            low = middle
        else:
            high = middle
    return high


def sign_hits(seeds: int, alpha: float) -> int:
    """Return how many seeds must lie on one side of a bound for a sign test at `alpha`."""
    return int(stats.binom.isf(alpha, seeds, 0.5)) + 1


@functools.cache
def sign_effect(seeds: int, *, alpha: float = ALPHA, power: float = POWER) -> float | None:
    """Return the least distance of the median from a bound that a sign test finds, in sd.

    Args:
        seeds: Number of seeds.
        alpha: One-sided level.
        power: Chance with which it is found.

    Returns:
        The distance; None where so few seeds cannot reach the level.
    """
    hits = sign_hits(seeds, alpha)
    if hits > seeds:
        return None
    # The chance of one seed at which `hits` of them lie on the right side with chance `power`.
    share = float(stats.beta.ppf(power, hits, seeds - hits + 1))
    return float(stats.norm.ppf(share))


@functools.cache
def sign_margin(seeds: int, *, alpha: float = ALPHA, power: float = POWER) -> float | None:
    """Return the least margin that two sign tests show of a median at its centre, in sd.

    Args:
        seeds: Number of seeds.
        alpha: One-sided level of each of the two tests.
        power: Chance with which it is shown.

    Returns:
        The margin; None where so few seeds cannot reach the level.
    """
    misses = seeds - sign_hits(seeds, alpha)
    if misses < 0:
        return None

    def lacking(margin: float) -> float:
        beyond = float(stats.norm.sf(margin))
        rest = beyond / (1.0 - beyond)
        # At most `misses` seeds below, and of the others at most as many above.
        found = sum(
            float(stats.binom.pmf(below, seeds, beyond))
            * float(stats.binom.cdf(misses, seeds - below, rest))
            for below in range(misses + 1)
        )
        return found - power

    return solve(lacking)


def sign_seeds_needed(margin: float, *, alpha: float = ALPHA, power: float = POWER) -> int | None:
    """Return how many seeds two sign tests need for a margin, given in sd between seeds.

    Returns:
        The number; None if it is beyond 500.
    """
    for seeds in range(1, 501):
        reached = sign_margin(seeds, alpha=alpha, power=power)
        if reached is not None and reached <= margin:
            return seeds
    return None
