"""Verdicts of many claims together: who tests twenty claims at 5 % finds one by chance."""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from symstudy.statistics.part import ALPHA, Part, counted_p
from symstudy.statistics.verdict import Verdict

__all__ = ["Corrected", "correct_family", "hold_parts", "holm"]


class Corrected(NamedTuple):
    """A verdict held against its family.

    Attributes:
        verdict: The claim's own, or inconclusive where its adjusted p-value is above the level.
        adjusted: Its p-value adjusted by Holm's method; None where its rule is exact, or it was
            not decided.
        factor: By how much its p-values count more in the family than alone.
    """

    verdict: Verdict
    adjusted: float | None
    factor: float = 1.0


def correct_family(
    verdicts: Sequence[Verdict],
    p_values: Sequence[float | None],
    *,
    missing: int = 0,
    level: float = ALPHA,
) -> list[Corrected]:
    """Return each verdict as it stands in the family of all.

    The family is fixed by what was declared and not by what came out: a claim that its data cannot
    decide counts, as one with a p-value of 1, and so does one without data. Outside are verdicts by
    an exact rule, which chance has no part in. A p-value that is no number counts as 1.

    Args:
        verdicts: Of each claim.
        p_values: Of each verdict; None where there is none.
        missing: Claims of the family that were not tested.
        level: Chance of a wrong verdict of the family, at most.

    References:
        Holm 1979.
    """
    undecided = (Verdict.INCONCLUSIVE, Verdict.UNTESTED)
    entries = [
        1.0 if verdict in undecided else p_value and counted_p(p_value)
        for verdict, p_value in zip(verdicts, p_values, strict=True)
    ]
    members = [i for i, entry in enumerate(entries) if entry is not None]
    size = len(members) + missing
    known = [p for i in members if (p := entries[i]) is not None]
    adjusted = dict(zip(members, holm([*known, *[1.0] * missing]), strict=False))
    corrected = []
    for i, verdict in enumerate(verdicts):
        p_value = None if verdict in undecided else entries[i]
        value = adjusted[i] if p_value is not None else None
        falls = value is not None and value > level
        # Holm's steps count only where all before them were taken.
        factor = value / p_value if p_value and value is not None and not falls else size
        corrected.append(
            Corrected(Verdict.INCONCLUSIVE if falls else verdict, value, max(1.0, factor))
        )
    return corrected


def hold_parts(parts: Sequence[Part], factor: float, level: float = ALPHA) -> tuple[Part, ...]:
    """Return the parts of a claim as they stand in its family.

    A part is called supported or refuted only where its own p-value, corrected as that of its claim
    is, is at most the level: times the factor of the claim and, to refute, times the number of
    deciding parts. Parts by an exact rule have no p-value and stand.

    Args:
        parts: Of one claim.
        factor: By how much p-values count more in the family than alone, as `Corrected` has it.
        level: Chance of a wrong verdict of the family, at most.
    """
    count = max(1, sum(part.decides for part in parts))
    chances = {Verdict.SUPPORTED: 1, Verdict.REFUTED: count}
    held = []
    for part in parts:
        times = chances.get(part.verdict)
        falls = (
            times is not None
            and part.p_value is not None
            # Rounding of the factor must not turn a verdict.
            and counted_p(part.p_value) * factor * times > level * (1.0 + 1e-9)
        )
        held.append(replace(part, verdict=Verdict.INCONCLUSIVE) if falls else part)
    return tuple(held)


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
