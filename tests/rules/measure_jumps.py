"""Measures how often planted causes of jumps are told apart: a part of `make test-rules`.

Prints a table and exits with 1 where a claim that is false of a kind of course is supported, or the
one that is true refuted, more often than its level allows.
"""

import argparse
import importlib
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from jump_plants import KINDS, STEPS, TRUE, course
from kept_rates import excess_limit

from symstudy.findings import All, Bound, Evidence
from symstudy.findings.choices import Derived
from symstudy.findings.conclude import Measured, conclude
from symstudy.findings.discovery import load_claims
from symstudy.findings.evidence import Counted
from symstudy.findings.rules.base import Data
from symstudy.project import find_project
from symstudy.statistics.verdict import Verdict

__all__ = ["SEEDS", "KindRates", "kind_rates"]

SEEDS, STARTS = 13, 3


class KindRates(NamedTuple):
    """How often the claim got each verdict on courses of one kind.

    Attributes:
        kind: Of the courses.
        supported: Share of planted studies that are called supported.
        refuted: Share of them that are called refuted.
    """

    kind: str
    supported: float
    refuted: float

    def is_within(self, repeats: int) -> bool:
        """Return whether the wrong verdict is as seldom as the level, up to chance."""
        wrong = self.refuted if self.kind in TRUE else self.supported
        return wrong <= excess_limit(repeats)


def deciding_rules(root: Path) -> tuple[Bound, ...]:
    """Return the rules that decide the claim, of the project's own files."""
    load_claims(find_project(root))
    rules = importlib.import_module("analysis.shared.jumps").jump_rules(Evidence(), "tanh")
    return tuple(one for one in rules if isinstance(one, Bound))


def planted_study(rules: tuple[Bound, ...], rng: np.random.Generator, kind: str) -> Verdict:
    """Return the verdict on a study whose runs are courses of a kind."""
    derived = [one for one in rules[0].runs.derived if isinstance(one, Derived)]
    functions = {one.name: one.function for one in derived}
    rows = []
    for seed in range(SEEDS):
        for start in range(STARTS):
            planted = course(rng, kind)
            told = (STEPS, planted.losses, planted.norms, planted.pairs)
            rows.append(
                {
                    "seed": seed,
                    "init_scale": start,
                    **{rule.value: functions[rule.value](*told) for rule in rules},
                }
            )
    loaded = {rule.runs.base: Counted(pd.DataFrame(rows), ()) for rule in rules}
    return conclude(Measured(All(*rules), Data(loaded))).verdict


def kind_rates(root: Path, kind: str, repeats: int) -> KindRates:
    """Return the rates of the verdicts on `repeats` planted studies of a kind."""
    rng = np.random.default_rng([sum(map(ord, kind)), repeats])
    rules = deciding_rules(root)
    found = [planted_study(rules, rng, kind) for _ in range(repeats)]
    return KindRates(
        kind, found.count(Verdict.SUPPORTED) / repeats, found.count(Verdict.REFUTED) / repeats
    )


def main() -> int:
    """Print the table; return 1 if a wrong verdict is above its level."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=2000, help="planted studies of each kind")
    parser.add_argument("--kinds", nargs="*", default=list(KINDS), choices=KINDS, help="names")
    arguments = parser.parse_args()
    repeats = arguments.repeats
    print("\n| what was planted in learning_jumps | supported | refuted | |\n|---|---:|---:|---|")
    failed = 0
    for kind in arguments.kinds:
        rates = kind_rates(Path(__file__).parents[2], kind, repeats)
        is_fine = rates.is_within(repeats)
        failed += not is_fine
        told = f"{rates.supported:.1%} | {rates.refuted:.1%}"
        print(f"| {KINDS[kind]} | {told} | {'' if is_fine else '**above**'} |", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
