"""Claims as a whole at the edge of their hypotheses.

A claim reads planted runs of its own study once. From then on the frames are changed and judged
again, without a store: the numbers of the seeds of every part are put at the edge of its range,
with noise that the parts share in half, since they are measured on the same runs.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from symstudy.findings.rules.base import AbstractSeedRule, Tested, decide_part
from symstudy.statistics.part import Part, combine
from symstudy.statistics.verdict import Verdict
from symstudy.testing.nulls import Noise

__all__ = ["Places", "judge_at", "places_of"]


class Places(NamedTuple):
    """Where the parts of a claim stand.

    Attributes:
        tested: Deciding parts, with the rules that decide them.
        seeds: Seeds of the study.
    """

    tested: tuple[Tested, ...]
    seeds: int


def places_of(tested: Sequence[Tested]) -> Places:
    """Return the deciding parts of a claim that are judged by a number a seed."""
    deciding = tuple(
        one for one in tested if one.part.decides and isinstance(one.rule, AbstractSeedRule)
    )
    return Places(deciding, max(one.part.seeds for one in deciding))


def judge_at(
    places: Places, rng: np.random.Generator, noise: Noise, *, shift: float, only: int | None = None
) -> Verdict:
    """Return the verdict of a claim whose seeds are drawn anew.

    Args:
        places: Parts of the claim.
        rng: Draws the seeds.
        noise: Of the seeds; its median is 0.
        shift: Distance of the median seed from the edge, in standard deviations; positive is
            inside the claimed range.
        only: The part that stands there, the others far inside; all of them if None.
    """
    shared = noise(rng, (places.seeds,))
    parts: list[Part] = []
    for place, one in enumerate(places.tested):
        own = noise(rng, (places.seeds,))
        # Shared by half of the seeds, so that the median of a part is still that of the noise.
        mixed = np.where(rng.random(places.seeds) < 0.5, shared, own)
        far = only is not None and place != only
        parts.append(drawn_part(one, mixed, 10.0 if far else shift))
    return combine(tuple(parts))


def drawn_part(one: Tested, noise: NDArray[np.float64], inside: float) -> Part:
    """Return a part whose seeds lie `inside` from the edge of its range."""
    low, high = one.bound
    if np.isfinite(low) and np.isfinite(high):
        # Noise of a tenth of the margin, so that the other end has no part in it.
        scale = (high - low) / 20.0
        numbers = high - scale * min(inside, 10.0) + scale * noise
    elif np.isfinite(high):
        numbers = high - inside + noise
    else:
        numbers = low + inside + noise
    assert isinstance(one.rule, AbstractSeedRule)
    part = decide_part(one.rule, one.part.name, one.part.rule, pd.Series(numbers), one.bound)
    return replace(part, decides=True)
