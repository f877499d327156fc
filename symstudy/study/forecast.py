"""How long a plan takes on a number of workers, and how long some of them wait at the end."""

import heapq
from collections.abc import Sequence
from typing import NamedTuple

from symstudy.study.cell import Run
from symstudy.study.constants import BUSY, PACK_S, START_S
from symstudy.study.cost import NOMINAL, Speed
from symstudy.study.devices import Device
from symstudy.study.packs import Pack, as_device, gpu_share, packs_per_gpu, plan_packs
from symstudy.study.sections import PackConfig

__all__ = ["Forecast", "Outline", "forecast", "outline"]


class Forecast(NamedTuple):
    """What a plan takes.

    Attributes:
        packs: How many.
        smallest: Runs of the smallest pack.
        largest: Runs of the largest.
        memory_bytes: Of the pack that takes most.
        seconds: Time of devices, summed: of cores on the CPU, of GPUs elsewhere.
        wall: Time from the start to the end, in seconds.
        last: Packs that are still in training when the first worker has nothing left to do.
        longest_last: Duration of the longest of these, in seconds.
        idle: Share of the workers' time in which they wait for the last packs.
    """

    packs: int
    smallest: int
    largest: int
    memory_bytes: int
    seconds: float
    wall: float
    last: int
    longest_last: float
    idle: float


class Outline(NamedTuple):
    """A plan with what it takes.

    Attributes:
        packs: In the order in which they are started.
        workers: Packs at the same time.
        share: Share of a GPU that a pack reserves; None on the CPU.
        forecast: What they take; of the packs of a GPU alone, where there are any.
        on_cpu: What those packs take that are for the CPU although there is a GPU; None if none is.
    """

    packs: list[Pack]
    workers: int
    share: float | None
    forecast: Forecast
    on_cpu: Forecast | None = None

    @property
    def wall(self) -> float:
        """Time from the start to the end, in seconds."""
        return max(self.forecast.wall, self.on_cpu.wall if self.on_cpu else 0.0)


def outline(
    runs: Sequence[Run],
    config: PackConfig,
    *,
    workers: int | None,
    device: str | Device = "cpu",
    speed: Speed = NOMINAL,
) -> Outline:
    """Return `runs` as packs, with what they take.

    Args:
        runs: What is to be trained; at least one.
        config: How runs are packed.
        workers: Packs at the same time, on a GPU and on the CPU beside it alike; None for as many
            as one GPU takes, or one core.
        device: A device, or its name.
        speed: How it compares with the constants of the estimate.

    Raises:
        UnknownNameError: If there is no such device.
    """
    target = as_device(device)
    share = None
    if target.kind == "cuda":
        packs = plan_packs(runs, config, workers=workers or 1, device=target, speed=speed)
        share = gpu_share(packs, config, target)
        workers = workers or packs_per_gpu(share)
    count = workers or 1
    packs = plan_packs(runs, config, workers=count, device=target, speed=speed)
    on_gpu, on_cpu = ([pack for pack in packs if pack.device == kind] for kind in ("cuda", "cpu"))
    told = forecast(on_cpu, workers=count, cpus=config.cpus) if on_cpu else None
    if not on_gpu:
        assert told is not None, "there is at least one run"
        return Outline(packs, count, None, told)
    found = forecast(on_gpu, workers=count, cpus=config.cpus, share=share)
    return Outline(packs, count, share, found, told)


def forecast(
    packs: Sequence[Pack], *, workers: int, cpus: int = 1, share: float | None = None
) -> Forecast:
    """Return what `packs` take, started in their order, each by the first worker that is free.

    Args:
        packs: In the order in which they are started; at least one.
        workers: Packs at the same time.
        cpus: Cores that one pack uses.
        share: Share of a GPU that a pack reserves; None on the CPU.
    """
    # Packs that share a GPU take turns as soon as there are more than keep it busy.
    stretch = 1.0 if share is None else max(1.0, BUSY / share)
    free = [START_S] * min(workers, len(packs))
    heapq.heapify(free)
    spans = []
    for pack in packs:
        start = free[0]
        end = start + PACK_S + pack.seconds * stretch
        heapq.heapreplace(free, end)
        spans.append((end, end - start))
    wall = max(free)
    # A worker that never gets a pack has nothing left to do from the start.
    first = min(free) if workers <= len(packs) else START_S
    last = [duration for end, duration in spans if end > first]
    work = sum(duration for _, duration in spans)
    offered = workers * (wall - START_S)
    return Forecast(
        packs=len(packs),
        smallest=min(len(pack.runs) for pack in packs),
        largest=max(len(pack.runs) for pack in packs),
        memory_bytes=max(pack.memory_bytes for pack in packs),
        seconds=work * (cpus if share is None else share),
        wall=wall,
        last=len(last),
        longest_last=max(last, default=0.0),
        idle=max(0.0, 1.0 - work / offered),
    )
