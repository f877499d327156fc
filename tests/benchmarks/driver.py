"""What a pack costs the driver: packs of next to no work, a few and thousands, on two workers.

Real packs of one run and one step, through Ray Tune into the store. Prints, for each number of
packs, the wall time and the driver's own processor time a pack, and by how much its memory grew.
Then the share of the driver in packs of the size that the planner makes.
"""

import os
import resource
import tempfile
import time
from typing import NamedTuple, Self

from symstudy.launch import RayLauncher, run_study
from symstudy.study import PackConfig, Study, make_study

COUNTS = (100, 1000, 5000)


class KeptUp(RayLauncher):
    """Uses the Ray that is up."""

    def __enter__(self) -> Self:
        return self if self.resources else super().__enter__()

    def __exit__(self, *_: object) -> None:
        pass


class Cost(NamedTuple):
    """What a launch cost.

    Attributes:
        wall: Seconds.
        driver: Processor seconds of the driver.
        memory: Most memory that the driver has had, in MiB.
    """

    wall: float
    driver: float
    memory: float


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
    """Run `study` and return what it cost."""
    with tempfile.TemporaryDirectory() as results:
        cpu, start = time.process_time(), time.perf_counter()
        summary = run_study(study, results, launcher)
        wall, driver = time.perf_counter() - start, time.process_time() - cpu
    assert summary.done == len(study.runs()), summary
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return Cost(wall, driver, memory)


def main() -> None:
    """Print what packs cost the driver."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    with KeptUp(PackConfig(device="cpu"), workers=2) as launcher:
        measured(small_packs(20), launcher)
        for count in COUNTS:
            cost = measured(small_packs(count), launcher)
            print(
                f"  {count:5d} packs: {1e3 * cost.wall / count:5.1f} ms a pack, driver's processor "
                f"{1e3 * cost.driver / count:4.1f} ms a pack, its memory {cost.memory:4.0f} MiB",
                flush=True,
            )
        per_pack = cost.driver / COUNTS[-1]
        planned = PackConfig().seconds
        print(f"  share of the driver in a pack of {planned:g} s: {per_pack / planned:.2%}")


if __name__ == "__main__":
    main()
