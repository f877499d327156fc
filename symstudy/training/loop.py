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
from symstudy.study.sections import PackConfig
from symstudy.symmetry.catalogue import MEASURES
from symstudy.training.compiled import CompiledEngine
from symstudy.training.data import PackData
from symstudy.training.eager import EagerEngine
from symstudy.training.engine import AbstractEngine, LoadedPack, pick_device
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
    cell = runs[0].cell
    assert all(run.cell.shape == cell.shape for run in runs), "the runs of a pack have one shape"
    shape = cell.data.shape
    model = build_model(cell.model, shape.inputs, shape.outputs)
    data = PackData(runs, np.dtype(cell.train.dtype))
    return LoadedPack(runs=runs, model=model, data=data, config=config)


def make_engine(pack: LoadedPack) -> AbstractEngine:
    """Return the engine that `pack.engine` names; by default the compiled one if it can serve."""
    can_compile = pack.model.dense is not None and pick_device(pack.config).type == "cpu"
    if pack.config.engine == "compiled" and not can_compile:
        raise ValueError(
            "`pack.engine` = 'compiled' must have a dense network on the CPU, but got "
            f"{pack.runs[0].cell.model.kind} on {pick_device(pack.config).type}. Use 'auto'."
        )
    if pack.config.engine != "torch" and can_compile:
        return CompiledEngine(pack)
    return EagerEngine(pack)


def train_pack(
    runs: Sequence[Run], config: PackConfig, progress: Progress | None = None
) -> PackResult:
    """Train runs of one shape together and measure them at their probes.

    Args:
        runs: The runs; their numbers do not depend on one another.
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
    trains = [run.cell.train for run in runs]
    budgets = decay_budget(trains, steps)
    recorder = Recorder(runs)
    at = 0
    for place, step in enumerate(steps.tolist()):
        engine.advance(at, step - at)
        alive = np.flatnonzero(engine.diverged_K < 0)
        if progress:
            progress(len(alive), len(alive) * (step - at))
        at = step
        curve = measure_curve(engine, pack)
        detail = measure_detail(engine, pack, curve["train_loss"]) if is_detailed[place] else {}
        rate = learning_rates(trains, min(step, pack.train.steps - 1), 1)[:, 0]
        recorder.add_history(
            step, alive, {**curve, **detail, "lr": rate, "decay_budget": budgets[:, place]}
        )
        if is_detailed[place]:
            for layer, measures in enumerate(
                measure_layers(engine, pack, alive, probe.samples), start=1
            ):
                recorder.add_layer(step, alive, layer, measures)
    seconds = time.perf_counter() - start
    return recorder.result(pack, engine, seconds)


class Recorder:
    """Gathers what is measured of the runs of a pack, row by row, and the last of it by run."""

    def __init__(self, runs: Sequence[Run]) -> None:
        """Begin with nothing."""
        self.run_ids = np.array([run.run_id for run in runs])
        self.history: list[Columns] = []
        self.layers: list[Columns] = []
        self.last_history: Columns = {}
        self.last_layers: dict[str, NDArray[np.float64]] = {}

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
        for measure in MEASURES:
            if measure.kind == "curve":
                continue
            if layer == 1:
                self.last_layers[measure.name] = np.full(len(self.run_ids), np.nan)
            column = np.asarray(columns[measure.name], np.float64)
            kept = self.last_layers[measure.name]
            # A running mean over layers: each hidden layer counts alike.
            before = np.where(np.isnan(kept[alive]), 0.0, kept[alive])
            kept[alive] = before + (column - before) / layer

    def result(self, pack: LoadedPack, engine: AbstractEngine, seconds: float) -> PackResult:
        """Return everything as columns."""
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
                "engine": [engine.name] * runs,
                "device": [device_name(engine)] * runs,
                **final,
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
