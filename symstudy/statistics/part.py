"""The result of one test of a claim, and the verdict of several together."""

import math
from dataclasses import dataclass

from symstudy.statistics.intervals import Interval
from symstudy.statistics.verdict import Verdict

__all__ = ["ALPHA", "Part", "combine", "counted_p", "refutation_p"]

ALPHA = 0.05
"""Chance of a wrong verdict, at most, of one claim or of a family."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """One test of a claim that has several.

    Attributes:
        name: What is tested.
        verdict: What the data say of this part alone.
        rule: What had to hold.
        effect: Estimate that is held against the rule.
        interval: Confidence interval of the effect.
        unit: Unit of the effect.
        decides: Whether the claim's verdict rests on it; otherwise it is reported beside.
        p_value: Chance of data that speak for this verdict at least as much as these, if what it
            says did not hold; None where the rule is exact or nothing was decided.
        seeds: Independent units that were tested; 0 if not known.
        spread: Standard deviation between seeds of the tested number; None if not known.
        test: Name of the planned test that this part carries out, as `SeedTest.rule` has it; empty
            for parts made by hand, which are matched by `rule`.
        note: Why nothing was decided, and what would decide it; empty if there is nothing to say.
    """

    name: str
    verdict: Verdict
    rule: str
    effect: float | None = None
    interval: Interval | None = None
    unit: str = ""
    decides: bool = True
    p_value: float | None = None
    seeds: int = 0
    spread: float | None = None
    test: str = ""
    note: str = ""


def counted_p(p_value: float) -> float:
    """Return a p-value as it counts: 1 where it is no number, since nothing was shown."""
    return 1.0 if math.isnan(p_value) else p_value


def refutation_p(parts: tuple[Part, ...]) -> float | None:
    """Return the p-value of refuting a claim by any of its deciding parts.

    The smallest p-value of the refuted parts times the number of deciding parts: who refutes by any
    of m parts has m chances to be wrong. 0 where an exact rule without a p-value is broken; None if
    no part is refuted. A p-value that is no number counts as 1.

    References:
        Bonferroni; the first step of Holm 1979.
    """
    deciding = [part for part in parts if part.decides]
    against = [part.p_value for part in deciding if part.verdict is Verdict.REFUTED]
    if not against:
        return None
    least = min(0.0 if p_value is None else counted_p(p_value) for p_value in against)
    return min(1.0, least * len(deciding))


def combine(parts: tuple[Part, ...], alpha: float = ALPHA) -> Verdict:
    """Return the verdict of a claim all of whose deciding parts must hold.

    Supported where all are, with a p-value that is a number or an exact rule (an intersection-union
    test, which needs no correction, Berger 1982);
    refuted where one is and its p-value, times the number of deciding parts, is at most `alpha`;
    untested where no part was tested at all; otherwise inconclusive.
    """
    verdicts = [
        part.verdict
        if part.p_value is None or not math.isnan(part.p_value)
        else Verdict.INCONCLUSIVE
        for part in parts
        if part.decides
    ]
    against = refutation_p(parts)
    if against is not None and against <= alpha:
        return Verdict.REFUTED
    if verdicts and all(verdict is Verdict.SUPPORTED for verdict in verdicts):
        return Verdict.SUPPORTED
    if all(verdict is Verdict.UNTESTED for verdict in verdicts):
        return Verdict.UNTESTED
    return Verdict.INCONCLUSIVE
