"""Which runs are trained together, and in which order the packs are started.

A pack is the unit of scheduling: long enough that starting it costs little, short enough that every
worker has several, small enough for the memory of its device. The last packs of all are cut
smaller: they fill the time in which some workers would wait for others.
"""

from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

from symstudy.identity import pack_id
from symstudy.study.cell import Run
from symstudy.study.constants import (
    CONTEXT_BYTES,
    CPU_PACK_BYTES,
    EAGER_LARGE,
    EAGER_RUNS,
    LARGEST,
    MOST_PER_GPU,
    PACKS_PER_WORKER,
    SLACK,
    SMALLEST_S,
    TAIL_PARTS,
    USABLE,
)
from symstudy.study.cost import NOMINAL, Cost, Speed, estimate_cost
from symstudy.study.devices import CPU, Device, find_device
from symstudy.study.padding import can_pad, padded_shape
from symstudy.study.sections import PackConfig

__all__ = [
    "Pack",
    "are_programs",
    "gpu_share",
    "make_pack",
    "packs_per_gpu",
    "plan_packs",
]

SHARE_UNITS = 10_000
"""Ray counts shares in ten-thousandths; three thirds rounded up would not fit one GPU."""


class Pack(NamedTuple):
    """Runs that are trained together: one trial of the scheduler.

    They have one shape, or shapes that differ in the width alone and are padded to the widest.

    Attributes:
        pack_id: Identifier, of the set of runs.
        runs: The runs, by width, by seed and then by data, so that neighbours share data.
        seconds: Estimated duration.
        memory_bytes: Estimated memory.
        device: Where it is to be trained: `cpu` or `cuda`.
    """

    pack_id: str
    runs: tuple[Run, ...]
    seconds: float
    memory_bytes: int
    device: Literal["cpu", "cuda"]


def plan_packs(
    runs: Sequence[Run],
    config: PackConfig,
    *,
    workers: int = 1,
    device: str | Device = "cpu",
    speed: Speed = NOMINAL,
    cpu_workers: int | None = None,
) -> list[Pack]:
    """Return `runs` as packs, the longest first, so that the last to start are short.

    With `pack.device = "auto"` and a GPU, shapes that one core is estimated to train faster than
    the GPU are packs of the CPU.

    Args:
        runs: What is to be trained.
        config: Wanted size or duration, device, engine and padding.
        workers: Packs that train at the same time.
        device: A device of `symstudy.study.devices`, or its name.
        speed: How the device compares with the constants that durations are estimated by.
        cpu_workers: Packs that train at the same time on the CPU beside a GPU; as many as `workers`
            if None.

    Raises:
        UnknownNameError: If there is no such device.
    """
    target = as_device(device)
    if are_programs(runs):
        return program_packs(runs, config, target)
    on_cpu: list[Run] = []
    if target.kind == "cuda":
        on_cpu, runs = part_by_device(runs, config, target, workers=workers, speed=speed)
    planners = [Planner(runs, config, workers=workers, device=target, speed=speed)]
    if on_cpu:
        planners.append(Planner(on_cpu, config, workers=cpu_workers or workers, device=CPU))
    packs = [pack for planner in planners for lot in planner.lots() for pack in planner.cut(lot)]
    return sorted(packs, key=lambda pack: (-pack.seconds, pack.pack_id))


def part_by_device(
    runs: Sequence[Run], config: PackConfig, gpu: Device, *, workers: int, speed: Speed
) -> tuple[list[Run], list[Run]]:
    """Return the runs that are for the CPU where there is a GPU, and those that are for the GPU."""
    if config.device == "cuda":
        return [], list(runs)
    if config.device == "cpu" or config.engine == "compiled":
        return list(runs), []
    planner = Planner(runs, config, workers=workers, device=gpu, speed=speed)
    is_for_cpu = {}
    for shape, members in planner.shapes.items():
        largest = max(len(part) for part in planner.parts(members))
        is_for_cpu[shape] = is_core_faster(members[0], largest, planner.costs[shape], config)
    return (
        [run for run in runs if is_for_cpu[run.cell.shape]],
        [run for run in runs if not is_for_cpu[run.cell.shape]],
    )


def is_core_faster(run: Run, count: int, on_gpu: Cost, config: PackConfig) -> bool:
    """Return whether one core is estimated to train a pack of such runs faster than a GPU.

    Args:
        run: One of them.
        count: How many.
        on_gpu: Cost of one on the GPU.
        config: Holds the engine.
    """
    on_core = estimate_cost(run.cell, device=CPU, engine=config.engine)
    # What the compiled solver trains it trains on the CPU, whatever the device.
    return on_gpu.is_compiled or on_core.pack_seconds(count) < on_gpu.pack_seconds(count)


def gpu_share(packs: Sequence[Pack], config: PackConfig, device: str | Device) -> float:
    """Return the share of a GPU that one pack reserves: several packs a GPU where they fit.

    With `pack.gpus = "auto"` it is 1 / k for the largest k, at most 4, of packs as large as the
    largest of `packs` that the GPU's memory holds, each in a process of its own. More packs at a
    time than `packs` were planned for make them no larger, so the share holds when they are planned
    again for as many workers as it gives.

    Args:
        packs: What is to be trained; those of the CPU take no part.
        config: Holds `gpus`.
        device: The GPU, or its name.

    Raises:
        UnknownNameError: If there is no such device.
    """
    if config.gpus != "auto":
        return config.gpus
    if any(are_programs(pack.runs) for pack in packs[:1]):
        return 1.0
    largest = max((pack.memory_bytes for pack in packs if pack.device == "cuda"), default=0)
    fit = USABLE * as_device(device).memory_bytes / (CONTEXT_BYTES + SLACK * largest)
    return SHARE_UNITS // max(1, min(MOST_PER_GPU, int(fit))) / SHARE_UNITS


def packs_per_gpu(share: float) -> int:
    """Return how many packs that reserve `share` of a GPU fit one: none is cut over two."""
    return SHARE_UNITS // max(1, round(share * SHARE_UNITS))


def make_pack(runs: Sequence[Run], config: PackConfig, *, device: str | Device = "cpu") -> Pack:
    """Return the pack that holds exactly `runs`, in their order."""
    target = as_device(device)
    if are_programs(runs):
        return program_pack(runs, config, target)
    planner = Planner(runs, config, workers=1, device=target)
    if target.kind == "cuda" and config.device != "cuda":
        cost = planner.widest(runs)
        if config.engine == "compiled" or is_core_faster(runs[0], len(runs), cost, config):
            planner = Planner(runs, config, workers=1, device=CPU)
    return planner.pack_of(runs)


def as_device(device: str | Device) -> Device:
    """Return a device, looked up if it is named.

    Raises:
        UnknownNameError: If there is none of that name.
    """
    return find_device(device) if isinstance(device, str) else device


def are_programs(runs: Sequence[Run]) -> bool:
    """Return whether `runs` are those of a program of the user's own."""
    return any(run.cell.is_program for run in runs[:1])


def program_packs(runs: Sequence[Run], config: PackConfig, device: Device) -> list[Pack]:
    """Return runs of a program as packs of `config.size` runs, one after the other, or of one.

    How long they take and what memory they need is not known: both are 0.
    """
    size = config.size or 1
    parts = [runs[start : start + size] for start in range(0, len(runs), size)]
    return [program_pack(part, config, device) for part in parts]


def program_pack(runs: Sequence[Run], config: PackConfig, device: Device) -> Pack:
    """Return runs of a program as one pack."""
    on_gpu = device.kind == "cuda" and config.device != "cpu"
    name = pack_id(run.run_id for run in runs)
    return Pack(name, tuple(runs), 0.0, 0, "cuda" if on_gpu else "cpu")


class Planner:
    """Divides runs into packs; see `plan_packs`.

    A lot is what packs are cut from: all runs of one shape, or of several that differ in the width.
    """

    def __init__(
        self,
        runs: Sequence[Run],
        config: PackConfig,
        *,
        workers: int,
        device: Device,
        speed: Speed = NOMINAL,
    ) -> None:
        """Gather `runs` by shape and estimate what each shape costs."""
        self.config = config
        self.kind: Literal["cpu", "cuda"] = "cuda" if device.kind == "cuda" else "cpu"
        self.memory = CPU_PACK_BYTES
        if self.kind == "cuda":
            # What a pack takes at most fits its share, with what its process takes beside.
            share = 1.0 if config.gpus == "auto" else config.gpus
            usable = share * USABLE * device.memory_bytes - CONTEXT_BYTES
            self.memory = max(0, int(usable / SLACK))
        cells = {run.cell.cell_id: run.cell.config for run in runs}
        # The text of a cell begins with its data.
        self.order = {cell: i for i, cell in enumerate(sorted(cells, key=cells.__getitem__))}
        self.shapes: dict[str, list[Run]] = {}
        for run in runs:
            self.shapes.setdefault(run.cell.shape, []).append(run)
        self.costs = {
            shape: estimate_cost(members[0].cell, device=device, engine=config.engine).scaled(
                speed.factor(shape)
            )
            for shape, members in self.shapes.items()
        }
        total = sum(self.costs[shape].seconds * len(self.shapes[shape]) for shape in self.shapes)
        self.wanted = min(config.seconds, max(total / (workers * PACKS_PER_WORKER), SMALLEST_S))
        # A worker is kept waiting at the end for up to a pack: so much work is cut smaller.
        self.tail = min(1.0, workers * self.wanted / total) if workers > 1 and total > 0 else 0.0
        self.owed = 0.0

    def lots(self) -> list[list[Run]]:
        """Return the lots, each by width and then by seed."""
        found: list[list[Run]] = []
        for shapes in self.families():
            lot: list[Run] = []
            for shape in sorted(shapes, key=lambda shape: self.costs[shape].parameters):
                narrow, lot = lot, sorted(self.shapes[shape], key=self.place)
                # Next to each other in width: what a narrower run is padded with is least there.
                if narrow and self.pays(narrow, lot):
                    lot = narrow + lot
                elif narrow:
                    found.append(narrow)
            found.append(lot)
        return found

    def place(self, run: Run) -> tuple[int, int]:
        """Return where in its lot a run belongs."""
        return run.seed, self.order[run.cell.cell_id]

    def families(self) -> Iterable[list[str]]:
        """Return the shapes in groups that could be padded to one width."""
        families: dict[str, list[str]] = {}
        for shape, members in self.shapes.items():
            key = shape
            # Such kernels train lane by lane: a wider lane would only take longer.
            if self.config.pad != "never" and not self.costs[shape].goes_by_lanes:
                cells = {run.cell.cell_id: run.cell for run in members}
                if all(can_pad(cell) for cell in cells.values()):
                    key = padded_shape(members[0].cell)
            families.setdefault(key, []).append(shape)
        return [shapes for _, shapes in sorted(families.items())]

    def pays(self, narrow: list[Run], wide: list[Run]) -> bool:
        """Return whether two lots had better be one."""
        if self.config.pad == "always":
            return True
        apart = self.seconds(narrow) + self.seconds(wide)
        return self.seconds(narrow + wide) < apart

    def seconds(self, lot: Sequence[Run]) -> float:
        """Return how long the packs of a lot take, with the calls that each makes for itself."""
        return sum(self.widest(part).pack_seconds(len(part)) for part in self.parts(lot))

    def cut(self, lot: Sequence[Run]) -> Iterable[Pack]:
        """Yield the packs of a lot; a share of them, the same for all lots, is cut smaller."""
        for part in self.parts(lot):
            self.owed += self.tail
            pieces = [part]
            if self.owed >= 1.0:
                self.owed -= 1.0
                pieces = self.smaller(part)
            yield from map(self.pack_of, pieces)

    def pack_of(self, runs: Sequence[Run]) -> Pack:
        """Return `runs` as one pack."""
        cost = self.widest(runs)
        return Pack(
            pack_id(run.run_id for run in runs),
            tuple(runs),
            cost.pack_seconds(len(runs)),
            cost.pack_bytes(len(runs)),
            self.kind,
        )

    def parts(self, lot: Sequence[Run]) -> list[Sequence[Run]]:
        """Return the runs of each pack of a lot, in packs that differ in size by one at most."""
        return divide(lot, -(-len(lot) // self.size(lot)))

    def smaller(self, part: Sequence[Run]) -> list[Sequence[Run]]:
        """Return the runs of a pack of the tail in several packs, if these are shorter."""
        cost = self.widest(part)
        seconds = cost.pack_seconds(len(part))
        pieces = min(TAIL_PARTS, len(part), int(seconds / SMALLEST_S))
        if self.config.size is not None or pieces < 2:
            return [part]
        # Where the calls are most of a step, as on a GPU, fewer runs would take as long.
        if cost.pack_seconds(-(-len(part) // pieces)) > seconds / 2:
            return [part]
        return divide(part, pieces)

    def size(self, lot: Sequence[Run]) -> int:
        """Return how many runs of a lot a pack is to have."""
        if self.config.size is not None:
            return self.config.size
        cost = self.widest(lot)
        seconds = max(cost.seconds, 1e-9)
        by_memory = (self.memory - cost.shared_bytes) // max(cost.memory_bytes, 1)
        by_time = round(self.wanted / seconds)
        if self.kind == "cpu" and not cost.is_compiled and cost.parameters > EAGER_LARGE:
            by_time = min(by_time, EAGER_RUNS)
        if self.kind == "cuda":
            # More runs are free until their work exceeds the calls.
            by_time = max(by_time, round(cost.calls_s / seconds))
        return max(1, min(by_memory, by_time, LARGEST[self.kind]))

    def widest(self, runs: Sequence[Run]) -> Cost:
        """Return the cost of each of `runs` when they are one pack: that of the widest."""
        shapes = dict.fromkeys(run.cell.shape for run in runs)
        return max((self.costs[shape] for shape in shapes), key=lambda cost: cost.parameters)


def divide(runs: Sequence[Run], count: int) -> list[Sequence[Run]]:
    """Return `runs` in `count` parts that differ in size by one at most."""
    return [runs[i * len(runs) // count : (i + 1) * len(runs) // count] for i in range(count)]
