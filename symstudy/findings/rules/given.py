"""A rule that says something only where conditions hold."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import final

from symstudy.findings.power import SeedTest
from symstudy.findings.rules.base import AbstractRule, Data, Headline, Need, Tested
from symstudy.statistics.part import Part
from symstudy.statistics.verdict import Verdict

__all__ = ["Given"]


@final
@dataclass(frozen=True, init=False)
class Given(AbstractRule):
    """A rule whose parts are inconclusive unless other rules are shown to hold.

    A condition that fails makes the rule say nothing; it does not refute the claim. A supported
    part rests on its conditions too, so its p-value is the largest of all.

    Attributes:
        rule: The rule.
        conditions: What must be shown first, such as that two networks solve a task equally well.
    """

    rule: AbstractRule
    conditions: tuple[AbstractRule, ...]

    def __init__(self, rule: AbstractRule, *conditions: AbstractRule) -> None:
        """See the class."""
        object.__setattr__(self, "rule", rule)
        object.__setattr__(self, "conditions", conditions)

    @property
    def needs(self) -> tuple[Need, ...]:
        """What the rule and its conditions need."""
        return tuple(need for rule in (self.rule, *self.conditions) for need in rule.needs)

    @property
    def prose(self) -> str:
        """The rule and its conditions in words."""
        told = "; ".join(rule.prose for rule in self.conditions)
        return f"where this is shown to hold, else inconclusive: {told}; {self.rule.prose}"

    @property
    def tests(self) -> tuple[SeedTest, ...]:
        """What the rule and its conditions test, each once."""
        rules = (self.rule, *self.conditions)
        return tuple(dict.fromkeys(test for rule in rules for test in rule.tests))

    def judge(self, data: Data) -> tuple[Tested, ...]:
        """Return the parts of the rule, and beside them those of the conditions."""
        conditions = [one for rule in self.conditions for one in rule.judge(data)]
        required = [one.part for one in conditions if one.part.decides]
        judged = [
            one._replace(part=on_condition(one.part, required)) for one in self.rule.judge(data)
        ]
        beside = [one._replace(part=replace(one.part, decides=False)) for one in conditions]
        return (*judged, *beside)

    def headline(self, tested: Sequence[Tested]) -> Headline:
        """Return what the rule shows."""
        return self.rule.headline(tested)


def on_condition(part: Part, required: Sequence[Part]) -> Part:
    """Return a part as it stands where conditions are required."""
    if part.verdict is Verdict.UNTESTED:
        return part
    lacking = [one.name for one in required if one.verdict is not Verdict.SUPPORTED]
    if lacking:
        note = f"since it is not shown that {' and '.join(lacking)} meet their rules"
        notes = "; ".join(filter(None, (part.note, note)))
        return replace(part, verdict=Verdict.INCONCLUSIVE, p_value=None, note=notes)
    if part.verdict is not Verdict.SUPPORTED:
        return part
    known = [one.p_value for one in (part, *required) if one.p_value is not None]
    return replace(part, p_value=max(known, default=None))
