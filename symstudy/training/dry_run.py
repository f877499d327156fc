"""One step of each module of a study's own before it is launched: what it is, and how it trains.

Shapes: K runs.
"""

import dataclasses
import functools
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import threadpoolctl

from symstudy.components import DataShape
from symstudy.models import build_model
from symstudy.models.base import AbstractModel
from symstudy.study.cell import Cell, expand_runs
from symstudy.study.compiling import why_not_compiled
from symstudy.study.cost import Speed, estimate_cost
from symstudy.study.devices import CPU, Device
from symstudy.study.sections import PackConfig
from symstudy.training.engines.base import AbstractEngine, LoadedPack, pick_device
from symstudy.training.engines.choice import make_compiled
from symstudy.training.engines.compiled import CompiledEngine
from symstudy.training.engines.networks import why_no_graph
from symstudy.training.engines.torch import TorchEngine
from symstudy.training.loop import make_pack
from symstudy.training.other_process import check_processes

__all__ = [
    "APART",
    "KERNELS",
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
"""How the runs of a pack may go through a module in torch."""
KERNELS = "compiled kernels"
"""How they go where the compiled kernels know its layers."""
LARGEST_OF = 16
"""Shapes of which the largest is looked for; more are sampled evenly."""
TRIED = 3
"""Shapes that are trained for a step, at most."""
LIMIT_S = 8.0
"""After so much processor time no further step is timed, and no further shape built. Of the
processor and not of the clock: how much is tried does not depend on what else the machine does."""
SAMPLE_S = 0.15
"""A step is repeated for so long, and the quickest counts."""
MOST_STEPS = 64
"""Steps that the kernels take at a time, about as in training."""


MakeEngine = Callable[[LoadedPack], AbstractEngine]
"""Makes what takes the steps of a pack."""


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
        way: How the runs of a pack go through it: `compiled kernels`, `one call` or `one by one`.
        reason: Why they go one by one in torch; empty if they do not.
        unknown: Why the compiled kernels do not train them; empty if they do.
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
    unknown: str
    measured: str
    step_s: Mapping[str, Mapping[int, float]]

    def gain(self) -> float | None:
        """Return how many times as fast one call is as one by one; None where that is not known."""
        if max(self.step_s.get(TOGETHER, {}), default=1) == 1:
            return None
        return self.times_as_fast(TOGETHER, APART)

    def kernel_gain(self) -> float | None:
        """Return how many times as fast the kernels are as torch; None where that is not known."""
        return self.times_as_fast(KERNELS, APART if self.reason else TOGETHER)

    def times_as_fast(self, way: str, other: str) -> float | None:
        """Return how many times as fast a `way` is as an `other`; None where that is not known.

        Compared are seconds a run, in the largest packs that were timed.
        """
        ours, theirs = self.step_s.get(way, {}), self.step_s.get(other, {})
        if not ours or not theirs:
            return None
        most, alone = max(ours), max(theirs)
        return (theirs[alone] / alone) / (ours[most] / most)

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {**self._asdict(), "gain": self.gain(), "kernel_gain": self.kernel_gain()}


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
    compile_for(list(shapes.values())[:1], config)
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


def compile_for(cells: Sequence[Cell], config: PackConfig) -> None:
    """Take a step of each of `cells` that the compiled kernels train.

    The first one on a machine compiles them, for half a minute, which is no time of a trial.
    """
    for cell in cells:
        if cell.train.optimizer.trains_by == "steps":
            engine = make_compiled(make_pack(expand_runs([cell], [0]), config))
            if engine is not None:
                engine.advance(0, 1)


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
    makers: dict[str, MakeEngine] = {
        way: functools.partial(in_torch, model=model) for way, model in models.items()
    }
    unknown = why_torch(pack)
    if not unknown:
        makers = {KERNELS: in_kernels, **makers}
    times: dict[str, dict[int, float]] = {way: {} for way in makers}
    if cell.train.optimizer.trains_by == "steps":
        with threadpoolctl.threadpool_limits(config.cpus):
            for way, make in makers.items():
                times[way] = time_steps(pack, make, until)
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
        way=KERNELS if not unknown else TOGETHER if is_batched else APART,
        reason=found.reason,
        unknown=unknown,
        measured=found.measured,
        step_s=times,
    )


def why_torch(pack: LoadedPack) -> str:
    """Return why the compiled kernels do not take the steps of `pack`; empty if they do."""
    if make_compiled(pack) is not None:
        return ""
    cell, device = pack.runs[0].cell, pick_device(pack.config).type
    size = cell.model.size(cell.data.shape)
    reason = why_not_compiled(cell, size, CPU, pack.config.engine)
    return reason or why_no_graph(pack) if device == "cpu" else f"device {device}"


def in_kernels(pack: LoadedPack) -> CompiledEngine:
    """Return the engine that takes the steps of `pack` in the compiled kernels."""
    engine = make_compiled(pack)
    assert engine is not None, "the kernels know a pack of one run, and so of several"
    return engine


def in_torch(pack: LoadedPack, model: AbstractModel) -> TorchEngine:
    """Return the engine that takes the steps of `pack` in torch, of a `model` in its place."""
    return TorchEngine(pack._replace(model=model))


def inputs_of(data: DataShape) -> str:
    """Return what a module is given, in words."""
    axes = ", ".join(map(str, ("samples", *(data.input_shape or (data.inputs,)))))
    return f"[{axes}] of {'int64' if data.is_integer else 'floats'}"


def time_steps(pack: LoadedPack, make: MakeEngine, until: float) -> dict[int, float]:
    """Return seconds of a step of packs of several sizes, of one run over and over."""
    found: dict[int, float] = {}
    for lanes in LANES:
        last = found[max(found)] if found else 0.0
        # The first step allocates; a larger pack takes at most as much more as it has runs.
        if found and time.process_time() + 2 * lanes / max(found) * last > until:
            break
        found[lanes] = time_step(make(several(pack, lanes)), pack.train.steps)
    return found


def several(pack: LoadedPack, lanes: int) -> LoadedPack:
    """Return a pack of the first run of `pack` so many times, on the same data."""
    data = pack.data.part(np.zeros(lanes, np.int64))
    return pack._replace(runs=[pack.runs[0]] * lanes, data=data)


def time_step(engine: AbstractEngine, most: int) -> float:
    """Return the seconds of a step, the least of several; at most so many steps are taken."""
    # Time of the processor, not of the clock: a machine that is busy now may be idle later.
    is_compiled = isinstance(engine, CompiledEngine)
    clock = time.perf_counter if waits_for_others(engine) else time.thread_time
    times: list[float] = []
    start = time.process_time()
    done, count = 0, 1
    # A run that has diverged takes no more steps, and no time.
    while engine.is_alive_K.all() and done < most:
        begun = clock()
        engine.advance(done, count)
        engine.is_alive_K.any()  # Waits for a GPU.
        times.append((clock() - begun) / count)
        done += count
        if len(times) > 1 and time.process_time() - start > SAMPLE_S:
            break
        if is_compiled:
            count = max(1, min(MOST_STEPS, most - done, int(SAMPLE_S / 4 / max(times[-1], 1e-9))))
    return min(times)


def waits_for_others(engine: AbstractEngine) -> bool:
    """Return whether another processor works, or other threads, while this one waits."""
    if isinstance(engine, TorchEngine):
        return engine.device.type == "cuda"
    return isinstance(engine, CompiledEngine) and engine.pack.config.cpus > 1


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
