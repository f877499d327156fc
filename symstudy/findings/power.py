"""What a number of seeds can show: the smallest effect, or the narrowest margin, that a test finds.

Everything is first in units of the standard deviation between seeds, which nobody knows before the
data; with results of the study at hand it is estimated, and effects are given in the claim's unit.
"""

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import NamedTuple

from scipy import integrate, optimize, stats

from symstudy.findings.finding import Finding, Interval, Part

__all__ = [
    "POWER",
    "Detectable",
    "SeedTest",
    "detectable_effect",
    "detectable_share",
    "power_of",
    "reachable_margin",
    "seeds_needed",
    "spread_between_seeds",
]

POWER = 0.8
"""Chance with which an effect that is there is to be found."""
MOST_SEEDS = 100_000
"""Beyond so many nobody looks further."""


@dataclass(frozen=True, kw_only=True)
class SeedTest:
    """A test that a claim makes of one number a seed, as far as its power depends on it.

    Without a margin an interval is held against a bound; with one it has to lie within the margin:
    two one-sided tests. With `by_run` there is no interval: runs that break the rule are sought.

    Attributes:
        rule: The rule of the claim's parts that are tested so, as `Part.rule` has it; a pattern
            where it holds numbers that the data decide, such as `within 0.07 of *`.
        level: Of the t interval that decides; each side's error rate is half of what is missing.
        margin: Half the width of what is claimed, in `unit`; None for a bound.
        unit: What is measured.
        by_run: Whether it is runs that decide, each by itself.
    """

    rule: str
    level: float = 0.95
    margin: float | None = None
    unit: str = ""
    by_run: bool = False


ASSUMED = SeedTest(rule="*", unit="")
"""What a claim that declares no tests is taken to make: a 95 % interval against a bound."""


class Detectable(NamedTuple):
    """What one test of a claim can find.

    Attributes:
        claim: Name of the claim.
        rule: Of the test.
        kind: `bound`, `margin` or `run`.
        level: Of the interval.
        seeds: How many.
        in_sd: For a bound, the smallest distance of the true mean from it that is found; for a
            margin, the smallest that can be shown where the true mean is at its centre; in standard
            deviations between seeds. None where single runs decide, or with one seed.
        sd: Standard deviation between seeds, as estimated from results, the largest of the parts
            that are tested so; None without results.
        effect: `in_sd` in the claim's unit; for `run` the smallest share of the seeds that has to
            violate the rule for one of them to be seen.
        unit: Of `sd` and `effect`.
        margin: What the rule asks for; None for a bound.
        needed: Seeds that the margin needs; None where it is not known.
        is_assumed: Whether the claim declares no tests, so that a usual one is taken for it.
    """

    claim: str
    rule: str
    kind: str
    level: float
    seeds: int
    in_sd: float | None
    sd: float | None
    effect: float | None
    unit: str
    margin: float | None
    needed: int | None
    is_assumed: bool

    @property
    def is_enough(self) -> bool | None:
        """Whether the margin can be shown with these seeds; None where that is not known."""
        if self.margin is None or self.effect is None:
            return None
        return self.effect <= self.margin


def power_of(
    name: str,
    tests: Sequence[SeedTest],
    seeds: int,
    *,
    finding: Finding | None = None,
    power: float = POWER,
) -> list[Detectable]:
    """Return what each test of a claim can find with a number of seeds.

    Args:
        name: Name of the claim.
        tests: That it declares; one usual one is assumed if there are none.
        seeds: How many of them every cell is to have.
        finding: Of the claim on results that there are already, to estimate the spread between
            seeds from.
        power: Chance with which an effect that is there is found.
    """
    parts = finding.parts if finding else ()
    if finding and not parts and finding.interval:
        # A finding without parts is its own.
        verdict, effect = finding.verdict, finding.effect
        parts = (
            Part(name=name, verdict=verdict, rule="", effect=effect, interval=finding.interval),
        )
    rows = []
    for test in tests or (ASSUMED,):
        spreads = [
            spread
            for part in parts
            if fnmatchcase(part.rule, test.rule) and part.interval
            for spread in [spread_between_seeds(part.interval, finding.seeds if finding else 0)]
            if spread is not None
        ]
        sd = max(spreads, default=None)
        in_sd = smallest(test, seeds, power)
        effect = in_sd * sd if in_sd is not None and sd is not None else None
        needed = None
        if test.by_run:
            effect = detectable_share(seeds, power)
        elif test.margin is not None and sd:
            needed = seeds_needed(test.margin / sd, level=test.level, power=power)
        rows.append(
            Detectable(
                claim=name,
                rule=test.rule if tests else "not declared; a bound is assumed",
                kind="run" if test.by_run else "bound" if test.margin is None else "margin",
                level=test.level,
                seeds=seeds,
                in_sd=in_sd,
                sd=sd,
                effect=effect,
                unit="share of seeds" if test.by_run else test.unit,
                margin=test.margin,
                needed=needed,
                is_assumed=not tests,
            )
        )
    return rows


def smallest(test: SeedTest, seeds: int, power: float) -> float | None:
    """Return what `test` finds, in standard deviations; None where there is no such number."""
    if test.by_run or seeds < 2:
        return None
    find = detectable_effect if test.margin is None else reachable_margin
    return find(seeds, level=test.level, power=power)


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
