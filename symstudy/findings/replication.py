"""How many new seeds a replication of a finding needs, planned before it and under the same rule.

The estimate of the study itself is too hopeful: what was found was found because it looked large.
So the replication is planned for a share of the distance from the rule's bound that was observed,
half of it by default, with the spread between seeds that was observed, by the power of sign tests
for normal values.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from symstudy.errors import UserError
from symstudy.findings.conclude import Measured
from symstudy.findings.rules.base import Tested
from symstudy.findings.rules.ratio import Ratio
from symstudy.statistics.intervals import finite
from symstudy.statistics.part import ALPHA
from symstudy.statistics.power import sign_effect
from symstudy.statistics.tests import fewest_seeds
from symstudy.statistics.verdict import Verdict

__all__ = [
    "MOST_SEEDS",
    "REPLICATION_POWER",
    "SHARE",
    "PlannedPart",
    "plan_replication",
    "seeds_of_all",
]

REPLICATION_POWER = 0.9
"""Chance with which a replication decides, if the assumed distance is true."""
SHARE = 0.5
"""Share of the observed distance from the bound that is assumed to be true."""
MOST_SEEDS = 1000
"""Beyond so many seeds a replication is not planned."""
ROUNDING = 1e-12
"""Spread of seeds over the largest of them below which they are alike but for rounding."""


class PlannedPart(NamedTuple):
    """What a replication plans to show of one part of a claim.

    Attributes:
        name: Of the part.
        aim: The verdict that the observed estimate points to.
        distance: From the median seed to the nearest bound, as it was observed, in standard
            deviations between seeds; infinite where seeds do not differ.
        alpha: One-sided level of each sign test.
        seeds: How many are needed; None where more than a thousand are.
    """

    name: str
    aim: Verdict
    distance: float
    alpha: float
    seeds: int | None


def plan_replication(
    measured: object, *, share: float = SHARE, power: float = REPLICATION_POWER, claims: int = 1
) -> list[PlannedPart]:
    """Return what a replication needs for each deciding part that it must show.

    Where the medians of all parts lie where the rule claims, all must be supported; the chances to
    miss one of them sum up to what is missing of `power`. Else the part that lies farthest outside
    has to be refuted.

    Args:
        measured: What a claim by rules has measured on the study.
        share: Of the observed distance that is assumed to be true.
        power: Chance with which the replication decides.
        claims: Claims of the replication: its family, for Holm's correction.

    Raises:
        UserError: If the claim is judged by functions of its own, or no part has an estimate.
    """
    if not isinstance(measured, Measured):
        raise UserError(
            "the seeds of a replication must be told where a claim is judged by functions of its "
            "own, whose power is not known. Type --seeds N"
        )
    parts = [one for one in measured.rule.judge(measured.data) if one.part.decides]
    tested = [one for one in parts if len(finite(one.numbers))]
    if not tested:
        raise UserError(
            "a study must have an estimate to be replicated, but no part of its claim was tested. "
            "Train it first: symstudy run STUDY"
        )
    distances = {one.part.name: distance_of(one) for one in tested}
    outside = [one for one in tested if distances[one.part.name] < 0]
    if not outside:
        lacking = (1.0 - power) / len(tested)
        return [
            planned(one, Verdict.SUPPORTED, distances[one.part.name], share, 1.0 - lacking, claims)
            for one in tested
        ]
    worst = min(outside, key=lambda one: distances[one.part.name])
    chances = claims * len(parts) * comparisons_of(worst)
    return [planned(worst, Verdict.REFUTED, -distances[worst.part.name], share, power, chances)]


def distance_of(one: Tested) -> float:
    """Return how far the median seed lies inside the bounds, in sd; negative outside."""
    values = finite(one.numbers)
    median = float(np.median(values))
    inside = min(median - one.bound[0], one.bound[1] - median)
    spread = float(values.std(ddof=1)) if len(values) > 1 else 0.0
    if spread > ROUNDING * float(np.abs(values).max()):
        return inside / spread
    # All seeds are alike: any number of them agrees.
    return math.inf if inside >= 0 else -math.inf


def comparisons_of(one: Tested) -> int:
    """Return how many sign tests may refute a part, each of which counts."""
    ends = sum(math.isfinite(end) for end in one.bound)
    places = one.table.shape[1]
    pairs = places * (places - 1) // 2 if isinstance(one.rule, Ratio) else 1
    return max(1, ends) * max(1, pairs)


def planned(
    one: Tested, aim: Verdict, distance: float, share: float, power: float, chances: int
) -> PlannedPart:
    """Return what a part needs."""
    alpha = ALPHA / chances
    both = aim is Verdict.SUPPORTED and all(math.isfinite(end) for end in one.bound)
    # Both ends have to be shown: each takes half of what may be missed.
    needed = seeds_for(share * distance, alpha, 1.0 - (1.0 - power) / 2 if both else power)
    return PlannedPart(one.part.name, aim, distance, alpha, needed)


def seeds_for(distance: float, alpha: float, power: float) -> int | None:
    """Return the fewest seeds of which a sign test finds a distance in sd; None if too many."""
    if math.isinf(distance):
        return fewest_seeds(1, alpha)
    for seeds in range(fewest_seeds(1, alpha), MOST_SEEDS + 1):
        reached = sign_effect(seeds, alpha=alpha, power=power)
        if reached is not None and reached <= distance:
            return seeds
    return None


def seeds_of_all(parts: Sequence[PlannedPart]) -> int | None:
    """Return the seeds that all parts need together; None where one needs too many."""
    needed = [part.seeds for part in parts]
    return None if None in needed else max(n for n in needed if n is not None)
