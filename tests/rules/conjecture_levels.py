"""What the rules of Conjecture 1 say of planted truths and falsehoods: `make test-rules`.

Layers of neurons are planted whose closest distinct pair is as far apart as a law of gamma says.
Their distance is measured by the gap of merge heights, each seed has its exponent and its steepest
fall, and each study its verdict by the rules that the claims on the conjecture have.
"""

import argparse
import sys
from collections import Counter
from typing import NamedTuple

import numpy as np
import pandas as pd
from measure_kinds import KINDS
from numpy.typing import NDArray
from planted_layers import GAMMAS, LAWS, measured_distances
from pools import Tables, pool_of

from analysis.shared.distances import distance_rules, exponent_of, steepest_fall
from symstudy.findings import All, Evidence, Verdict
from symstudy.findings.conclude import Measured
from symstudy.findings.evidence import Counted
from symstudy.findings.rules.base import Data
from symstudy.statistics.part import ALPHA, combine

__all__ = ["Setting", "law_verdicts", "wrong_verdicts"]

SCATTER = 0.1
"""Of the distance of a run, in ln, in units of the noise."""
RULE = All(*distance_rules(Evidence(), ()))
CHECKED = 5
"""Seeds of which the claims' evidence works out the numbers too."""
AT_ONCE = 400
"""Studies that are planted together."""


class Setting(NamedTuple):
    """How studies are planted.

    Attributes:
        kind: Kind of the scatter between runs.
        spread: Of copies of a neuron, over its norm: what training or the solver leaves.
        seeds: Of each study.
    """

    kind: str
    spread: float
    seeds: int


SETTINGS = [
    Setting("normal", 1e-9, 5),
    Setting("normal", 1e-5, 10),
    Setting("skewed up", 1e-9, 10),
]


def law_verdicts(law: str, setting: Setting, studies: int) -> Counter[Verdict]:
    """Return the verdicts on planted studies whose distances follow a law."""
    rng = np.random.default_rng([len(law), sum(map(ord, law)), setting.seeds])
    found: Counter[Verdict] = Counter()
    for first in range(0, studies, AT_ONCE):
        found.update(verdicts_at_once(law, setting, min(AT_ONCE, studies - first), rng))
    return found


def verdicts_at_once(
    law: str, setting: Setting, studies: int, rng: np.random.Generator
) -> Counter[Verdict]:
    """Return the verdicts on studies that are planted together."""
    count = studies * setting.seeds
    planted = np.stack([LAWS[law].distance(GAMMAS, rng) for _ in range(count)])
    scattered = planted * np.exp(SCATTER * KINDS[setting.kind](rng, planted.shape))
    distance = measured_distances(scattered, setting.spread, rng)
    (base,) = {need.evidence.base for need in RULE.needs}
    first = numbers_of_seeds(distance[:CHECKED])
    assert first.equals(by_evidence(base, distance[:CHECKED])), "evidence has other numbers"
    data = Data({base: Counted(numbers_of_seeds(distance), ())})
    tables = Tables(RULE, pool_of(Measured(RULE, data)).slots, data, count)
    return Counter(combine(parts) for parts in tables.studies(setting.seeds))


def numbers_of_seeds(distance: NDArray[np.float64]) -> pd.DataFrame:
    """Return exponent and steepest fall of each seed, of its runs with a distance."""
    rows = []
    for seed, values in enumerate(distance):
        # A run without a gap is no evidence.
        seen = values > 0
        gamma = GAMMAS[seen]
        rows.append((seed, exponent_of(gamma, values[seen]), steepest_fall(gamma, values[seen])))
    return pd.DataFrame(rows, columns=["seed", "exponent", "fall"])


def by_evidence(base: Evidence, distance: NDArray[np.float64]) -> pd.DataFrame:
    """Return the same as the evidence of the claims works it out of runs."""
    frame = pd.DataFrame(
        {
            "seed": np.repeat(np.arange(len(distance)), len(GAMMAS)),
            "gamma": np.tile(GAMMAS, len(distance)),
            "distance": distance.ravel(),
        }
    )
    rows = frame[frame["distance"] > 0]
    for step in base.derived:
        rows = step.apply(rows)
    return rows


def wrong_verdicts(law: str, found: Counter[Verdict]) -> int:
    """Return how many verdicts are wrong: a falsehood supported, a truth refuted."""
    return found[Verdict.REFUTED if LAWS[law].holds else Verdict.SUPPORTED]


def main() -> int:
    """Print the table; return 1 where a verdict is wrong too often."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=2000, help="planted studies of each")
    repeats = parser.parse_args().repeats
    print("| exponent of the law | scatter | copies | seeds | supported | refuted | open |")
    print("|---|---|---:|---:|---:|---:|---:|")
    limit = ALPHA + 3.0 * (ALPHA * (1.0 - ALPHA) / repeats) ** 0.5
    failed = 0
    for law in LAWS:
        for setting in SETTINGS:
            found = law_verdicts(law, setting, repeats)
            shares = [found[verdict] / repeats for verdict in (Verdict.SUPPORTED, Verdict.REFUTED)]
            told = " | ".join(f"{share:.1%}" for share in (*shares, 1.0 - sum(shares)))
            is_above = wrong_verdicts(law, found) / repeats > limit
            failed += is_above
            mark = " **above**" if is_above else ""
            place = f"{setting.kind} | {setting.spread:g} | {setting.seeds}"
            print(f"| {law} | {place} | {told}{mark} |", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
