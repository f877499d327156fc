"""What a claim's test returns."""

import math
from dataclasses import asdict, dataclass
from enum import Enum
from typing import Any, NamedTuple

__all__ = ["Finding", "Interval", "Part", "Verdict", "combine"]


class Verdict(Enum):
    """What the data say of a claim; the value is a sentence for a reader."""

    SUPPORTED = "The data meet the rule."
    REFUTED = "The data break the rule, in this setting."
    INCONCLUSIVE = "The data cannot decide by the rule."
    UNTESTED = "There are no data that the rule is about."

    @property
    def label(self) -> str:
        """The verdict as one word."""
        return self.name.lower()


class Interval(NamedTuple):
    """A confidence interval.

    Attributes:
        low: Lower end.
        high: Upper end.
        level: Confidence.
        units: Independent values that a t interval was made of, seeds mostly; 0 if not known.
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


@dataclass(frozen=True, kw_only=True)
class Part:
    """One test of a claim that has several.

    Attributes:
        name: What is tested.
        verdict: Of this part.
        rule: What had to hold.
        effect: What was estimated.
        interval: Its confidence interval.
        unit: What the effect is measured in.
        decides: Whether the claim's verdict rests on it; otherwise it is reported beside.
        p_value: Chance of data that speak for this verdict at least as much as these, if what it
            says did not hold; None where the rule is exact or nothing was decided.
    """

    name: str
    verdict: Verdict
    rule: str
    effect: float | None = None
    interval: Interval | None = None
    unit: str = ""
    decides: bool = True
    p_value: float | None = None


@dataclass(frozen=True, kw_only=True)
class Finding:
    """The verdict on a claim, with what it rests on.

    Attributes:
        verdict: What the data say.
        reason: Why, in a sentence with numbers.
        effect: The main estimate.
        interval: Its confidence interval.
        unit: What the effect is measured in.
        seeds: Independent units behind it: seeds, not rows.
        threshold: What the effect is held against.
        parts: Tests it is made of.
        excluded: Runs that are no evidence, by why.
    """

    verdict: Verdict
    reason: str
    effect: float | None = None
    interval: Interval | None = None
    unit: str = ""
    seeds: int = 0
    threshold: str = ""
    parts: tuple[Part, ...] = ()
    excluded: tuple[tuple[str, int], ...] = ()

    @property
    def p_value(self) -> float | None:
        """Chance of data that speak for the verdict at least as much as these, if it were wrong.

        A claim is supported where all of its parts are, so its p-value is the largest of theirs (an
        intersection-union test, Berger 1982); it is refuted where any is, so it is the smallest
        times their number (Bonferroni). None where the verdict rests on an exact rule, or there is
        none.
        """
        parts = [part for part in self.parts if part.decides]
        tested = [part for part in parts if part.p_value is not None]
        if self.verdict is Verdict.SUPPORTED and tested:
            return max(part.p_value for part in tested if part.p_value is not None)
        against = [part for part in parts if part.verdict is Verdict.REFUTED]
        if self.verdict is Verdict.REFUTED and against:
            least = [part.p_value for part in against if part.p_value is not None]
            if len(least) == len(against):
                return min(1.0, min(least) * len(parts))
        return None

    def to_json(self) -> dict[str, Any]:
        """Return the finding as plain values."""
        values = asdict(self)
        values["p_value"] = self.p_value
        values["verdict"] = self.verdict.label
        values["interval"] = self.interval._asdict() if self.interval else None
        for part, plain in zip(self.parts, values["parts"], strict=True):
            plain["verdict"] = part.verdict.label
            plain["interval"] = part.interval._asdict() if part.interval else None
        values["excluded"] = dict(self.excluded)
        return values


def combine(parts: tuple[Part, ...]) -> Verdict:
    """Return the verdict of a claim all of whose deciding parts must hold.

    One refuted part refutes; otherwise one part that is not supported leaves the claim
    inconclusive, or untested where no part was tested at all.
    """
    verdicts = [part.verdict for part in parts if part.decides]
    if Verdict.REFUTED in verdicts:
        return Verdict.REFUTED
    if verdicts and all(verdict is Verdict.SUPPORTED for verdict in verdicts):
        return Verdict.SUPPORTED
    if all(verdict is Verdict.UNTESTED for verdict in verdicts):
        return Verdict.UNTESTED
    return Verdict.INCONCLUSIVE
