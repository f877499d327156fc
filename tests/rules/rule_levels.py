"""How often each kind of rule errs at the edge of what it claims, by itself."""

import numpy as np
from claim_levels import Rates, claim_rates
from edges import EDGES, RUNS
from measure_kinds import KINDS
from numpy.typing import NDArray
from pools import Pool, pool_of

from symstudy.findings import Verdict
from symstudy.findings.conclude import Measured, conclude
from symstudy.findings.evidence import Counted
from symstudy.findings.rules.base import Data

__all__ = ["rule_pool", "rule_rates", "share_at_edge"]


def measured(name: str, noise: NDArray[np.float64], *, at_edge: bool = False) -> Measured:
    """Return runs of a rule by itself, at the edge or far inside."""
    edge = EDGES[name]
    frame = (edge.at_edge if at_edge else edge.true)(noise)
    return Measured(edge.rule, Data({RUNS: Counted(frame, ())}))


def rule_pool(name: str) -> Pool:
    """Return the pool of a rule by itself."""
    return pool_of(measured(name, np.ones(2)))


def rule_rates(name: str, kind: str, seeds: int, repeats: int) -> Rates:
    """Return the rates of a rule by itself on so many planted studies."""
    pool = rule_pool(name)
    return claim_rates(name, pool, kind, KINDS[kind], seeds=seeds, repeats=repeats)


def share_at_edge(name: str, kind: str, seeds: int, repeats: int, verdict: Verdict) -> float:
    """Return how often a rule gives a verdict on runs at its edge, each planted by itself."""
    rng = np.random.default_rng([len(name), sum(map(ord, kind)), seeds])
    noises = (KINDS[kind](rng, (seeds,)) for _ in range(repeats))
    found = [conclude(measured(name, noise, at_edge=True)).verdict for noise in noises]
    return found.count(verdict) / repeats
