"""Faults injected into a study that real drivers train on Ray: `make test-faults`.

The shipped study of 2,048 runs is trained by `symstudy run`. While it trains, workers, Ray and
drivers are killed, files are damaged, and other commands are at work on the same results; after
each death the same command goes on. At the end `symstudy verify` must prove that every planned run
is done, nothing twice, and all rows must equal, bit for bit, those of a study that nothing has
disturbed. What happens, and when, follows from the seed; where it hits does not, since processes
take the time that they take.
"""

import argparse
import random
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from ray_faults import (
    BETWEEN,
    ENDS,
    PASSING,
    STARTING,
    Fault,
    asked_for_status,
    driver_killed,
)
from ray_ground import DONE, POLL_S, REFUSED, RayGround

CHECKPOINT_S = 0.5
"""Packs save their state so often: deaths are frequent here."""
WHOLE_S = 900.0
"""A launch that nothing disturbs must not take longer."""
SHORT, LONG = 0.05, 0.4
"""Share of the study that a driver trains at most before it is hit: at first, and when there have
been deaths enough."""
PASSING_PER_LEG = 2
PAUSE_S = 1.0
"""Between two faults of a leg, at most."""
STARTS = 0.4
"""Share of the drivers that are hit while they start."""
DAMAGES = 0.4
"""Share of the deaths after which a file is found damaged."""
EARLY, EARLY_S = 0.12, 8.0
"""Share of the drivers that are killed at any time, also before they train, and until when."""
TAKES = 6
"""The same command may have to be called so often to reach the end when the faults are over: rows
that were damaged while a driver was at work are set aside by the next."""


class Leg(NamedTuple):
    """What happened to one driver.

    Attributes:
        faults: The faults that hit, in their order.
        texts: What each did.
        ended: How the driver ended.
        is_death: Whether a fault ended it.
    """

    faults: list[str]
    texts: list[str]
    ended: int
    is_death: bool


class Deck:
    """Deals faults: each kind about as often as any other, in an order that follows the seed."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        """Deal `faults`, again and again."""
        self.faults = list(faults)
        self.left: list[Fault] = []

    def draw(self, rng: random.Random) -> Fault:
        """Return the next."""
        if not self.left:
            self.left = rng.sample(self.faults, len(self.faults))
        return self.left.pop()


class Campaign:
    """Drivers of one study, and the faults that hit them.

    Attributes:
        expected: The study's rows when nothing disturbs it.
        deaths: Deaths of drivers so far.
        counts: Faults so far, by kind.
    """

    def __init__(self, overrides: Sequence[str], place: Path, seed: int) -> None:
        """Train the study once undisturbed.

        Args:
            overrides: Of the study.
            place: A folder for all results.
            seed: What happens follows from it.

        Raises:
            AssertionError: If an undisturbed launch does not end well.
        """
        self.overrides = [f"pack.checkpoint={CHECKPOINT_S}", *overrides]
        self.place = place
        self.rng = random.Random(seed)
        self.starting, self.passing = Deck(STARTING), Deck(PASSING)
        self.deadly, self.between = Deck(ENDS), Deck(BETWEEN)
        self.deaths = 0
        self.counts: Counter[str] = Counter()
        calm = RayGround(self.overrides, place / "undisturbed", {})
        driver = calm.drive()
        assert driver.wait(WHOLE_S) == DONE, driver.said()
        self.expected = calm.rows()

    def leg(self, ground: RayGround, largest: float) -> Leg:
        """Start a driver, let faults hit it, and end it; or see it reach the end.

        Args:
            ground: Of the study.
            largest: Share of the study that the driver may train before its end.

        Raises:
            AssertionError: If a driver hangs, or does not end as it must.
        """
        rng = self.rng
        driver = ground.drive()
        faults: list[str] = []
        texts: list[str] = []

        def inject(fault: Fault) -> bool:
            text = fault(ground, driver, rng)
            if text:
                faults.append(fault.__name__)
                texts.append(text)
            return bool(text)

        is_early = rng.random() < EARLY
        deadly = driver_killed if is_early else self.deadly.draw(rng)
        share = rng.uniform(0.0, largest)
        if is_early:
            time.sleep(rng.uniform(0.0, EARLY_S))
        else:
            if ground.found() and rng.random() < STARTS:
                inject(self.starting.draw(rng))
            ground.await_training(driver)
            for _ in range(PASSING_PER_LEG):
                time.sleep(rng.uniform(0.0, PAUSE_S))
                if driver.is_running and ground.progress(driver) < largest:
                    inject(self.passing.draw(rng))
            while driver.is_running and ground.progress(driver) < share:
                time.sleep(POLL_S)
        is_hit = driver.is_running and inject(deadly)
        ended = driver.wait()
        # A driver may reach the end before it is hit, or find rows that were damaged meanwhile.
        allowed = {DONE, ENDS[deadly]} if is_hit else {DONE, REFUSED}
        assert ended in allowed, f"{deadly.__name__}: ended {ended}, saying:\n{driver.said()}"
        assert "Traceback" not in driver.said(), driver.said()
        if ended == REFUSED:
            assert "same command" in driver.said(), driver.said()
        is_death = is_hit and ended != DONE
        if is_death and rng.random() < DAMAGES:
            inject(self.between.draw(rng))
        return Leg(faults, texts, ended, is_death)

    def journey(self, number: int, faults: int, deaths: int) -> Iterator[Leg]:
        """Train the study to its end in a fresh folder, through faults; yield each leg.

        Args:
            number: Of the journey.
            faults: Go on with faults until there have been so many, in all journeys.
            deaths: The same of deaths; the study must not reach its end before.

        Raises:
            AssertionError: If a run is lost, doubled or different at the end.
        """
        ground = RayGround(self.overrides, self.place / str(number), self.expected)
        while self.counts.total() < faults or self.deaths < deaths:
            leg = self.leg(ground, SHORT if self.deaths < deaths else LONG)
            self.counts.update(name for name in leg.faults if name != asked_for_status.__name__)
            self.deaths += leg.is_death
            yield leg
            if leg.ended == DONE:
                assert self.deaths >= deaths, "the study must not end so soon"
                break
        for _ in range(TAKES):
            driver = ground.drive()
            ended = driver.wait(WHOLE_S)
            assert ended in (DONE, REFUSED), driver.said()
            if ended == DONE and ground.is_proven():
                break
        ground.prove()
        shutil.rmtree(ground.results)


def main() -> None:
    """Run a campaign and say what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--faults", type=int, default=40)
    parser.add_argument("--deaths", type=int, default=10, help="Before the study first ends.")
    parser.add_argument("overrides", nargs="*", help="Of the study, as in seed=1.")
    options = parser.parse_args()
    start = time.monotonic()
    # Left behind if a study is not whole, to be looked at.
    place = Path(tempfile.mkdtemp(prefix="symfaults-"))
    campaign = Campaign(options.overrides, place, options.seed)
    print(f"undisturbed: {time.monotonic() - start:.0f} s", flush=True)
    journeys = 0
    while campaign.counts.total() < options.faults or campaign.deaths < options.deaths:
        journeys += 1
        for leg in campaign.journey(journeys, options.faults, options.deaths):
            did = "; ".join(f"{a}: {b}" for a, b in zip(leg.faults, leg.texts, strict=True))
            seconds = time.monotonic() - start
            print(
                f"{seconds:4.0f} s  {campaign.counts.total():4d}  ended {leg.ended}: {did}",
                flush=True,
            )
    shutil.rmtree(place)
    print()
    for kind, count in sorted(campaign.counts.items()):
        print(f"{count:5d}  {kind}")
    print(
        f"{campaign.counts.total():5d}  faults injected in {time.monotonic() - start:.0f} s, "
        f"{campaign.deaths} drivers ended by them: no run lost, none doubled, all rows equal to "
        "those of an undisturbed study"
    )


if __name__ == "__main__":
    main()
