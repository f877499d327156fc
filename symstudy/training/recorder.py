"""Gathers what is measured of a pack, probe by probe, into columns.

Shapes: K runs.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray

from symstudy.measures.catalogue import LAYER_MEASURES, layer_columns, run_columns
from symstudy.measures.compute import measure_runs
from symstudy.measures.views import RunView
from symstudy.outcomes import Outcome
from symstudy.study.cell import Run
from symstudy.training.checkpoints import State, add_prefix, read_array, select_prefix
from symstudy.training.early_stopping import EarlyEnds
from symstudy.training.engines.base import AbstractTrained, ShapeGroup
from symstudy.training.representations import KeptRepresentations, below
from symstudy.training.schedule import decay_budget
from symstudy.training.trivial import trivial_measures

__all__ = ["Columns", "PackResult", "Recorder", "gather"]

Columns = dict[str, Any]
OF_A_STEP = ("learning_rate",)
"""What is recorded of a step and says nothing of how a run has ended."""


@dataclass(frozen=True, kw_only=True)
class PackResult:
    """What a pack measured, as columns.

    Attributes:
        runs: One row a run: outcome and final measures, in the order of the pack.
        history: One row a run and probe.
        layers: One row a run, detailed probe and hidden layer.
        representations: One row a run, detailed probe and hidden layer whose activations are kept.
        seconds: Wall time of the pack, that of earlier attempts that it went on from included.
    """

    runs: Columns
    history: Columns
    layers: Columns
    representations: Columns
    seconds: float


class Recorder:
    """Gathers what is measured of the runs of one shape, row by row, and the last of it by run.

    The last of a run is what was measured while it was alive. Rows name a run by its place.
    """

    def __init__(
        self,
        runs: Sequence[Run],
        steps: NDArray[np.int64],
        slowest_K: Float[np.ndarray, " runs"],
    ) -> None:
        """Begin with nothing but what is known before.

        Args:
            runs: The runs.
            steps: Steps taken at each probe.
            slowest_K: Factor on the learning rate of the slowest weights of each run.
        """
        self.run_ids = np.array([run.run_id for run in runs])
        self.seeds = [run.seed for run in runs]
        self.named = runs[0].cell.probe.measures
        self.measures = (*LAYER_MEASURES, *layer_columns(self.named))
        self.budgets: Float[np.ndarray, "runs probes"] = decay_budget(
            [run.cell.train for run in runs], steps, slowest_K
        )
        self.history: list[Columns] = []
        self.layers: list[Columns] = []
        self.kept = KeptRepresentations()
        self.last_history: dict[str, NDArray[Any]] = {}
        self.last_layers: dict[str, NDArray[np.float64]] = {}
        self.last_counts: dict[str, NDArray[np.float64]] = {}
        self.last_vectors: dict[str, NDArray[np.float64]] = {}

    def add_history(self, step: int, alive: NDArray[np.int64], columns: Columns) -> None:
        """Add a row for each run of `alive`; `columns` have an entry for every run."""
        rows: Columns = {"lane": alive, "step": np.full(len(alive), step)}
        rows.update({name: column[alive] for name, column in columns.items()})
        self.history.append(rows)
        for name, column in columns.items():
            kept = self.last_history.setdefault(name, np.full(len(self.run_ids), np.nan))
            kept[alive] = column[alive]

    def add_vectors(self, lanes: NDArray[np.int64], columns: Columns) -> None:
        """Keep the vectors of the runs `lanes`, which `columns` are about alone, as the last."""
        for name, rows in columns.items():
            empty = np.full((len(self.run_ids), rows.shape[1]), np.nan)
            self.last_vectors.setdefault(name, empty)[lanes] = rows

    def begin_layers(self, alive: NDArray[np.int64]) -> None:
        """Forget what was last measured of the layers of the runs `alive`."""
        if len(alive) == len(self.run_ids):
            self.last_layers.clear()
            self.last_counts.clear()
        for name, kept in self.last_layers.items():
            kept[alive] = np.nan
            self.last_counts[name][alive] = 0

    def add_layer(self, step: int, alive: NDArray[np.int64], layer: int, columns: Columns) -> None:
        """Add a row for each run of `alive`, which `columns` are about alone."""
        rows: Columns = {
            "lane": alive,
            "step": np.full(len(alive), step),
            "layer": np.full(len(alive), layer),
        }
        rows.update(columns)
        self.layers.append(rows)
        for measure in self.measures:
            if measure.kind == "curve" or measure.name not in columns:
                continue
            if measure.name not in self.last_layers:
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

    def result(self, group: ShapeGroup, name: str, seconds: float, ends: EarlyEnds) -> PackResult:
        """Return everything as columns.

        Args:
            group: The runs.
            name: Name of the engine that trained.
            seconds: Wall time of these runs.
            ends: Runs of the pack that have ended early.
        """
        pack, trained = group.pack, group.trained
        runs = len(self.run_ids)
        diverged = trained.diverged_K
        dead = diverged >= 0
        end, is_stopped = ends.step_K[group.lanes], ends.is_stopped_K[group.lanes]
        final = {
            name: np.where(dead, np.nan, column)
            for name, column in {**self.last_history, **self.layer_means()}.items()
            if name not in OF_A_STEP
        }
        outcomes = [
            Outcome.DIVERGED if is_dead else Outcome.STOPPED if is_given_up else Outcome.DONE
            for is_dead, is_given_up in zip(dead, is_stopped, strict=True)
        ]
        return PackResult(
            runs={
                "run_id": self.run_ids,
                "outcome": [outcome.name.lower() for outcome in outcomes],
                "reason": [
                    reason_of(outcome, ends, lane)
                    for outcome, lane in zip(outcomes, group.lanes.tolist(), strict=True)
                ],
                "steps_done": np.where(dead, diverged, np.where(end >= 0, end, pack.train.steps)),
                "num_parameters": np.full(runs, pack.model.layout.size),
                "seconds": np.full(runs, seconds / runs),
                "engine": [name] * runs,
                "device": [device_name(trained)] * runs,
                **final,
                **self.vectors(dead),
                **trivial_measures(pack),
                **self.run_measures(),
                **trained.final_measures(),
            },
            history=self.with_identifiers(self.history),
            layers=self.with_identifiers(self.layers),
            representations=self.kept.columns(self.run_ids),
            seconds=seconds,
        )

    def layer_means(self) -> Columns:
        """Return the last mean over layers of each measure, by its column of `runs`."""
        return {f"mean_{name}": column for name, column in self.last_layers.items()}

    def vectors(self, is_dead_K: NDArray[np.bool_]) -> Columns:
        """Return the last vector of each run, none for those that have diverged.

        An array a run, since runs of other widths, in the same table, have others as long.
        """
        columns: Columns = {}
        for name, rows in self.last_vectors.items():
            columns[name] = np.empty(len(rows), object)
            for place, row in enumerate(rows):
                columns[name][place] = np.full(1, np.nan) if is_dead_K[place] else row
        return columns

    def run_views(self, places: Iterable[int]) -> list[RunView]:
        """Return the course so far of the runs at `places`, which have rows in the history."""
        rows = join(self.history)
        lanes, steps = rows.pop("lane"), rows.pop("step")
        views = []
        for place in places:
            mine = lanes == place
            columns = {name: column[mine] for name, column in rows.items()}
            for column in columns.values():
                # Several measures look at it, one after another.
                column.flags.writeable = False
            views.append(RunView(self.seeds[place], steps[mine], columns))
        return views

    def run_measures(self) -> Columns:
        """Return the named measures of runs, from the history of each."""
        if not run_columns(self.named) or not self.history:
            return {}
        found = measure_runs(self.run_views(range(len(self.seeds))), self.named)
        return {name: np.array(values) for name, values in found.items()}

    def with_identifiers(self, parts: Sequence[Columns]) -> Columns:
        """Return the rows of `parts` below each other, with the identifier of each one's run."""
        columns = join(parts)
        lane = columns.pop("lane", None)
        return {} if lane is None else {"run_id": self.run_ids[lane], **columns}

    def state(self) -> State:
        """Return what `restore` needs."""
        return {
            **add_prefix("history", join(self.history)),
            **add_prefix("layers", join(self.layers)),
            **add_prefix("representations", self.kept.state()),
            **add_prefix("last_history", self.last_history),
            **add_prefix("last_layers", self.last_layers),
            **add_prefix("last_counts", self.last_counts),
            **add_prefix("last_vectors", self.last_vectors),
        }

    def restore(self, state: State) -> None:
        """Take over a `state`.

        Raises:
            UnfitStateError: If a column has another number of runs.
        """
        self.history, self.layers = (
            [rows] if (rows := owned(select_prefix(name, state))) else []
            for name in ("history", "layers")
        )
        self.kept.restore(select_prefix("representations", state))
        like = np.empty(len(self.run_ids))
        self.last_history, self.last_layers, self.last_counts = (
            owned({key: read_array(columns, key, like) for key in columns})
            for columns in (
                select_prefix(name, state)
                for name in ("last_history", "last_layers", "last_counts")
            )
        )
        self.last_vectors = owned(select_prefix("last_vectors", state))
        for name, vectors in self.last_vectors.items():
            like = np.empty((len(self.run_ids), *vectors.shape[1:]))
            read_array(self.last_vectors, name, like)


def reason_of(outcome: Outcome, ends: EarlyEnds, lane: int) -> str | None:
    """Return why a run has ended, where it is not done."""
    if outcome.is_done:
        return None
    return ends.reason(lane) if outcome is Outcome.STOPPED else outcome.value


def owned(state: State) -> State:
    """Return copies of the arrays of `state`, which may be written to."""
    return {name: array.copy() for name, array in state.items()}


def gather(results: Sequence[PackResult], groups: Sequence[ShapeGroup]) -> PackResult:
    """Return the results of the shapes of a pack as those of the pack, runs in its order."""
    order = np.argsort(np.concatenate([group.lanes for group in groups]))
    runs = join([result.runs for result in results])
    return PackResult(
        runs={name: column[order] for name, column in runs.items()},
        history=join([result.history for result in results if result.history]),
        layers=join([result.layers for result in results if result.layers]),
        representations=below([result.representations for result in results]),
        seconds=sum(result.seconds for result in results),
    )


def join(parts: Iterable[Columns]) -> Columns:
    """Return the rows of `parts` below each other; a column that a part lacks is NaN there."""
    parts = list(parts)
    widths = {name: np.shape(column)[1:] for part in parts for name, column in part.items()}
    columns: Columns = {}
    for name, width in widths.items():
        pieces = [
            part[name]
            if name in part
            else np.full((len(next(iter(part.values()))), *width), np.nan)
            for part in parts
        ]
        columns[name] = np.concatenate(pieces)
    return columns


def device_name(trained: AbstractTrained) -> str:
    """Return what the pack was trained on."""
    device = trained.theta_KP.device
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
