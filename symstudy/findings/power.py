"""What a number of seeds can show: the smallest effect, or the narrowest margin, that a test finds.

Everything is first in units of the standard deviation between seeds, which nobody knows before the
data; with results of the study at hand it is estimated, and effects are given in the claim's unit.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal, NamedTuple

from symstudy.findings.finding import Finding
from symstudy.statistics.part import ALPHA, Part
from symstudy.statistics.power import (
    POWER,
    detectable_effect,
    detectable_share,
    reachable_margin,
    seeds_needed,
    sign_effect,
    sign_margin,
    sign_seeds_needed,
    spread_between_seeds,
)

__all__ = ["POWER", "Detectable", "SeedTest", "power_of"]


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
        method: `t` for an interval of the mean, `sign` for exact sign tests of the median.
    """

    rule: str
    level: float = 0.95
    margin: float | None = None
    unit: str = ""
    by_run: bool = False
    method: Literal["t", "sign"] = "t"

    def covers(self, part: Part) -> bool:
        """Return whether `part` is the result of this test."""
        return part.test == self.rule if part.test else fnmatchcase(part.rule, self.rule)


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
            if test.covers(part)
            for spread in [spread_of(part, finding.seeds if finding else 0)]
            # What did not vary at all says nothing of how much it may.
            if spread
        ]
        sd = max(spreads, default=None)
        in_sd = smallest(test, seeds, power)
        effect = in_sd * sd if in_sd is not None and sd is not None else None
        needed = None
        if test.by_run:
            effect = detectable_share(seeds, power)
        elif test.margin is not None and sd:
            needed = fewest(test, test.margin / sd, power)
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


def spread_of(part: Part, seeds: int) -> float | None:
    """Return the standard deviation between seeds of what `part` tested; None if not known.

    Args:
        part: The part.
        seeds: Seeds of the finding, for an interval that does not know its own.
    """
    if part.spread is not None:
        return part.spread
    return spread_between_seeds(part.interval, seeds) if part.interval else None


def smallest(test: SeedTest, seeds: int, power: float) -> float | None:
    """Return what `test` finds, in standard deviations; None where so few seeds find nothing."""
    if test.by_run or seeds < 2:
        return None
    if test.method == "sign":
        find_exactly = sign_effect if test.margin is None else sign_margin
        return find_exactly(seeds, alpha=ALPHA, power=power)
    find = detectable_effect if test.margin is None else reachable_margin
    return find(seeds, level=test.level, power=power)


def fewest(test: SeedTest, margin: float, power: float) -> int | None:
    """Return how many seeds `test` needs for a margin in standard deviations; None if too many."""
    if test.method == "sign":
        return sign_seeds_needed(margin, alpha=ALPHA, power=power)
    return seeds_needed(margin, level=test.level, power=power)
