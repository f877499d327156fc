"""Rules made of rules: all of several; needed, reported, on settled values; runs to draw."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import final

import numpy as np

from symstudy.findings.evidence import Evidence
from symstudy.findings.power import SeedTest
from symstudy.findings.rules.base import AbstractRule, Data, Headline, Need, Tested
from symstudy.findings.rules.sweep import AbstractSweepRule
from symstudy.statistics.part import Part
from symstudy.statistics.verdict import Verdict

__all__ = ["All", "Needed", "Reported", "Settled", "Shown"]


@final
@dataclass(frozen=True, init=False)
class All(AbstractRule):
    """All of several rules must hold.

    Supported where all are (an intersection-union test at 5 %); refuted where one is whose p-value,
    times the number of deciding parts, is at most 5 %.

    Attributes:
        rules: The rules; the first says what a finding shows first.
    """

    rules: tuple[AbstractRule, ...]

    def __init__(self, *rules: AbstractRule) -> None:
        """See the class."""
        object.__setattr__(self, "rules", rules)

    @property
    def needs(self) -> tuple[Need, ...]:
        """What its rules need."""
        return tuple(need for rule in self.rules for need in rule.needs)

    @property
    def prose(self) -> str:
        """Its rules in words, numbered."""
        prose = [rule.prose for rule in self.rules if rule.prose]
        told = "; ".join(f"({i}) {words}" for i, words in enumerate(prose, 1))
        return (
            f"All must hold: {told}. Refuted where one part is, at 5 % after Bonferroni's "
            "correction for the number of parts."
        )

    @property
    def tests(self) -> tuple[SeedTest, ...]:
        """What its rules test, each once."""
        return tuple(dict.fromkeys(test for rule in self.rules for test in rule.tests))

    def judge(self, data: Data) -> tuple[Tested, ...]:
        """Return the parts of its rules."""
        return tuple(one for rule in self.rules for one in rule.judge(data))

    def headline(self, tested: Sequence[Tested]) -> Headline:
        """Return what the rule of the first part shows."""
        rule = tested[0].rule
        return rule.headline([one for one in tested if one.rule == rule])


@final
@dataclass(frozen=True)
class Reported(AbstractRule):
    """A rule whose parts are reported and decide nothing.

    Attributes:
        rule: The rule.
    """

    rule: AbstractRule

    @property
    def needs(self) -> tuple[Need, ...]:
        """What the rule needs."""
        return self.rule.needs

    @property
    def prose(self) -> str:
        """The rule in words."""
        return f"reported only: {self.rule.prose}"

    @property
    def tests(self) -> tuple[SeedTest, ...]:
        """Nothing: no number of seeds is planned for it."""
        return ()

    def judge(self, data: Data) -> tuple[Tested, ...]:
        """Return the parts of the rule as such that decide nothing."""
        return tuple(
            one._replace(part=replace(one.part, decides=False)) for one in self.rule.judge(data)
        )

    def headline(self, tested: Sequence[Tested]) -> Headline:
        """Return what the rule shows."""
        return self.rule.headline(tested)


@final
@dataclass(frozen=True)
class Needed(AbstractRule):
    """A rule that must be shown for support, and whose failure refutes nothing.

    For signs that a claim may fail where nothing was measured, such as a value on its way to 0
    between two places of a sweep: with such a sign the claim is open.

    Attributes:
        rule: The rule.
    """

    rule: AbstractRule

    @property
    def needs(self) -> tuple[Need, ...]:
        """What the rule needs."""
        return self.rule.needs

    @property
    def prose(self) -> str:
        """The rule in words."""
        return f"needed for support, and no refutation where it fails: {self.rule.prose}"

    @property
    def tests(self) -> tuple[SeedTest, ...]:
        """What the rule tests."""
        return self.rule.tests

    def judge(self, data: Data) -> tuple[Tested, ...]:
        """Return the parts of the rule, inconclusive where it fails."""
        return tuple(one._replace(part=left_open(one.part)) for one in self.rule.judge(data))

    def headline(self, tested: Sequence[Tested]) -> Headline:
        """Return what the rule shows."""
        return self.rule.headline(tested)


@final
@dataclass(frozen=True)
class Settled(AbstractRule):
    """A rule on values that no longer fall in training; otherwise its parts are inconclusive.

    Attributes:
        rule: The rule; it is about a sweep.
        earlier: Column with the same value at an earlier probe.
        within: Largest relative fall since then, in the mean over seeds at any tested place.
    """

    rule: AbstractSweepRule
    earlier: str
    within: float = 0.01

    @property
    def needs(self) -> tuple[Need, ...]:
        """What the rule needs, and the earlier value."""
        more = Need(self.rule.runs, (self.earlier,))
        return (*self.rule.needs, more)

    @property
    def prose(self) -> str:
        """The rule in words."""
        return (
            f"{self.rule.prose}; inconclusive where, at a tested place, it has fallen by more than "
            f"{self.within:.0%} since {self.earlier.replace('_', ' ')}"
        )

    @property
    def tests(self) -> tuple[SeedTest, ...]:
        """What the rule tests."""
        return self.rule.tests

    def judge(self, data: Data) -> tuple[Tested, ...]:
        """Return the parts of the rule, inconclusive where the value still falls."""
        rows = data.rows(self.rule.runs)
        settled = []
        for one in self.rule.judge(data):
            used = rows[rows[self.rule.along].isin(one.table.columns)]
            for column, value in one.group.items():
                used = used[used[column] == value]
            if one.part.verdict is Verdict.UNTESTED or used.empty:
                settled.append(one)
                continue
            change = np.log(used[self.earlier] / used[self.rule.value])
            fall = 1.0 - float(np.exp(-change.groupby(used[self.rule.along]).mean().max()))
            settled.append(one if fall <= self.within else still_falling(one, fall))
        return tuple(settled)

    def headline(self, tested: Sequence[Tested]) -> Headline:
        """Return what the rule shows."""
        return self.rule.headline(tested)


@final
@dataclass(frozen=True)
class Shown(AbstractRule):
    """Runs that the figure of a claim shows; nothing is judged by them.

    Attributes:
        runs: Runs that count.
        columns: Columns that are read.
    """

    runs: Evidence
    columns: tuple[str, ...]

    @property
    def needs(self) -> tuple[Need, ...]:
        """The columns."""
        return (Need(self.runs, self.columns),)

    @property
    def prose(self) -> str:
        """Nothing."""
        return ""

    @property
    def tests(self) -> tuple[SeedTest, ...]:
        """Nothing."""
        return ()

    def judge(self, data: Data) -> tuple[Tested, ...]:
        """Return no parts."""
        del data
        return ()

    def headline(self, tested: Sequence[Tested]) -> Headline:
        """Return nothing to show first."""
        del tested
        return Headline(None, None, "", "")


def left_open(part: Part) -> Part:
    """Return a part as one that refutes nothing."""
    if part.verdict is not Verdict.REFUTED:
        return part
    note = "this leaves the claim open and does not refute it"
    return replace(part, verdict=Verdict.INCONCLUSIVE, p_value=None, note=note)


def still_falling(tested: Tested, fall: float) -> Tested:
    """Return a part as one that cannot decide yet."""
    part = replace(
        tested.part,
        name=f"{tested.part.name}, falling by {fall:.0%} since the earlier probe",
        verdict=Verdict.INCONCLUSIVE,
        p_value=None,
        note="More steps would decide, until the values stand still",
    )
    return tested._replace(part=part)
