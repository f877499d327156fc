"""What a pack costs the driver: packs of next to no work, a few and thousands, on two workers.

Real packs of one run and one step, through Ray Tune into the store. Prints, for each number of
packs, the wall time and the driver's own processor time a pack until the last one has ended, and
the memory that the driver has then. Then the share of the driver's processor time in the wall time
of a study of 2,048 runs in packs of the size that the planner makes.
"""

import os
import tempfile
import time
from pathlib import Path
from typing import NamedTuple, Self

import psutil
from documented import table, tell

from symstudy.launch import Event, PackEnded, RayLauncher, run_study
from symstudy.study import PackConfig, Study, load_study, make_study

COUNTS = (100, 1000, 5000)


class KeptUp(RayLauncher):
    """Uses the Ray that is up."""

    def __enter__(self) -> Self:
        return self if self.nodes else super().__enter__()

    def __exit__(self, *_: object) -> None:
        pass


class Cost(NamedTuple):
    """What a launch cost.

    Attributes:
        wall: Seconds.
        driver: Processor seconds of the driver.
        memory: That the driver has, in MiB.
    """

    wall: float
    driver: float
    memory: float


def spent() -> Cost:
    """Return what this process has cost until now."""
    memory = psutil.Process().memory_info().rss / 2**20
    return Cost(time.perf_counter(), time.process_time(), memory)


class Meter:
    """A listener that reads the meter when a pack ends.

    Attributes:
        last: What had been spent when the last pack ended.
    """

    def __init__(self) -> None:
        """Begin with what has been spent until now."""
        self.last = spent()

    def __call__(self, event: Event) -> None:
        """Read the meter if a pack has ended."""
        if isinstance(event, PackEnded):
            self.last = spent()


def small_packs(count: int) -> Study:
    """Return a study of `count` packs of one run and one step."""
    return make_study(
        {
            "schema": 1,
            "name": f"packs_{count}",
            "title": "Packs of next to no work",
            "model": {"kind": "fcn", "depth": 2, "width": 2},
            "data": {"kind": "teacher_student", "samples": 10, "test_samples": 10},
            "train": {"lr": 0.01, "batch_size": 10, "steps": 1},
            "probe": {"num": 2, "detail": 1, "samples": 8},
            "sweep": {"seed": count},
            "pack": {"size": 1, "certify": 0, "device": "cpu"},
        }
    )


def measured(study: Study, launcher: RayLauncher) -> Cost:
    """Run `study` and return what it cost until its last pack had ended."""
    meter, start = Meter(), spent()
    with tempfile.TemporaryDirectory() as results:
        summary = run_study(study, results, launcher, listeners=[meter])
    assert summary.done == len(study.runs()), summary
    last = meter.last
    return Cost(last.wall - start.wall, last.driver - start.driver, last.memory)


def main() -> None:
    """Tell what packs cost the driver."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    thousands = load_study(Path(__file__).parents[2] / "studies" / "thousands.toml")
    with KeptUp(PackConfig(device="cpu"), workers=2) as launcher:
        measured(small_packs(20), launcher)
        rows = []
        for count in COUNTS:
            cost = measured(small_packs(count), launcher)
            wall, driver = 1e3 * cost.wall / count, 1e3 * cost.driver / count
            figures = (f"{wall:.0f} ms", f"{driver:.1f} ms", f"{cost.memory:.0f} MiB")
            rows.append([f"{count:,}", *figures])
        head = ["packs", "wall time a pack", "driver's processor time a pack", "its memory"]
        tell("driver.packs", table(head, rows))
        cost = measured(thousands, launcher)
        tell(
            "driver.study",
            f"In the study `{thousands.name}`, {len(thousands.runs()):,} runs in {cost.wall:.0f} s "
            f"without the start of Ray, the driver takes {cost.driver / cost.wall:.1%} of the wall "
            "time.",
        )


if __name__ == "__main__":
    main()
