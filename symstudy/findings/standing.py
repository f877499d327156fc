"""Verdicts as they stand: corrected for the family that was declared, and none where data explore.

The headline verdict of a finding, everywhere, is the one here; the rule's own is told beside it.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from symstudy.findings.family import Family
from symstudy.findings.finding import Finding
from symstudy.statistics.families import correct_family, hold_parts
from symstudy.statistics.part import Part
from symstudy.statistics.verdict import Verdict

__all__ = ["Member", "Standing", "explore", "explored_part", "hold", "reason_of", "stand", "told"]

EXPLORED = (
    "A pilot explores and gives no verdict; to test the claim, run a study of another name with "
    "seeds of its own."
)


class Member(NamedTuple):
    """A finding as its family sees it.

    Attributes:
        key: The claim, as `study/claim`.
        verdict: By the rule alone.
        p_value: Of that verdict; None where there is none.
        family: The family.
        is_pilot: Whether the study explores: its findings are in no family.
    """

    key: str
    verdict: Verdict
    p_value: float | None
    family: Family
    is_pilot: bool = False


class Standing(NamedTuple):
    """The verdict on a finding after the correction for its family.

    Attributes:
        verdict: The headline verdict.
        alone: The verdict by the rule alone.
        p_value: Of the rule alone.
        adjusted: The p-value adjusted for the family; None where there is none.
        factor: By how much p-values count more in the family than alone.
        family: The family.
        tested: Claims of the family that have been tested.
        is_pilot: Whether the study explores, so that there is no verdict.
    """

    verdict: Verdict
    alone: Verdict
    p_value: float | None
    adjusted: float | None
    factor: float
    family: Family
    tested: int
    is_pilot: bool = False

    @property
    def falls(self) -> bool:
        """Whether the verdict is weaker in the family than alone."""
        return self.verdict is not self.alone

    @property
    def label(self) -> str:
        """The headline verdict as one word."""
        return "exploratory" if self.is_pilot else self.verdict.label

    @property
    def beside(self) -> str:
        """What is told beside the headline verdict; empty if there is nothing to tell."""
        if self.is_pilot:
            return "a pilot gives no verdict"
        if not self.falls:
            return ""
        return f"{self.alone.label} alone, p = {self.p_value:.2g}; {self.chance}"

    @property
    def chance(self) -> str:
        """The adjusted p-value in words, with the family that it is adjusted for."""
        missing = len(self.family.claims) - self.tested
        rest = f", {missing} of them not tested" if missing > 0 else ""
        p = "no p-value" if self.adjusted is None else f"p = {self.adjusted:.2g}"
        return f"{p} among {self.family.words}{rest}"


def stand(members: Sequence[Member]) -> list[Standing]:
    """Return how each finding stands among all of its family.

    Args:
        members: Every finding at hand; claims of a family without one count as not tested.
    """
    found: dict[int, Standing] = {}
    for family in dict.fromkeys(member.family for member in members):
        places = [
            i for i, each in enumerate(members) if each.family == family and not each.is_pilot
        ]
        there = [members[i] for i in places]
        tested = {each.key for each in there if each.verdict is not Verdict.UNTESTED}
        missing = len(set(family.claims) - {each.key for each in there})
        held = correct_family(
            [each.verdict for each in there],
            [each.p_value for each in there],
            missing=missing,
            level=family.level,
        )
        for i, each, one in zip(places, there, held, strict=True):
            found[i] = Standing(
                one.verdict, each.verdict, each.p_value, one.adjusted, one.factor, family,
                len(tested & set(family.claims)),
            )  # fmt: skip
    return [
        found[i]
        if i in found
        else Standing(
            Verdict.UNTESTED, Verdict.UNTESTED, None, None, 1.0, each.family, 0, is_pilot=True
        )
        for i, each in enumerate(members)
    ]


def hold(finding: Finding, standing: Standing) -> Finding:
    """Return a finding with verdict, parts and reason as they stand."""
    if standing.is_pilot:
        return explore(finding)
    return replace(
        finding,
        verdict=standing.verdict,
        reason=reason_of(standing, finding.reason),
        parts=hold_parts(finding.parts, standing.factor, standing.family.level),
    )


def reason_of(standing: Standing, alone: str) -> str:
    """Return why a finding stands as it does.

    Args:
        standing: How it stands.
        alone: Why its rule says what it says alone.
    """
    if standing.is_pilot:
        return EXPLORED
    if not standing.falls:
        return alone
    chance = f"{standing.chance[:1].upper()}{standing.chance[1:]}"
    return f"{chance}, above the level. Alone {standing.alone.label}: {alone}"


def explore(finding: Finding) -> Finding:
    """Return a finding of a pilot: its estimates, and no verdict of the whole or of a part."""
    return replace(
        finding,
        verdict=Verdict.UNTESTED,
        reason=EXPLORED,
        parts=tuple(map(explored_part, finding.parts)),
    )


def explored_part(part: Part) -> Part:
    """Return a part that is reported and gives no verdict."""
    return replace(part, verdict=Verdict.UNTESTED, decides=False, p_value=None)


def told(standing: Standing, caveats: Sequence[str]) -> str:
    """Return the headline of a finding: the verdict, and all that a reader must know beside it."""
    beside = "; ".join(filter(None, (standing.beside, *caveats)))
    return standing.label + (f" ({beside})" if beside else "")
