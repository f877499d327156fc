"""Which runs are trained together, and in which order the packs are started.

A pack is the unit of scheduling: long enough that starting it costs little, short enough that every
worker has several and the last ones end together, small enough for the memory of its device.
"""

from collections.abc import Sequence
from typing import NamedTuple

from symstudy.identity import pack_id
from symstudy.study.cells import Run
from symstudy.study.cost import estimate_cost
from symstudy.study.sections import PackConfig

__all__ = ["Pack", "plan_packs"]

PACKS_PER_WORKER = 4
"""At least so many packs a worker, if the runs suffice: the last ones then end close together."""
MEMORY_BYTES = {"cpu": 2 << 30, "cuda": 24 << 30}
"""Memory that the runs of one pack may take."""
LARGEST = {"cpu": 1024, "cuda": 8192}
"""No pack has more runs: beyond that a packed step gains nothing, and a lost pack costs more."""
SMALLEST_S = 0.5
"""No pack is split below this much work: starting a pack costs a tenth of it."""
EAGER_LARGE = 200_000
"""Parameters beyond which eager packs on the CPU gain nothing: the products outweigh the calls."""
EAGER_RUNS = 4
"""Runs of a pack of such networks: few, so that their memory stays near the caches."""
GPU_STEP_S = 0.3e-3
"""Time of the calls of one packed step on a GPU: more runs are free until their work exceeds it."""


class Pack(NamedTuple):
    """Runs of one shape that are trained together: one trial of the scheduler.

    Attributes:
        pack_id: Identifier, of the set of runs.
        runs: The runs, by seed and then by cell, so that neighbours share data.
        seconds: Estimated duration.
        memory_bytes: Estimated memory.
    """

    pack_id: str
    runs: tuple[Run, ...]
    seconds: float
    memory_bytes: int


def plan_packs(
    runs: Sequence[Run], config: PackConfig, *, workers: int = 1, device: str = "cpu"
) -> list[Pack]:
    """Return `runs` as packs, the longest first, so that the last to start are short.

    Args:
        runs: What is to be trained.
        config: Wanted size or duration, and engine.
        workers: Packs that train at the same time.
        device: `cpu` or `cuda`.
    """
    shapes: dict[str, list[Run]] = {}
    for run in runs:
        shapes.setdefault(run.cell.shape, []).append(run)
    costs = {
        shape: estimate_cost(members[0].cell, device=device, engine=config.engine)
        for shape, members in shapes.items()
    }
    total = sum(costs[shape].seconds * len(members) for shape, members in shapes.items())
    wanted = min(config.seconds, max(total / (workers * PACKS_PER_WORKER), SMALLEST_S))
    packs: list[Pack] = []
    for shape, members in shapes.items():
        cost = costs[shape]
        seconds = max(cost.seconds, 1e-9)
        if config.size is not None:
            size = config.size
        else:
            by_memory = MEMORY_BYTES[device] // max(cost.memory_bytes, 1)
            by_time = round(wanted / seconds)
            if device == "cpu" and not cost.is_compiled and cost.parameters > EAGER_LARGE:
                by_time = min(by_time, EAGER_RUNS)
            if device == "cuda":
                steps = members[0].cell.train.steps
                by_time = max(by_time, round(GPU_STEP_S * steps / seconds))
            size = max(1, min(by_memory, by_time, LARGEST[device]))
        count = -(-len(members) // size)
        ordered = sorted(members, key=lambda run: run.seed)
        # Packs of a shape differ in size by one at most.
        for i in range(count):
            part = tuple(ordered[i * len(ordered) // count : (i + 1) * len(ordered) // count])
            packs.append(
                Pack(
                    pack_id(run.run_id for run in part),
                    part,
                    cost.seconds * len(part),
                    cost.memory_bytes * len(part),
                )
            )
    return sorted(packs, key=lambda pack: (-pack.seconds, pack.pack_id))
