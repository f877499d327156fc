"""What every claim must pass: right on planted truth, and seldom wrong on a planted null."""

from collections.abc import Callable

from symstudy.findings import Claim, Finding, Verdict
from symstudy.store import Store

__all__ = ["count_verdicts", "judge_store"]


def judge_store(claim: Claim, store: Store) -> Finding:
    """Return what `claim` finds on `store`, by its own measurement and rule."""
    return claim.judge(claim.measure(store))


def count_verdicts(
    claim: Claim, stores: Callable[[int], Store], repeats: int
) -> dict[Verdict, int]:
    """Return how often `claim` gives each verdict on stores that differ in their noise alone.

    Args:
        claim: The claim.
        stores: From the number of a repeat to a store with freshly drawn noise.
        repeats: How many stores to judge.
    """
    counts = dict.fromkeys(Verdict, 0)
    for repeat in range(repeats):
        counts[judge_store(claim, stores(repeat)).verdict] += 1
    return counts
