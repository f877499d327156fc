"""The packed loop: from runs to columns of numbers."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from symstudy.models import build_model
from symstudy.outcomes import Outcome
from symstudy.study.cells import Run
from symstudy.study.padding import can_pad, padded_shape
from symstudy.study.sections import PackConfig
from symstudy.symmetry.catalogue import EXTRA_MEASURES, MEASURES
from symstudy.training.compiled import CompiledEngine
from symstudy.training.data import PackData
from symstudy.training.eager import EagerEngine
from symstudy.training.engine import AbstractEngine, LoadedPack, Part, pick_device
from symstudy.training.minimiser import MinimiserEngine
from symstudy.training.networks import kernel_network
from symstudy.training.padded import PaddedEngine
from symstudy.training.probes import measure_curve, measure_detail, measure_layers
from symstudy.training.schedule import decay_budget, learning_rates, probe_steps

__all__ = ["PackResult", "Progress", "make_engine", "make_pack", "train_pack"]

Columns = dict[str, Any]
Progress = Callable[[int, int], None]
"""Called with the number of runs still training and of run-steps taken since the last call."""


@dataclass(frozen=True, kw_only=True)
class PackResult:
    """What a pack measured, as columns.

    Attributes:
        runs: One row a run: outcome and final measures, in the order of the pack.
        history: One row a run and probe.
        layers: One row a run, detailed probe and hidden layer.
        seconds: Wall time of the pack.
    """

    runs: Columns
    history: Columns
    layers: Columns
    seconds: float


def make_pack(runs: Sequence[Run], config: PackConfig) -> LoadedPack:
    """Return the runs with their network and their data.

    Raises:
        ModelError: If a user's own model cannot be built or packed.
    """
    cells = {run.cell.cell_id: run.cell for run in runs}.values()
    cell = max(cells, key=lambda cell: getattr(cell.model, "width", 0))
    if any(other.shape != cell.shape for other in cells):
        assert all(map(can_pad, cells)), "the runs of a pack have one shape or can be padded to one"
        shapes = {padded_shape(other.shape) for other in cells}
        assert len(shapes) == 1, "the runs of a padded pack differ in the width alone"
    shape = cell.data.shape
    model = build_model(cell.model, shape.inputs, shape.outputs)
    data = PackData(runs, np.dtype(cell.train.dtype))
    return LoadedPack(runs=runs, model=model, data=data, config=config)


def make_engine(pack: LoadedPack) -> AbstractEngine:
    """Return the engine that `pack.engine` names; by default the compiled one if it can serve."""
    can_compile = pack.model.dense is not None and pick_device(pack.config).type == "cpu"
    if pack.config.engine == "compiled" and pack.train.entropic > 0:
        raise ValueError(
            "`pack.engine` = 'compiled' must have train.entropic = 0, but got "
            f"{pack.train.entropic!r}, which takes second derivatives. Use 'auto'."
        )
    can_compile = can_compile and not pack.train.entropic
    if len({run.cell.shape for run in pack.runs}) > 1:
        if pack.config.engine == "compiled":
            raise ValueError(
                "`pack.engine` = 'compiled' must have runs of one width, but got several in one "
                "pack. Use 'auto'."
            )
        return PaddedEngine(pack)
    if pack.config.engine == "compiled" and not can_compile:
        raise ValueError(
            "`pack.engine` = 'compiled' must have a dense network on the CPU, but got "
            f"{pack.runs[0].cell.model.kind} on {pick_device(pack.config).type}. Use 'auto'."
        )
    is_compiled = pack.config.engine != "torch" and can_compile
    engine = CompiledEngine(pack) if is_compiled else EagerEngine(pack)
    if pack.train.optimizer == "lbfgs":
        return MinimiserEngine(pack, engine, kernel_network(pack) if is_compiled else None)
    return engine


def train_pack(
    runs: Sequence[Run], config: PackConfig, progress: Progress | None = None
) -> PackResult:
    """Train runs together and measure them at their probes.

    Args:
        runs: The runs, of one shape, or of widths that can be padded to one; their numbers do not
            depend on one another.
        config: Device and cores.
        progress: Called now and then, at least once a probe.

    Raises:
        ModelError: If a user's own model cannot be built or packed.
        MemoryError: Or torch's own error, if the pack does not fit.
    """
    start = time.perf_counter()
    pack = make_pack(runs, config)
    engine = make_engine(pack)
    probe = runs[0].cell.probe
    steps, is_detailed = probe_steps(pack.train.steps, probe.num, probe.detail)
    parts = engine.parts(pack)
    recorders = [Recorder(part.pack.runs, steps) for part in parts]
    at = 0
    for place, step in enumerate(steps.tolist()):
        engine.advance(at, step - at)
        alive = int((engine.diverged_K < 0).sum())
        if progress:
            progress(alive, alive * (step - at))
        at = step
        for part, recorder in zip(parts, recorders, strict=True):
            record_probe(recorder, part, step, place, is_detailed=bool(is_detailed[place]))
    seconds = time.perf_counter() - start
    results = [
        recorder.result(part, engine.name, seconds * len(part.lanes) / len(runs))
        for part, recorder in zip(parts, recorders, strict=True)
    ]
    return results[0] if len(results) == 1 else gather(results, parts)


def record_probe(
    recorder: "Recorder", part: Part, step: int, place: int, *, is_detailed: bool
) -> None:
    """Measure the runs of `part` at `step`, which is probe `place`."""
    engine, pack = part.engine, part.pack
    trains = [run.cell.train for run in pack.runs]
    alive = np.flatnonzero(engine.diverged_K < 0)
    curve = measure_curve(engine, pack)
    detail = measure_detail(engine, pack, curve["train_loss"]) if is_detailed else {}
    rate = learning_rates(trains, min(step, pack.train.steps - 1), 1)[:, 0]
    budget = recorder.budgets[:, place]
    recorder.add_history(step, alive, {**curve, **detail, "lr": rate, "decay_budget": budget})
    if is_detailed:
        # A run may have overflown in the step before, and only its next loss would tell: it has no
        # layers to measure, and its mates shall have theirs.
        is_finite = np.isfinite(curve["test_loss"]) & np.isfinite(detail["theta_norm"])
        sound = alive[is_finite[alive]]
        recorder.last_layers.clear()
        layers = measure_layers(engine, pack, sound, pack.runs[0].cell.probe.samples)
        for layer, measures in enumerate(layers, start=1):
            recorder.add_layer(step, sound, layer, measures)


def gather(results: Sequence[PackResult], parts: Sequence[Part]) -> PackResult:
    """Return the results of the parts of a pack as those of the pack, runs in its order."""
    order = np.argsort(np.concatenate([part.lanes for part in parts]))
    runs = join([result.runs for result in results])
    return PackResult(
        runs={name: column[order] for name, column in runs.items()},
        history=join([result.history for result in results]),
        layers=join([result.layers for result in results if result.layers]),
        seconds=sum(result.seconds for result in results),
    )


class Recorder:
    """Gathers what is measured of the runs of a pack, row by row, and the last of it by run."""

    def __init__(self, runs: Sequence[Run], steps: NDArray[np.int64]) -> None:
        """Begin with nothing but what is known before: the probes are at `steps`."""
        self.run_ids = np.array([run.run_id for run in runs])
        self.budgets = decay_budget([run.cell.train for run in runs], steps)
        self.history: list[Columns] = []
        self.layers: list[Columns] = []
        self.last_history: Columns = {}
        self.last_layers: dict[str, NDArray[np.float64]] = {}
        self.last_counts: dict[str, NDArray[np.float64]] = {}

    def add_history(self, step: int, alive: NDArray[np.int64], columns: Columns) -> None:
        """Add a row for each run of `alive`; `columns` have an entry for every run of the pack."""
        rows: Columns = {"run_id": self.run_ids[alive], "step": np.full(len(alive), step)}
        rows.update({name: column[alive] for name, column in columns.items()})
        self.history.append(rows)
        self.last_history = columns

    def add_layer(self, step: int, alive: NDArray[np.int64], layer: int, columns: Columns) -> None:
        """Add a row for each run of `alive`, which `columns` are about alone."""
        rows: Columns = {
            "run_id": self.run_ids[alive],
            "step": np.full(len(alive), step),
            "layer": np.full(len(alive), layer),
        }
        rows.update(columns)
        self.layers.append(rows)
        for measure in (*MEASURES, *EXTRA_MEASURES):
            if measure.kind == "curve" or measure.name not in columns:
                continue
            if layer == 1:
                self.last_layers[measure.name] = np.full(len(self.run_ids), np.nan)
                self.last_counts[measure.name] = np.zeros(len(self.run_ids))
            column = np.asarray(columns[measure.name], np.float64)
            applies = np.isfinite(column) & ((measure.kind != "count") | (column >= 0))
            lanes, values = alive[applies], column[applies]
            kept, counts = self.last_layers[measure.name], self.last_counts[measure.name]
            # A running mean: each hidden layer that has the measure counts alike.
            counts[lanes] += 1
            before = np.where(np.isnan(kept[lanes]), 0.0, kept[lanes])
            kept[lanes] = before + (values - before) / counts[lanes]

    def result(self, part: Part, name: str, seconds: float) -> PackResult:
        """Return everything as columns; `name` is that of the engine that trained."""
        pack, engine = part.pack, part.engine
        runs = len(self.run_ids)
        diverged = engine.diverged_K
        dead = diverged >= 0
        final = {name: np.where(dead, np.nan, column) for name, column in self.last_history.items()}
        final.update(
            {name: np.where(dead, np.nan, column) for name, column in self.last_layers.items()}
        )
        outcomes = [Outcome.DIVERGED if is_dead else Outcome.DONE for is_dead in dead]
        return PackResult(
            runs={
                "run_id": self.run_ids,
                "outcome": [outcome.name.lower() for outcome in outcomes],
                "reason": [None if outcome.is_done else outcome.value for outcome in outcomes],
                "steps_done": np.where(dead, diverged, pack.train.steps),
                "num_parameters": np.full(runs, pack.model.layout.size),
                "seconds": np.full(runs, seconds / runs),
                "engine": [name] * runs,
                "device": [device_name(engine)] * runs,
                **final,
                **engine.final_measures(),
            },
            history=join(self.history),
            layers=join(self.layers),
            seconds=seconds,
        )


def join(parts: Sequence[Columns]) -> Columns:
    """Return the rows of `parts` below each other; a column that a part lacks is NaN there."""
    names = dict.fromkeys(name for part in parts for name in part)
    columns: Columns = {}
    for name in names:
        pieces = [
            part[name] if name in part else np.full(len(part["run_id"]), np.nan) for part in parts
        ]
        columns[name] = np.concatenate(pieces)
    return columns


def device_name(engine: AbstractEngine) -> str:
    """Return what the pack was trained on."""
    device = engine.theta_KP.device
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
