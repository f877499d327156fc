"""Measures how often rules and claims err at the edge of their hypotheses: `make test-rules`.

Prints a table and exits with 1 where a rate exceeds its level by more than three standard errors.
"""

import argparse
import importlib.util
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import numpy as np
import pandas as pd
from claim_edges import Places, judge_at, places_of
from edges import EDGES, RUNS, Edge
from numpy.typing import NDArray

from symstudy.findings.conclude import Measured, conclude
from symstudy.findings.discovery import load_claims
from symstudy.findings.evidence import Counted
from symstudy.findings.project import find_project
from symstudy.findings.rules.base import Data
from symstudy.statistics.part import ALPHA
from symstudy.statistics.verdict import Verdict
from symstudy.study import load_study
from symstudy.testing.nulls import NOISES, Noise
from symstudy.testing.stores import plant_store

__all__ = ["KINDS", "Rates", "claim_rates", "excess_limit", "rule_rates"]

KINDS: dict[str, Noise] = {
    **NOISES,
    "no variance": lambda rng, shape: rng.choice([-1e-9, 1e-9], shape),
}
"""Noise by name; without variance seeds lie at the edge up to round-off, on either side of it."""
SEEDS = (5, 10)
PLANTERS = {
    "width_saturation": "saturating",
    "space_quantization": "quantized",
    "space_quantization_at_minima": "quantized",
    "restoration_by_decay": "restored",
    "teacher_student_table": "learned",
    "learning_jumps": "jumping",
    "learning_jumps_activations": "jumping",
}
"""Claims that are measured as a whole, and the function of their tests that plants their truth."""


class Rates(NamedTuple):
    """How often a rule gave each verdict.

    Attributes:
        name: Of the rule.
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

    def is_within(self, repeats: int) -> bool:
        """Return whether both errors are at most the level, up to chance."""
        return max(self.supported, self.refuted) <= excess_limit(repeats)


def excess_limit(repeats: int) -> float:
    """Return the level and three standard errors of a share of `repeats`."""
    return ALPHA + 3.0 * float(np.sqrt(ALPHA * (1.0 - ALPHA) / repeats))


def verdict_of(
    edge: Edge, plant: Callable[[NDArray[np.float64]], pd.DataFrame], noise: NDArray[np.float64]
) -> Verdict:
    """Return what the rule says of planted runs."""
    frame = plant(noise)
    return conclude(Measured(edge.rule, Data({RUNS: Counted(frame, ())}))).verdict


def rule_rates(name: str, kind: str, seeds: int, repeats: int) -> Rates:
    """Return the rates of a rule on runs drawn `repeats` times; power on a tenth of that."""
    edge = EDGES[name]
    rng = np.random.default_rng([len(name), sum(map(ord, kind)), seeds])

    def share(
        plant: Callable[[NDArray[np.float64]], pd.DataFrame], wanted: Verdict, drawn: int
    ) -> float:
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


def claim_rates(name: str, places: Places, kind: str, repeats: int) -> Rates:
    """Return the rates of a claim as a whole.

    Wrongly supported where one part, another each time, stands at the edge and all others hold;
    wrongly refuted where all parts stand at their edges. For power all parts stand five standard
    deviations inside, or one of them five outside.
    """
    rng = np.random.default_rng([len(name), sum(map(ord, kind)), 1])
    count = len(places.tested)

    def share(wanted: Verdict, drawn: int, *, shift: float, is_one: bool) -> float:
        found = [
            judge_at(places, rng, KINDS[kind], shift=shift, only=i % count if is_one else None)
            for i in range(drawn)
        ]
        return found.count(wanted) / drawn

    few = max(repeats // 10, 1)
    return Rates(
        name=name,
        kind=kind,
        seeds=places.seeds,
        supported=share(Verdict.SUPPORTED, repeats, shift=0.0, is_one=True),
        refuted=share(Verdict.REFUTED, repeats, shift=0.0, is_one=False),
        power=share(Verdict.SUPPORTED, few, shift=5.0, is_one=False),
        power_against=share(Verdict.REFUTED, few, shift=-5.0, is_one=True),
    )


def load_file(path: Path) -> ModuleType:
    """Return a file of tests as a module."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def claim_places(name: str, root: Path, folder: Path, seeds: int) -> Places:
    """Return the parts of a claim on planted runs of its own study, with so many seeds."""
    claim = load_claims(find_project(root))[name]
    study = load_study(root / "studies" / f"{claim.study}.toml", overrides=(f"seed={seeds}",))
    evident = load_file(root / "tests/claims/conftest.py").evident
    module = load_file(root / f"tests/claims/test_{name}.py")
    planter = getattr(module, PLANTERS[name])
    rng = np.random.default_rng(5)
    store = plant_store(folder / name, study, lambda run: evident(run, planter(run, rng)))
    measured = claim.measure(store)
    return places_of(measured.rule.judge(measured.data))


def measured_rates(root: Path, repeats: int, kinds: list[str], only: list[str]) -> Iterator[Rates]:
    """Yield the rates of the rules and claims of these names."""
    for name in filter(only.__contains__, EDGES):
        for kind in kinds:
            for seeds in SEEDS:
                yield rule_rates(name, kind, seeds, repeats)
    with tempfile.TemporaryDirectory() as folder:
        for name in filter(only.__contains__, PLANTERS):
            places = claim_places(name, root, Path(folder), 10)
            for kind in kinds:
                yield claim_rates(name, places, kind, repeats)


def main() -> int:
    """Print the table; return 1 if a rate is above its level."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=2000, help="planted data sets of each")
    parser.add_argument("--kinds", nargs="*", default=list(KINDS), help="kinds of noise")
    parser.add_argument("--only", nargs="*", default=[*EDGES, *PLANTERS], help="names")
    arguments = parser.parse_args()
    root = Path(__file__).parents[2]
    print("| rule or claim | values | seeds | wrongly supported | wrongly refuted | power, true "
          "| power, false | |\n|---|---|---:|---:|---:|---:|---:|---|")  # fmt: skip
    failed = 0
    for rates in measured_rates(root, arguments.repeats, arguments.kinds, arguments.only):
        is_fine = rates.is_within(arguments.repeats)
        failed += not is_fine
        numbers = [rates.supported, rates.refuted, rates.power, rates.power_against]
        told = " | ".join(f"{100 * number:.1f} %" for number in numbers)
        mark = "" if is_fine else "**above**"
        print(f"| {rates.name} | {rates.kind} | {rates.seeds} | {told} | {mark} |", flush=True)
    print(f"\n{failed} above {excess_limit(arguments.repeats):.2%}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
