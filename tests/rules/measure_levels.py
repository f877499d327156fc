"""Measures how often rules and claims err at the edge of their hypotheses: `make test-rules`.

Prints a table, the worst of all kinds of values, and exits with 1 where a rate of any of them
exceeds its level by more than three standard errors.
What has been measured is kept, so the same command goes on where it stopped.
"""

import argparse
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import partial
from pathlib import Path

from claim_levels import Rates, claim_rates
from claim_planters import PLANTERS, ROOT, planted_truth
from edges import EDGES
from kept_rates import Kept, excess_limit, is_within, table, worst_of_kinds
from measure_kinds import KINDS
from pools import pool_of
from rule_levels import rule_rates

from symstudy.findings.discovery import load_claims
from symstudy.identity import digest
from symstudy.project import find_project

RULE_SEEDS = (5, 10)
MORE_SEEDS = 10
"""Seeds that a claim is measured at too, where its study has fewer."""
KEPT = ROOT / "build" / "rule-rates"
PLANTING = ("plants", "two_way_plants", "pools", "claim_levels", "edges", "rule_levels")


def code() -> str:
    """Return the hash of what decides under any rule and of what plants."""
    decides = [ROOT / "symstudy" / each for each in ("findings/rules", "statistics")]
    files = [path for folder in decides for path in sorted(folder.glob("*.py"))]
    files += [Path(__file__).with_name(f"{name}.py") for name in PLANTING]
    return digest("\n".join(path.read_text(encoding="utf-8") for path in files))


def measured(name: str, *, repeats: int, kinds: Sequence[str], folder: Path) -> list[Rates]:
    """Return the rates of a rule or a claim, by kind of noise and number of seeds."""
    if name in EDGES:
        kept = Kept(folder / f"{name}.json", f"{code()} x {repeats}")
        return [
            kept.rates(kind, seeds, partial(rule_rates, name, kind, seeds, repeats))
            for kind in kinds
            for seeds in RULE_SEEDS
        ]
    claim = load_claims(find_project(ROOT))[name]
    store, own = planted_truth(claim)
    pool = pool_of(claim.measure(store))
    kept = Kept(folder / f"{name}.json", f"{claim.rule_hash} {code()} x {repeats}")

    def rates(kind: str, seeds: int) -> Rates:
        return claim_rates(name, pool, kind, KINDS[kind], seeds=seeds, repeats=repeats)

    return [
        kept.rates(kind, seeds, partial(rates, kind, seeds))
        for seeds in sorted({own, max(own, MORE_SEEDS)})
        for kind in kinds
    ]


def all_measured(
    names: Sequence[str], jobs: int, *, repeats: int, kinds: Sequence[str], folder: Path
) -> list[Rates]:
    """Return the rates of all names, in their order, told as they are measured."""
    measure = partial(measured, repeats=repeats, kinds=kinds, folder=folder)
    found: dict[str, list[Rates]] = {}
    with ProcessPoolExecutor(jobs) as workers:
        names_of = {workers.submit(measure, name): name for name in names}
        for done in as_completed(names_of):
            name = names_of[done]
            found[name] = done.result()
            worst = max(max(each.supported, each.refuted) for each in found[name])
            print(f"{name}: at most {worst:.1%} wrong", file=sys.stderr, flush=True)
    return [rates for name in names for rates in found[name]]


def main() -> int:
    """Print the table; return 1 if a rate is above its level."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=2000, help="planted studies of each")
    parser.add_argument("--kinds", nargs="*", default=list(KINDS), help="kinds of values")
    parser.add_argument("--only", nargs="*", default=[*PLANTERS, *EDGES], help="names")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--folder", type=Path, default=KEPT, help="where rates are kept")
    parser.add_argument("--by-kind", action="store_true", help="a row for each kind of values")
    given = parser.parse_args()
    rates = all_measured(
        given.only, given.jobs, repeats=given.repeats, kinds=given.kinds, folder=given.folder
    )
    print(table(rates if given.by_kind else worst_of_kinds(rates), given.repeats))
    failed = sum(not is_within(each, given.repeats) for each in rates)
    print(f"\n{failed} above {excess_limit(given.repeats):.2%}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
