"""Verdicts of many claims together: who tests twenty claims at 5 % finds one by chance."""

from collections.abc import Sequence
from typing import NamedTuple

from symstudy.statistics.part import ALPHA
from symstudy.statistics.verdict import Verdict

__all__ = ["Corrected", "correct_family", "holm"]


class Corrected(NamedTuple):
    """A verdict held against its family.

    Attributes:
        verdict: The claim's own, or inconclusive where its adjusted p-value is above 5 %.
        adjusted: Its p-value adjusted by Holm's method; None where its rule is exact, or it was
            not decided.
    """

    verdict: Verdict
    adjusted: float | None


def correct_family(
    verdicts: Sequence[Verdict], p_values: Sequence[float | None]
) -> list[Corrected]:
    """Return each verdict as it stands in the family of all.

    The family is fixed by what was asked and not by what came out: a claim that its data cannot
    decide counts, as one with a p-value of 1. Outside are claims without data and verdicts by an
    exact rule, which chance has no part in.

    Args:
        verdicts: Of each claim.
        p_values: Of each verdict; None where there is none.

    References:
        Holm 1979.
    """
    entries = [
        1.0 if verdict is Verdict.INCONCLUSIVE else p_value
        for verdict, p_value in zip(verdicts, p_values, strict=True)
    ]
    members = [
        i
        for i, entry in enumerate(entries)
        if entry is not None and verdicts[i] is not Verdict.UNTESTED
    ]
    adjusted = dict(
        zip(members, holm([p for i in members if (p := entries[i]) is not None]), strict=True)
    )
    corrected = []
    for i, verdict in enumerate(verdicts):
        value = adjusted.get(i) if p_values[i] is not None else None
        falls = value is not None and value > ALPHA
        corrected.append(Corrected(Verdict.INCONCLUSIVE if falls else verdict, value))
    return corrected


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
