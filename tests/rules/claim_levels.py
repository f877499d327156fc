"""How often claims as a whole err at the edge of their hypotheses.

A study is wrongly supported where one part, another each time, stands at an end of its range or one
run breaks it, and all others hold; wrongly refuted where all parts stand at an end of their ranges.
"""

from collections import Counter
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from plants import DEEP, Numbers, numbers_at
from pools import Pool

from symstudy.findings import Every, Verdict
from symstudy.findings.conclude import conclude
from symstudy.statistics.part import combine
from symstudy.testing.nulls import Noise

__all__ = ["Rates", "claim_rates", "verdicts"]

AT_ONCE = 4000
"""Seeds that are planted together."""
NEXT_TO = 1e-3
"""Distance of a run from the end of a rule on each run, in units of the noise."""
CHECKED = 2
"""Studies of those planted together that the claim's whole rule judges again."""
FAR = 5.0
"""Distance from the end at which power is told, in units of the noise."""


class Rates(NamedTuple):
    """How often a rule or a claim gave each verdict.

    Attributes:
        name: Of the rule or claim.
        kind: Of the noise.
        seeds: Seeds.
        supported: Share of runs at the edge that are called supported, which is wrong.
        refuted: Share of them that are called refuted, which is wrong too.
        power: Share of true runs that are called supported.
        power_against: Share of false runs that are called refuted.
    """

    name: str
    kind: str
    seeds: int
    supported: float
    refuted: float
    power: float
    power_against: float


class Place(NamedTuple):
    """Where the parts of planted studies stand.

    Attributes:
        distance: Of the median seed inside the end of its range, in units of the noise.
        is_one: Whether one part stands there, another each time, and the others far inside.
        breaks: Whether it is one run that breaks a rule on each run, where that is the part.
        has_conditions: Whether conditions count as parts; otherwise they hold.
    """

    distance: float
    is_one: bool
    breaks: bool = False
    has_conditions: bool = False


EDGE_OF_SUPPORT = Place(0.0, is_one=True, breaks=True, has_conditions=True)
EDGE_OF_REFUTATION = Place(0.0, is_one=False)
TRUE = Place(FAR, is_one=False)
FALSE = Place(-FAR, is_one=True, breaks=True)


def claim_rates(
    name: str, pool: Pool, kind: str, noise: Noise, *, seeds: int, repeats: int
) -> Rates:
    """Return the rates of a claim, and its power on a tenth as many studies.

    Args:
        name: Of the claim.
        pool: Its parts and rows.
        kind: Name of the noise.
        noise: Its median is 0.
        seeds: Of each study.
        repeats: Planted studies.
    """
    rng = np.random.default_rng([len(name), sum(map(ord, name + kind)), seeds])

    def share(place: Place, wanted: Verdict, studies: int) -> float:
        return verdicts(pool, place, noise, rng, seeds, studies)[wanted] / studies

    few = max(repeats // 10, 1)
    return Rates(
        name=name,
        kind=kind,
        seeds=seeds,
        supported=share(EDGE_OF_SUPPORT, Verdict.SUPPORTED, repeats),
        refuted=share(EDGE_OF_REFUTATION, Verdict.REFUTED, repeats),
        power=share(TRUE, Verdict.SUPPORTED, few),
        power_against=share(FALSE, Verdict.REFUTED, few),
    )


def verdicts(
    pool: Pool, place: Place, noise: Noise, rng: np.random.Generator, seeds: int, studies: int
) -> Counter[Verdict]:
    """Return how often each verdict was given on planted studies."""
    found: Counter[Verdict] = Counter()
    at_once = max(1, AT_ONCE // seeds)
    for first in range(0, studies, at_once):
        count = min(at_once, studies - first)
        tables = pool.planted(drawn(pool, place, noise, rng, seeds, first + np.arange(count)))
        given = [combine(parts) for parts in tables.studies(seeds)]
        for study in range(min(CHECKED, count)):
            whole = conclude(tables.measured(slice(study * seeds, (study + 1) * seeds)))
            assert whole.verdict is given[study], "a study by itself is judged otherwise"
        found.update(given)
    return found


def drawn(
    pool: Pool,
    place: Place,
    noise: Noise,
    rng: np.random.Generator,
    seeds: int,
    studies: NDArray[np.int64],
) -> list[Numbers]:
    """Return the number of each seed of the studies for each part."""
    total = len(studies) * seeds
    shared = noise(rng, (total,))
    turn = [i for i, _ in enumerate(pool.slots) if place.has_conditions or not pool.is_condition(i)]
    numbers = []
    for i, slot in enumerate(pool.slots):
        # Shared by half of the seeds, so that the median of a part is still that of the noise.
        own = np.where(rng.random(total) < 0.5, shared, noise(rng, (total,)))
        is_there = np.full(len(studies), i in turn)
        if place.is_one and i in turn:
            is_there = studies % len(turn) == turn.index(i)
        distance = np.where(np.repeat(is_there, seeds), place.distance + own, DEEP + 0.2 * own)
        if isinstance(slot.rule, Every):
            distance = beside_end(is_there & place.breaks, rng, seeds)
        at_high = np.repeat(rng.random(len(studies)) < 0.5, seeds)
        numbers.append(numbers_at(slot, distance, at_high))
    return numbers


def beside_end(is_broken: NDArray[np.bool_], rng: np.random.Generator, seeds: int) -> Numbers:
    """Return seeds just inside the end of a rule on each run, but for one of each broken study."""
    distance = np.full((len(is_broken), seeds), NEXT_TO)
    broken = np.flatnonzero(is_broken)
    distance[broken, rng.integers(seeds, size=len(broken))] = -NEXT_TO
    return distance.ravel()
