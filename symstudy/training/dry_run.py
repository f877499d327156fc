"""One step of each module of a study's own before it is launched: what it is, and how it trains.

Shapes: K runs.
"""

import dataclasses
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import threadpoolctl

from symstudy.components import DataShape
from symstudy.models import build_model
from symstudy.study.cell import Cell, expand_runs
from symstudy.study.cost import Speed, estimate_cost
from symstudy.study.devices import CPU, Device
from symstudy.study.sections import PackConfig
from symstudy.training.engines.base import LoadedPack, pick_device
from symstudy.training.engines.torch import TorchEngine
from symstudy.training.loop import make_pack
from symstudy.training.other_process import check_processes

__all__ = [
    "APART",
    "TOGETHER",
    "DryRun",
    "ModuleTrial",
    "check_own_models",
    "dry_run",
    "speed_of",
]

LANES = (1, 4, 16)
"""Runs of the packs whose steps are timed."""
TOGETHER, APART = "one call", "one by one"
"""How the runs of a pack may go through a module."""
LARGEST_OF = 16
"""Shapes of which the largest is looked for; more are sampled evenly."""
TRIED = 3
"""Shapes that are trained for a step, at most."""
LIMIT_S = 8.0
"""After so much processor time no further step is timed, and no further shape built. Of the
processor and not of the clock: how much is tried does not depend on what else the machine does."""
SAMPLE_S = 0.15
"""A step is repeated for so long, and the quickest counts."""


class ModuleTrial(NamedTuple):
    """What was found of one shape of a module.

    Attributes:
        shape: Shape of the cells that it is the model of.
        call: How it is built.
        inputs: What `forward` takes.
        returns: What it returns.
        trained: Number of parameters that are trained.
        frozen: Number of those that are not.
        shared: Numbers in buffers that all runs share.
        own: Numbers in buffers and frozen parameters that are each run's own.
        own_names: Their names.
        memory_bytes: Memory of a run in training, estimated from what was counted.
        way: `one call` or `one by one`: how the runs of a pack go through it.
        reason: Why they go one by one; empty if they do not.
        measured: What is measured in its hidden layers, or why nothing is.
        step_s: Seconds of a step by way, and by the runs of the pack.
    """

    shape: str
    call: str
    inputs: str
    returns: str
    trained: int
    frozen: int
    shared: int
    own: int
    own_names: tuple[str, ...]
    memory_bytes: int
    way: str
    reason: str
    measured: str
    step_s: Mapping[str, Mapping[int, float]]

    def gain(self) -> float | None:
        """Return how many times as fast one call is as one by one; None where that is not known.

        Compared are seconds a run, in the largest packs that were timed.
        """
        together, apart = (self.step_s.get(way, {}) for way in (TOGETHER, APART))
        if not apart or max(together, default=1) == 1:
            return None
        most, alone = max(together), max(apart)
        return (apart[alone] / alone) / (together[most] / most)

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {**self._asdict(), "gain": self.gain()}


class DryRun(NamedTuple):
    """What was found of the modules of a study.

    Attributes:
        trials: Shapes that were trained for a step.
        built: Number of shapes that were built.
        shapes: Number of shapes.
    """

    trials: Sequence[ModuleTrial]
    built: int
    shapes: int


def dry_run(cells: Sequence[Cell], config: PackConfig) -> DryRun:
    """Build the modules among the models of `cells`, and train some of them for a step.

    Trained are the first shapes and the largest, on the study's own data. Built are all for which
    there is time.

    Args:
        cells: Of a study.
        config: Device, cores, and how runs share calls.

    Raises:
        ModelError: If a module cannot be built or trained.
    """
    shapes: dict[str, Cell] = {}
    for cell in cells:
        if cell.model.is_own_code:
            shapes.setdefault(cell.shape, cell)
    start = time.process_time()
    chosen = chosen_shapes(list(shapes.values()))
    trials: list[ModuleTrial] = []
    for cell in chosen:
        if trials and time.process_time() - start > LIMIT_S:
            break
        trials.append(try_cell(cell, config, start + LIMIT_S))
    check_processes([cell for cell in chosen if cell.shape in {each.shape for each in trials}])
    built = {trial.shape for trial in trials}
    for shape, cell in shapes.items():
        if shape not in built and time.process_time() - start < LIMIT_S:
            cell.model.size(cell.data.shape)
            built.add(shape)
    return DryRun(trials, len(built), len(shapes))


def check_own_models(cells: Iterable[Cell], config: PackConfig) -> None:
    """Check models and data of the user's own before a launch writes anything.

    Models must fit data and loss, and runs start the same in other processes. Checked is a pack of
    one run on the CPU for the first shapes and the largest.

    Args:
        cells: That are to be trained.
        config: How packs are trained.

    Raises:
        ModelError: If they do not fit, in the words that a worker would fail in.
        LaunchError: If code or data are not those that the cells were planned with.
    """
    shapes: dict[str, Cell] = {}
    for cell in cells:
        if has_own_start(cell):
            shapes.setdefault(cell.shape, cell)
    on_cpu = dataclasses.replace(config, device="cpu")
    chosen = chosen_shapes(list(shapes.values()))
    for cell in chosen:
        if cell.model.is_own_code:
            make_pack(expand_runs([cell], [0]), on_cpu)
    check_processes(chosen)


def has_own_start(cell: Cell) -> bool:
    """Return whether code of the user's own decides how runs start, or on what data."""
    return cell.model.is_own_code or ":" in cell.data.kind


def chosen_shapes(cells: Sequence[Cell]) -> list[Cell]:
    """Return a cell of each shape that is tried: the first ones, and the largest that is found."""
    if len(cells) <= TRIED:
        return list(cells)
    places = np.unique(np.linspace(0, len(cells) - 1, LARGEST_OF).astype(int))
    candidates = [cells[place] for place in places]
    largest = max(candidates, key=lambda cell: cell.model.size(cell.data.shape).parameters)
    first, *others = [cell for cell in cells[:TRIED] if cell is not largest]
    return [first, largest, *others][:TRIED]


def try_cell(cell: Cell, config: PackConfig, until: float) -> ModuleTrial:
    """Return what is found of the module of `cell` on its data; no step is begun after `until`.

    Raises:
        ModelError: If it cannot be built or trained.
    """
    (run,) = expand_runs([cell], [0])
    pack = make_pack([run], config)
    device = pick_device(config).type
    whole = build_model(cell.model, cell.data.shape)
    apart = whole.adapted(cell.train.batch_size, device, "never")
    is_batched = pack.model.is_batched(training=True)
    models = {TOGETHER: whole, APART: apart} if whole.is_batched(training=True) else {APART: apart}
    times: dict[str, dict[int, float]] = {way: {} for way in models}
    if cell.train.optimizer.trains_by == "steps":
        with threadpoolctl.threadpool_limits(config.cpus):
            for way, model in models.items():
                times[way] = time_steps(pack._replace(model=model), until)
    found = pack.model.facts
    assert found is not None, "code of the user's own says what it is"
    cost = estimate_cost(cell, device=CPU, engine=config.engine)
    return ModuleTrial(
        shape=cell.shape,
        call=found.call,
        inputs=inputs_of(cell.data.shape),
        returns=found.returns,
        trained=pack.model.layout.size,
        frozen=found.frozen,
        shared=found.shared,
        own=found.own,
        own_names=found.own_names,
        memory_bytes=cost.memory_bytes,
        way=TOGETHER if is_batched else APART,
        reason=found.reason,
        measured=found.measured,
        step_s=times,
    )


def inputs_of(data: DataShape) -> str:
    """Return what a module is given, in words."""
    axes = ", ".join(map(str, ("samples", *(data.input_shape or (data.inputs,)))))
    return f"[{axes}] of {'int64' if data.is_integer else 'floats'}"


def time_steps(pack: LoadedPack, until: float) -> dict[int, float]:
    """Return seconds of a step of packs of several sizes, of one run over and over."""
    found: dict[int, float] = {}
    for lanes in LANES:
        last = found[max(found)] if found else 0.0
        # The first step allocates; a larger pack takes at most as much more as it has runs.
        if found and time.process_time() + 2 * lanes / max(found) * last > until:
            break
        found[lanes] = time_step(several(pack, lanes))
    return found


def several(pack: LoadedPack, lanes: int) -> LoadedPack:
    """Return a pack of the first run of `pack` so many times, on the same data."""
    data = pack.data.part(np.zeros(lanes, np.int64))
    return pack._replace(runs=[pack.runs[0]] * lanes, data=data)


def time_step(pack: LoadedPack) -> float:
    """Return the seconds of a step, the least of several."""
    engine = TorchEngine(pack)
    # Time of the processor, not of the clock: a machine that is busy now may be idle later.
    clock = time.perf_counter if engine.device.type == "cuda" else time.thread_time
    times: list[float] = []
    start = time.process_time()
    # A run that has diverged takes no more steps, and no time.
    while engine.is_alive_K.all() and len(times) < pack.train.steps:
        begun = clock()
        engine.advance(len(times), 1)
        engine.is_alive_K.any()  # Waits for a GPU.
        times.append(clock() - begun)
        if len(times) > 1 and time.process_time() - start > SAMPLE_S:
            break
    return min(times)


def speed_of(found: DryRun, cells: Sequence[Cell], config: PackConfig, device: Device) -> Speed:
    """Return how the steps that were timed compare with the estimate, shape by shape.

    Shapes of modules that were not timed are off by as much as the nearest in size that was.

    Args:
        found: With timed steps.
        cells: Of the study.
        config: How runs are packed.
        device: Where they were timed: the CPU, or this machine's GPU.
    """
    shapes = {cell.shape: cell for cell in cells if cell.model.is_own_code}
    measured = {
        trial.shape: factor_of(trial, shapes[trial.shape], config, device)
        for trial in found.trials
        if trial.shape in shapes and trial.step_s[trial.way]
    }
    if not measured:
        return Speed()
    sizes = {shape: cell.model.size(cell.data.shape).parameters for shape, cell in shapes.items()}

    def nearest(shape: str) -> float:
        return measured[min(measured, key=lambda other: abs(sizes[other] - sizes[shape]))]

    return Speed(
        {shape: measured.get(shape) or nearest(shape) for shape in shapes},
        source=f"steps of {len(measured)} of {len(shapes)} shapes of modules measured here; "
        "the rest of the estimate is by counted work",
    )


def factor_of(trial: ModuleTrial, cell: Cell, config: PackConfig, device: Device) -> float:
    """Return measured time over estimated time of a run, its probes as estimated."""
    lanes = max(trial.step_s[trial.way])
    steps = cell.train.steps
    longer = cell.with_part(dataclasses.replace(cell.train, steps=2 * steps))
    once, twice = (
        estimate_cost(each, device=device, engine=config.engine).pack_seconds(lanes)
        for each in (cell, longer)
    )
    stepping = twice - once
    return (once - stepping + steps * trial.step_s[trial.way][lanes]) / once
