"""The packed loop: from runs to columns of numbers, chunk by chunk.

Shapes: K runs.
"""

import importlib.metadata
import json
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from symstudy.models import build_model
from symstudy.study.cell import Run
from symstudy.study.padding import can_pad, padded_shape
from symstudy.study.sections import PackConfig
from symstudy.training.checkpoints import (
    Checkpointer,
    NextAction,
    Paused,
    State,
    UnfitStateError,
    add_prefix,
    read_array,
    select_prefix,
)
from symstudy.training.chunk_length import ChunkLength
from symstudy.training.data import PackData
from symstudy.training.early_stopping import EarlyEnds, StopRule
from symstudy.training.engines.base import LoadedPack, ShapeGroup, pick_device
from symstudy.training.engines.choice import make_engine
from symstudy.training.engines.rate_factors import slowest_factors
from symstudy.training.measure_checks import check_measures_apart
from symstudy.training.own_stop import OwnStop
from symstudy.training.pack_checks import check_pack, check_sources
from symstudy.training.probes import (
    Named,
    measure_curve,
    measure_detail,
    measure_layers,
    measure_named,
)
from symstudy.training.recorder import Columns, PackResult, Recorder, gather
from symstudy.training.representations import represent
from symstudy.training.schedule import learning_rates, probe_steps

__all__ = ["PackResult", "Progress", "make_engine", "make_pack", "train_pack"]

Progress = Callable[[int, int], None]
"""Called with the number of runs still training and of run-steps taken since the last call."""


def make_pack(runs: Sequence[Run], config: PackConfig) -> LoadedPack:
    """Return the runs with their network and their data.

    Raises:
        ModelError: If code of the user's own cannot be trained in a pack.
        LaunchError: If it has changed since the study was planned.
    """
    cells = {run.cell.cell_id: run.cell for run in runs}.values()
    cell = max(cells, key=lambda cell: getattr(cell.model, cell.model.pads or "pads_no_width", 0))
    if any(other.shape != cell.shape for other in cells):
        assert all(map(can_pad, cells)), "the runs of a pack have one shape or can be padded to one"
        shapes = {padded_shape(other) for other in cells}
        assert len(shapes) == 1, "the runs of a padded pack differ in the width alone"
    check_sources(cell)
    model = build_model(cell.model, cell.data.shape).adapted(
        cell.train.batch_size, pick_device(config).type, config.vmap
    )
    data = PackData(runs, np.dtype(cell.train.dtype))
    pack = LoadedPack(runs=runs, model=model, data=data, config=config)
    check_pack(pack)
    return pack


def train_pack(
    runs: Sequence[Run],
    config: PackConfig,
    progress: Progress | None = None,
    checkpointer: Checkpointer | None = None,
    stop_rule: StopRule | None = None,
) -> PackResult:
    """Train runs together and measure them at their probes.

    Training that was paused, or whose process died, goes on from the state that `checkpointer`
    loads and ends with the same bits; a state of other runs, engine or version is passed over.

    Args:
        runs: The runs, of one shape, or of widths that can be padded to one; their numbers do not
            depend on one another.
        config: Device and cores.
        progress: Called about twice a second and at each probe; once with the steps of earlier
            attempts.
        checkpointer: Saves the state now and then, and may stop the training.
        stop_rule: Stops runs that are not worth going on with.

    Raises:
        Paused: If `checkpointer` asked to stop; its state was saved.
        ModelError: If a user's own model cannot be built or packed.
        MemoryError: Or torch's own error, if the pack does not fit.
    """
    start = time.perf_counter()
    training = Training(runs, config, stop_rule)
    state = checkpointer.load() if checkpointer else None
    if state is not None and not training.resumes_from(state):
        training = Training(runs, config, stop_rule)
    earlier, told = training.seconds, 0
    if progress and training.at:
        told = training.run_steps()
        progress(training.num_alive(), told)
    while not training.is_over():
        training.work()
        training.seconds = earlier + time.perf_counter() - start
        if progress:
            told, before = training.run_steps(), told
            progress(training.num_alive(), told - before)
        action = (
            checkpointer.next_action()
            if checkpointer and not training.is_over()
            else NextAction.GO_ON
        )
        if checkpointer and action is not NextAction.GO_ON:
            checkpointer.save(training.state())
            if action is NextAction.STOP:
                raise Paused(f"stopped at step {training.at}, as was asked")
    return training.result()


class Training:
    """The runs of a pack on their way from probe to probe.

    Attributes:
        pack: The runs, loaded.
        engine: What trains them.
        at: Steps taken.
        place: Probes measured.
        seconds: Time spent, in earlier attempts too.
    """

    def __init__(
        self, runs: Sequence[Run], config: PackConfig, stop_rule: StopRule | None = None
    ) -> None:
        """Begin at the initialisation."""
        self.pack = make_pack(runs, config)
        self.engine = make_engine(self.pack)
        self.stop_rule = stop_rule
        self.own_stop = OwnStop(self.pack.train.stop) if self.pack.train.stop else None
        probe = runs[0].cell.probe
        steps, self.is_detailed = probe_steps(self.pack.train.steps, probe.num, probe.detail)
        self.probes: list[int] = steps.tolist()
        self.groups = self.engine.shape_groups(self.pack)
        self.recorders = [
            Recorder(group.pack.runs, steps, slowest_factors(group.pack)) for group in self.groups
        ]
        self.ends = EarlyEnds(self.pack.lane_values("converged"))
        self.at = 0
        self.place = 0
        self.seconds = 0.0
        self.chunk_length = ChunkLength()
        self.deferred_length = ChunkLength()

    def is_over(self) -> bool:
        """Return whether there is nothing left to train or to measure."""
        return self.place == len(self.probes) or not self.engine.is_alive_K.any()

    def num_alive(self) -> int:
        """Return how many runs are still training."""
        return int(self.engine.is_alive_K.sum())

    def run_steps(self) -> int:
        """Return the steps taken, summed over runs."""
        diverged_K = self.engine.diverged_K
        steps_K = np.where(self.ends.step_K >= 0, self.ends.step_K, self.at)
        return int(np.where(diverged_K >= 0, diverged_K, steps_K).sum())

    def work(self) -> None:
        """Train for a chunk, or run part of what is deferred to the next probe, or measure it."""
        start = time.perf_counter()
        step = self.probes[self.place]
        if self.at < step:
            count = min(self.chunk_length.steps, step - self.at)
            self.engine.advance(self.at, count)
            self.at += count
            self.engine.is_alive_K.any()  # Waits for a GPU.
            self.chunk_length.record(count, time.perf_counter() - start)
            return
        pieces = self.deferred_length.steps
        if self.engine.run_deferred(step, pieces):
            self.deferred_length.record(pieces, time.perf_counter() - start)
            return
        self.measure(step, is_detailed=bool(self.is_detailed[self.place]))
        self.place += 1

    def measure(self, step: int, *, is_detailed: bool) -> None:
        """Measure the runs at a probe; some may end there."""
        measures: dict[str, NDArray[np.float64]] = {}
        for group, recorder in zip(self.groups, self.recorders, strict=True):
            columns = record_probe(recorder, group, step, self.place, is_detailed=is_detailed)
            for name, column in columns.items():
                measures.setdefault(name, np.full(len(self.pack.runs), np.nan))
                measures[name][group.lanes] = column
        alive = np.flatnonzero(self.engine.is_alive_K)
        if is_detailed and self.place < len(self.probes) - 1 and len(alive):
            asks = self.own_reasons if self.own_stop is not None else None
            new = self.ends.update(step, measures, alive, self.stop_rule, asks)
            self.engine.freeze(np.concatenate(new))
        self.engine.drop_dead()

    def own_reasons(self, lanes: NDArray[np.int64]) -> dict[int, str]:
        """Return which of the runs `lanes` the rule of `train.stop` ends, with its reasons."""
        assert self.own_stop is not None, "asked where there is a rule"
        found: dict[int, str] = {}
        for group, recorder in zip(self.groups, self.recorders, strict=True):
            places = np.flatnonzero(np.isin(group.lanes, lanes)).tolist()
            for place, view in zip(places, recorder.run_views(places), strict=True):
                if reason := self.own_stop.reason(view):
                    found[int(group.lanes[place])] = reason
        return found

    def result(self) -> PackResult:
        """Return all that was measured."""
        results = [
            recorder.result(
                group,
                self.engine.name,
                self.seconds * len(group.lanes) / len(self.pack.runs),
                self.ends,
            )
            for group, recorder in zip(self.groups, self.recorders, strict=True)
        ]
        return results[0] if len(results) == 1 else gather(results, self.groups)

    def state(self) -> State:
        """Return everything that the rest of the training and the result depend on."""
        state: State = {
            "about": np.frombuffer(self.about(), np.uint8),
            "clock": np.array([self.at, self.place], np.int64),
            "seconds": np.array([self.seconds]),
            **add_prefix("ends", self.ends.state()),
            **add_prefix("engine", self.engine.state()),
        }
        for i, recorder in enumerate(self.recorders):
            state.update(add_prefix(f"group{i}", recorder.state()))
        return state

    def resumes_from(self, state: State) -> bool:
        """Take over a `state`; where it is not one of this training, return False.

        This training is then of no more use.
        """
        about = self.about()
        if "about" not in state or state["about"].tobytes() != about:
            return False
        try:
            self.at, self.place = map(int, read_array(state, "clock", np.empty(2, np.int64)))
            self.seconds = float(read_array(state, "seconds", np.empty(1))[0])
            self.ends.restore(select_prefix("ends", state))
            self.engine.restore(select_prefix("engine", state))
            for i, recorder in enumerate(self.recorders):
                recorder.restore(select_prefix(f"group{i}", state))
        except UnfitStateError:
            return False
        return True

    def about(self) -> bytes:
        """Return in JSON what a state must have been made by: version, engine, network and runs."""
        about: dict[str, Any] = {
            "symstudy": importlib.metadata.version("symstudy"),
            "engine": self.engine.name,
            "parameters": self.pack.model.layout.size,
            "runs": [run.run_id for run in self.pack.runs],
        }
        return json.dumps(about).encode()


def record_probe(
    recorder: Recorder, group: ShapeGroup, step: int, place: int, *, is_detailed: bool
) -> Columns:
    """Measure the runs of `group` at `step`, which is probe `place`.

    Returns:
        The columns of the history, an entry a run of the group; NaN for those not alive.
    """
    trained, pack = group.trained, group.pack
    trains = [run.cell.train for run in pack.runs]
    is_alive = trained.is_alive_K
    alive = np.flatnonzero(is_alive)
    if not len(alive):
        return {}
    curve = measure_curve(trained, pack)
    detail = measure_detail(trained, pack, curve["train_loss"]) if is_detailed else {}
    rate = learning_rates(trains, max(0, min(step, pack.train.steps - 1)), 1)[:, 0]
    sound = sound_runs(group, alive, curve, detail) if is_detailed else alive[:0]
    named = measure_named(trained, pack, sound) if is_detailed else Named({}, {})
    recorder.add_vectors(sound, named.vectors)
    columns = {
        **curve,
        **detail,
        **named.numbers,
        "learning_rate": rate,
        "decay_budget": recorder.budgets[:, place],
    }
    recorder.add_history(step, alive, columns)
    if is_detailed:
        recorder.begin_layers(alive)
        layers = measure_layers(trained, pack, sound, pack.runs[0].cell.probe.samples)
        if not recorder.layers:
            # Once is enough, at the first detailed probe.
            check_measures_apart(group, sound, named, layers)
        for layer, measures in enumerate(layers, start=1):
            recorder.add_layer(step, sound, layer, measures)
        recorder.kept.add(step, sound, represent(trained, pack, sound))
    return {name: np.where(is_alive, column, np.nan) for name, column in columns.items()}


def sound_runs(
    group: ShapeGroup, alive: NDArray[np.int64], curve: Columns, detail: Columns
) -> NDArray[np.int64]:
    """Return the runs of `alive` whose parameters can be measured.

    A run may have overflown in the step before, and only its next loss would tell: it has no layers
    to measure, and its mates shall have theirs.
    """
    is_finite = np.isfinite(detail["theta_norm"])
    if not group.pack.data.is_absent:
        is_finite &= np.isfinite(curve["test_loss"])
    sound: NDArray[np.int64] = alive[is_finite[alive]]
    return sound
