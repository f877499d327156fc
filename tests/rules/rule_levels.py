"""How often each kind of rule errs at the edge of what it claims, on runs planted there."""

from collections.abc import Callable

import numpy as np
import pandas as pd
from claim_levels import Rates
from edges import EDGES, RUNS, Edge
from measure_kinds import KINDS
from numpy.typing import NDArray

from symstudy.findings import Verdict
from symstudy.findings.conclude import Measured, conclude
from symstudy.findings.evidence import Counted
from symstudy.findings.rules.base import Data

__all__ = ["rule_rates"]

Plant = Callable[[NDArray[np.float64]], pd.DataFrame]


def verdict_of(edge: Edge, plant: Plant, noise: NDArray[np.float64]) -> Verdict:
    """Return what the rule says of planted runs."""
    data = Data({RUNS: Counted(plant(noise), ())})
    return conclude(Measured(edge.rule, data)).verdict


def rule_rates(name: str, kind: str, seeds: int, repeats: int) -> Rates:
    """Return the rates of a rule on runs drawn `repeats` times; power on a tenth of that."""
    edge = EDGES[name]
    rng = np.random.default_rng([len(name), sum(map(ord, kind)), seeds])

    def share(plant: Plant, wanted: Verdict, drawn: int) -> float:
        found = [verdict_of(edge, plant, KINDS[kind](rng, (seeds,))) for _ in range(drawn)]
        return found.count(wanted) / drawn

    drawn = [verdict_of(edge, edge.at_edge, KINDS[kind](rng, (seeds,))) for _ in range(repeats)]
    few = max(repeats // 10, 1)
    return Rates(
        name=name,
        kind=kind,
        seeds=seeds,
        supported=drawn.count(Verdict.SUPPORTED) / repeats,
        refuted=drawn.count(Verdict.REFUTED) / repeats,
        power=share(edge.true, Verdict.SUPPORTED, few),
        power_against=share(edge.false, Verdict.REFUTED, few),
    )
