"""Faults injected into a study until it must be wrong, if it can be: `make test-faults`.

Each round takes a fresh copy of the study, injects one fault or several in a row, and then runs the
study as a user would: the same command again. After that `verify` must prove that every planned run
is done, nothing twice, and all rows must equal, bit for bit, those of a study that nothing has
disturbed. The faults follow from the seed.
"""

import argparse
import random
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from faults import KINDS
from ground import QUIT, Ground, make_small_study, no_fork_warnings

LONGEST_ROW = 3
"""Faults in a row before the study is let run."""


def recover(ground: Ground) -> None:
    """Run the study as often as it takes, which is once, or twice where a run has failed."""
    for _ in range(2):
        ended = ground.run()
        if ended == QUIT:
            return
    raise AssertionError(f"`run` again must go on, but the launch ended with {ended}")


class Injection(NamedTuple):
    """What one call of a fault came to.

    Attributes:
        kind: The fault.
        text: What it did.
        has_happened: Whether there was anything that it could harm.
    """

    kind: str
    text: str
    has_happened: bool


def one_round(ground: Ground, rng: random.Random, kinds: Sequence[str]) -> list[Injection]:
    """Inject faults of `kinds` in a row, recover, check; return what was done.

    Raises:
        AssertionError: If a run is lost, doubled or different afterwards.
    """
    done = []
    for kind in kinds:
        text = KINDS[kind](ground, rng)
        done.append(Injection(kind, text, ground.has_happened()))
    recover(ground)
    ground.check()
    return done


def campaign(seed: int, faults: int, place: Path) -> Iterator[list[Injection]]:
    """Inject at least `faults` faults, round after round; yield what each has done.

    Raises:
        AssertionError: If a run is lost, doubled or different after a round.
    """
    counts: Counter[str] = Counter(dict.fromkeys(KINDS, 0))
    calm = Ground(make_small_study(), place)
    number = 0
    while counts.total() < faults:
        number += 1
        # One stream a round: a round can be repeated without those before it.
        rng = random.Random(f"{seed} {number}")
        rare = [kind for kind in KINDS if counts[kind] == min(counts.values())]
        kinds = [rng.choice(rare), *rng.choices(list(KINDS), k=rng.randrange(LONGEST_ROW))]
        ground = Ground(calm.study, place / str(number), calm.expected)
        try:
            done = one_round(ground, rng, kinds)
        except AssertionError as error:
            error.add_note(f"seed {seed}, round {number}: {', '.join(kinds)} in {ground.results}")
            raise
        counts.update(item.kind for item in done if item.has_happened)
        shutil.rmtree(ground.results)
        yield done


def main() -> None:
    """Run a campaign and say what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--faults", type=int, default=200)
    options = parser.parse_args()
    start = time.monotonic()
    counts: Counter[str] = Counter()
    # Left behind if a study is not whole, to be looked at.
    place = Path(tempfile.mkdtemp(prefix="symstudy-faults-"))
    with no_fork_warnings():
        for done in campaign(options.seed, options.faults, place):
            counts.update(item.kind for item in done if item.has_happened)
            print(f"{counts.total():4d}  " + "; ".join(f"{i.kind}: {i.text}" for i in done))
    shutil.rmtree(place)
    print()
    for kind, count in sorted(counts.items()):
        print(f"{count:5d}  {kind}")
    print(
        f"{counts.total():5d}  faults injected in {time.monotonic() - start:.0f} s: no run lost, "
        "none doubled, all rows equal to those of an undisturbed study"
    )


if __name__ == "__main__":
    main()
