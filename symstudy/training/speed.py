"""How fast this machine trains: a probe of some seconds, before a plan that takes hours.

The shapes of a plan that are estimated to take most are trained for a few steps, on this machine
alone and in this process; a line through what was measured gives steps and probes their prices, and
these make the whole training. Shapes that there was no time for are taken to be off by as much as
the measured one that is nearest in size. What it does not see: workers that share caches, memory
bandwidth or the two threads of a core slow each other down, and other nodes may be other machines.
"""

import dataclasses
import json
import math
import time
from collections.abc import Callable, Sequence

import numpy as np
import threadpoolctl
import torch

from symstudy.errors import LaunchError
from symstudy.study.cell import Cell, Run, expand_runs
from symstudy.study.cells import read_trained_cell
from symstudy.study.cost import Cost, Speed, estimate_cost
from symstudy.study.devices import CPU, Device
from symstudy.study.sections import PackConfig
from symstudy.training.loop import train_pack
from symstudy.training.schedule import probe_steps

__all__ = ["measure_speed"]

LIMIT_S = 12.0
"""No further shape is begun after so long."""
SHORT = 16
"""Steps of the trainings that the prices of a setup and of probes are taken from."""
SHORTEST_S = 0.1
"""A training is long enough to take the price of a step from when it takes so much longer."""
LANES = {True: 4, False: 12}
"""Runs of a probed pack, for compiled packs and others: of the latter a dozen share the calls."""
LARGE = 200_000
"""Parameters from which on a pack of the torch engine is probed with fewer runs."""


def measure_speed(
    runs: Sequence[Run],
    config: PackConfig,
    *,
    device: Device = CPU,
    limit_s: float = LIMIT_S,
    told: Callable[[str], None] | None = None,
) -> Speed:
    """Return how this machine compares with the constants of the estimate, shape by shape.

    Args:
        runs: What is to be planned; at least one.
        config: Engine and cores of a pack.
        device: What packs of this machine train on: the CPU, or its GPU.
        limit_s: Seconds after which no further shape is begun; at least one is measured.
        told: Called with the name of each shape that is about to be measured.

    Raises:
        LaunchError: If `device` is not here.
        UserError: If a user's own model cannot be trained.
    """
    if device.kind == "cuda" and not torch.cuda.is_available():
        raise LaunchError(
            f"--probe must be on the device that trains, but got {device.name!r} and this machine "
            "has no GPU that torch can use. Leave --probe out, or type --device cpu."
        )
    here = dataclasses.replace(config, device="cuda" if device.kind == "cuda" else "cpu", size=None)
    members: dict[str, list[Cell]] = {}
    for run in runs:
        members.setdefault(run.cell.shape, []).append(run.cell)
    counts = {shape: len(found) for shape, found in members.items()}
    # One from the middle: how long lbfgs takes depends on more than the shape.
    cells = {shape: found[len(found) // 2] for shape, found in members.items()}
    costs = {
        shape: estimate_cost(cell, device=device, engine=config.engine)
        for shape, cell in cells.items()
    }
    order = sorted(cells, key=lambda shape: -costs[shape].seconds * counts[shape])
    start = time.perf_counter()
    measured: dict[str, float] = {}
    for shape in order:
        if measured and time.perf_counter() - start > limit_s:
            break
        if told:
            told(f"{len(measured) + 1} of {len(order)} shapes")
        lanes = min(LANES[costs[shape].is_compiled], counts[shape])
        if not costs[shape].is_compiled and costs[shape].parameters > LARGE:
            lanes = min(lanes, 2)
        seconds = time_pack(cells[shape], lanes, here)
        measured[shape] = seconds / costs[shape].pack_seconds(lanes)
    return Speed(
        {shape: measured.get(shape, nearest(costs[shape], costs, measured)) for shape in cells},
        default=math.exp(float(np.median(np.log(list(measured.values()))))),
        source=f"{len(measured)} of {len(order)} shapes measured on this machine",
    )


def nearest(cost: Cost, costs: dict[str, Cost], measured: dict[str, float]) -> float:
    """Return the factor of the measured shape whose cost is most like `cost`."""

    def unlike(shape: str) -> tuple[bool, float]:
        other = costs[shape]
        return other.is_compiled != cost.is_compiled, abs(math.log(other.seconds / cost.seconds))

    return measured[min(measured, key=unlike)]


def time_pack(cell: Cell, lanes: int, config: PackConfig) -> float:
    """Return how long the whole training of a pack of so many runs of `cell` would take.

    A training of s steps with c probes of which d are detailed takes a0 + a1 s + a2 c + a3 d; the
    four numbers are those of four short trainings.
    """
    train = cell.train
    restarts, whole = train.optimizer.starts, train.optimizer.passes(train.steps)
    if whole == 0:
        return time_training(cell, lanes, config, 0, 2, 1)
    short = long = min(whole, SHORT)
    time_training(cell, lanes, config, short, 2, 1)  # compiles, allocates, and is forgotten
    base = seconds = time_training(cell, lanes, config, short, 2, 1)
    while long < whole and seconds - base < SHORTEST_S:
        long = min(whole, 4 * long)
        seconds = time_training(cell, lanes, config, long, 2, 1)
    many = max(2, min(8, cell.probe.num))
    trainings = [(short, 2, 1), (long, 2, 1), (short, many, 1), (short, many, many)]
    times = [
        # The least of two: whatever else the machine does only ever makes it slower.
        min(time_training(cell, lanes, config, *training) for _ in range(2))
        for training in trainings
    ]
    rows = [[1.0, *counts_of(*training)] for training in trainings]
    prices = np.linalg.lstsq(np.array(rows, float), np.array(times), rcond=None)[0]
    steps, probes, details = counts_of(train.steps, cell.probe.num, cell.probe.detail)
    # Noise may make a price of nearly nothing negative.
    setup, step, probe, detail = np.maximum(prices, 0.0).tolist()
    steps = min(steps, whole)
    # lbfgs may have converged within the short training, which is then the price of a restart.
    return float(restarts * (setup + steps * step) + probes * probe + details * detail)


def counts_of(steps: int, num: int, detail: int) -> tuple[int, int, int]:
    """Return the steps, probes and detailed probes that a training really has."""
    places, is_detailed = probe_steps(steps, num, detail)
    return steps, len(places), int(is_detailed.sum())


def time_training(
    cell: Cell, lanes: int, config: PackConfig, steps: int, num: int, detail: int
) -> float:
    """Return how long a training of few steps and probes takes, in seconds of a core or a GPU."""
    tables = json.loads(cell.config)
    # refine would go on from points that a few steps have not brought near a minimum.
    tables["train"].update(steps=steps, restarts=1, refine=False, polish=0)
    tables["probe"].update(num=num, detail=detail)
    runs = expand_runs([read_trained_cell(json.dumps(tables))], range(lanes))
    # Time of the processor, not of the clock: a machine that is busy now may be idle later.
    clock = time.perf_counter if config.device == "cuda" else time.thread_time
    # Workers have as many threads as a pack has cores; here libraries would take them all.
    with threadpoolctl.threadpool_limits(config.cpus):
        start = clock()
        train_pack(runs, config)
        return clock() - start
