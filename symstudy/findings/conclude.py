"""From the parts of a rule to the finding of a claim."""

from collections.abc import Sequence
from typing import NamedTuple

import pandas as pd

from symstudy.findings.finding import Finding
from symstudy.findings.rules.base import AbstractRule, Data
from symstudy.findings.standing import Standing
from symstudy.statistics.families import hold_parts
from symstudy.statistics.part import ALPHA, Part, combine, refutation_p
from symstudy.statistics.tests import fewest_seeds
from symstudy.statistics.verdict import Verdict

__all__ = ["Measured", "conclude", "describe"]


class Measured(NamedTuple):
    """The runs that a claim by rules is judged by.

    Attributes:
        rule: The rule.
        data: What it reads.
        standing: How the finding stands in its family, for a figure; None while it is judged.
    """

    rule: AbstractRule
    data: Data
    standing: Standing | None = None

    @property
    def runs(self) -> pd.DataFrame:
        """The rows of the evidence that the rule names first."""
        return self.data.rows(self.rule.needs[0].evidence)


def conclude(measured: Measured) -> Finding:
    """Judge the rule and return the finding."""
    tested = measured.rule.judge(measured.data)
    parts = tuple(one.part for one in tested)
    verdict = combine(parts)
    if not tested:
        return Finding(
            verdict=Verdict.UNTESTED,
            reason="No runs that the rule is about.",
            excluded=measured.data.excluded,
            unchecked=measured.data.unchecked,
        )
    shown = measured.rule.headline(tested)
    return Finding(
        verdict=verdict,
        reason=describe(parts, verdict),
        effect=shown.effect,
        interval=shown.interval,
        unit=shown.unit,
        seeds=max((part.seeds for part in parts if part.decides), default=0),
        threshold=shown.threshold,
        parts=parts,
        excluded=measured.data.excluded,
        unchecked=measured.data.unchecked,
    )


def describe(parts: Sequence[Part], verdict: Verdict) -> str:
    """Return what the deciding parts say, those first that stand against the claim."""
    deciding = [part for part in parts if part.decides]
    if verdict is Verdict.UNTESTED:
        return "No runs that the rule is about."
    if verdict is Verdict.SUPPORTED:
        return "; ".join(tell(part) for part in deciding) + "."
    # A part alone may be called refuted where the claim has too many parts for that.
    held = [part for part in hold_parts(parts, 1.0) if part.decides]
    against = [part for part in held if part.verdict is not Verdict.SUPPORTED]
    told = "; ".join(f"{part.verdict.label}: {tell(part)}" for part in against) + "."
    corrected = refutation_p(tuple(parts))
    if verdict is Verdict.INCONCLUSIVE and corrected is not None:
        told += (
            f" Among {len(deciding)} parts this is no more than chance may give (p = "
            f"{corrected:.2g}, above {ALPHA:g}); no fewer than {fewest_seeds(len(deciding))} seeds "
            "can refute one of them."
        )
    return told


def tell(part: Part) -> str:
    """Return a part with its numbers and what hinders it."""
    estimate = ""
    if part.effect is not None:
        interval = f" {part.interval}" if part.interval else ""
        estimate = f" {part.effect:.3g}{interval} ({part.rule})"
    note = f", {part.note}" if part.note else ""
    return f"{part.name}{estimate}{note}"
