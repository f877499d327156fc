"""Which runs are trained together, and in which order the packs are started.

A pack is the unit of scheduling: long enough that starting it costs little, short enough that every
worker has several and the last ones end together, small enough for the memory of its device.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from symstudy.identity import pack_id
from symstudy.study.cells import Run
from symstudy.study.cost import Cost, estimate_cost
from symstudy.study.padding import can_pad, padded_shape
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
EAGER_CALLS_S = 0.3e-3
"""Time of the calls of one eager step on the CPU, whatever the runs: what a pack less saves. It is
the step of a pack of one run of width 8 to 16 in `python tests/benchmarks/padding.py`, where it
parts what padding gains from what it loses. Nobody has measured padding on a GPU: there the rule is
the same, with the numbers of a GPU."""


class Pack(NamedTuple):
    """Runs that are trained together: one trial of the scheduler.

    They have one shape, or shapes that differ in the width alone and are padded to the widest.

    Attributes:
        pack_id: Identifier, of the set of runs.
        runs: The runs, by width, by seed and then by cell, so that neighbours share data.
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
        config: Wanted size or duration, engine and padding.
        workers: Packs that train at the same time.
        device: `cpu` or `cuda`.
    """
    planner = Planner(runs, config, workers=workers, device=device)
    packs = [pack for lot in planner.lots() for pack in planner.cut(lot)]
    return sorted(packs, key=lambda pack: (-pack.seconds, pack.pack_id))


class Planner:
    """Divides runs into packs; see `plan_packs`.

    A lot is what packs are cut from: all runs of one shape, or of several that differ in the width.
    """

    def __init__(
        self, runs: Sequence[Run], config: PackConfig, *, workers: int, device: str
    ) -> None:
        """Gather `runs` by shape and estimate what each shape costs."""
        self.config = config
        self.device = device
        self.shapes: dict[str, list[Run]] = {}
        for run in runs:
            self.shapes.setdefault(run.cell.shape, []).append(run)
        self.costs = {
            shape: estimate_cost(members[0].cell, device=device, engine=config.engine)
            for shape, members in self.shapes.items()
        }
        total = sum(self.costs[shape].seconds * len(self.shapes[shape]) for shape in self.shapes)
        self.wanted = min(config.seconds, max(total / (workers * PACKS_PER_WORKER), SMALLEST_S))

    def lots(self) -> list[list[Run]]:
        """Return the lots, each by width and then by seed."""
        found: list[list[Run]] = []
        for shapes in self.families():
            lot: list[Run] = []
            for shape in sorted(shapes, key=lambda shape: self.costs[shape].parameters):
                narrow, lot = lot, sorted(self.shapes[shape], key=lambda run: run.seed)
                # Next to each other in width: what a narrower run is padded with is least there.
                if narrow and self.pays(narrow, lot):
                    lot = narrow + lot
                elif narrow:
                    found.append(narrow)
            found.append(lot)
        return found

    def families(self) -> Iterable[list[str]]:
        """Return the shapes in groups that could be padded to one width."""
        families: dict[str, list[str]] = {}
        for shape, members in self.shapes.items():
            key = shape
            # The compiled kernels train lane after lane: a wider lane would only take longer.
            if self.config.pad != "never" and not self.costs[shape].is_compiled:
                cells = {run.cell.cell_id: run.cell for run in members}
                if all(can_pad(cell) for cell in cells.values()):
                    key = padded_shape(shape)
            families.setdefault(key, []).append(shape)
        return families.values()

    def pays(self, narrow: list[Run], wide: list[Run]) -> bool:
        """Return whether two lots had better be one."""
        if self.config.pad == "always":
            return True
        apart = self.seconds(narrow) + self.seconds(wide)
        return self.seconds(narrow + wide) < apart

    def seconds(self, lot: Sequence[Run]) -> float:
        """Return how long the packs of a lot take, with the calls that each makes for itself."""
        calls = EAGER_CALLS_S if self.device == "cpu" else GPU_STEP_S
        parts = self.parts(lot)
        work = sum(self.widest(part).seconds * len(part) for part in parts)
        return work + len(parts) * calls * lot[0].cell.train.steps

    def cut(self, lot: Sequence[Run]) -> Iterable[Pack]:
        """Yield the packs of a lot."""
        for part in self.parts(lot):
            cost = self.widest(part)
            yield Pack(
                pack_id(run.run_id for run in part),
                tuple(part),
                cost.seconds * len(part),
                cost.memory_bytes * len(part),
            )

    def parts(self, lot: Sequence[Run]) -> list[Sequence[Run]]:
        """Return the runs of each pack of a lot; packs differ in size by one at most."""
        count = -(-len(lot) // self.size(lot))
        return [lot[i * len(lot) // count : (i + 1) * len(lot) // count] for i in range(count)]

    def size(self, lot: Sequence[Run]) -> int:
        """Return how many runs of a lot a pack is to have."""
        if self.config.size is not None:
            return self.config.size
        cost = self.widest(lot)
        seconds = max(cost.seconds, 1e-9)
        by_memory = MEMORY_BYTES[self.device] // max(cost.memory_bytes, 1)
        by_time = round(self.wanted / seconds)
        if self.device == "cpu" and not cost.is_compiled and cost.parameters > EAGER_LARGE:
            by_time = min(by_time, EAGER_RUNS)
        if self.device == "cuda":
            by_time = max(by_time, round(GPU_STEP_S * lot[0].cell.train.steps / seconds))
        return max(1, min(by_memory, by_time, LARGEST[self.device]))

    def widest(self, runs: Sequence[Run]) -> Cost:
        """Return the cost of each of `runs` when they are one pack: that of the widest."""
        shapes = dict.fromkeys(run.cell.shape for run in runs)
        return max((self.costs[shape] for shape in shapes), key=lambda cost: cost.parameters)
