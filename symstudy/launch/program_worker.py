"""Runs of a program in a worker: one after the other, then their rows."""

import time
from collections.abc import Callable, Sequence
from typing import Any

from symstudy.errors import ChangedError, StoreError
from symstudy.launch.lease import TAKEN_OVER
from symstudy.launch.messages import LaunchConfig, PackReport, report_pack
from symstudy.launch.program_mirror import FolderMirror, program_folder
from symstudy.launch.search.program_rungs import read_program_rungs
from symstudy.launch.stop_poll import StopPoll, holds_lease
from symstudy.launch.tracebacks import write_traceback_text
from symstudy.outcomes import Outcome
from symstudy.programs.metrics import CONVERGED
from symstudy.programs.supervisor import ProgramEnd, ProgramLaunch, RunStopped, Supervisor
from symstudy.store.files.folder import StudyFolder
from symstudy.store.tables.hyperparameters import RESERVED
from symstudy.store.tables.named import ELAPSED
from symstudy.store.tables.schema import CURVE_MEASURES
from symstudy.store.tables.writer import write_pack
from symstudy.study.cell import Cell, Run
from symstudy.study.columns import hyperparameters_of

__all__ = ["run_programs", "taken_names"]

COLUMN_OF = {CONVERGED: "has_converged"}
"""Columns of metrics whose own name is a hyperparameter's."""


def run_programs(
    config: LaunchConfig,
    folder: StudyFolder,
    pack_id: str,
    runs: Sequence[Run],
    progress: Callable[[int], None] | None,
    is_preempted: Callable[[], bool],
) -> PackReport:
    """Run the programs of a pack, one after the other, and write their rows.

    Where it is told to stop, no row is written; what has ended or was saved is gone on from.

    Args:
        config: Settings of the launch.
        folder: Folder of the study.
        pack_id: Identifier of the pack.
        runs: Its runs.
        progress: Called now and then with the steps taken so far, summed over runs.
        is_preempted: Returns whether this worker is about to be taken away.

    Raises:
        LaunchError: If a program is not on this machine.
    """
    start = time.perf_counter()
    stop = StopPoll(config, folder, is_preempted)
    pack = ProgramPack(config, folder, stop, progress)
    paused, is_refused = "", False
    try:
        pack.run(pack_id, runs)
    except RunStopped:
        paused = stop.reason
    except (StoreError, OSError) as error:
        paused = str(error)
    except ChangedError as error:
        paused, is_refused = str(error), True
    return report_pack(pack_id, len(runs), pack, start=start, paused=paused, is_refused=is_refused)


class ProgramPack:
    """Runs the programs of one pack.

    Attributes:
        failed: Number of runs that failed so far.
        stopped: Number of runs that a search stopped early.
        taken: Steps that were reported, summed over runs.
    """

    def __init__(
        self,
        config: LaunchConfig,
        folder: StudyFolder,
        stop: StopPoll,
        progress: Callable[[int], None] | None,
    ) -> None:
        """Prepare; the arguments are those of `run_programs`."""
        self.config = config
        self.folder = folder
        self.stop = stop
        self.progress = progress
        self.failed = self.stopped = self.taken = 0
        self.mirrors: list[FolderMirror] = []

    def run(self, pack_id: str, runs: Sequence[Run]) -> None:
        """Run all programs of a pack, then write their rows.

        Raises:
            RunStopped: If the launch is to stop, or another driver has taken the study over.
            StoreError: If the rows cannot be written.
            LaunchError: If a program is not on this machine.
        """
        ends = [self.end_of(pack_id, run) for run in runs]
        if not holds_lease(self.config, self.folder):
            self.stop.reason = TAKEN_OVER
            raise RunStopped
        for run, end in zip(runs, ends, strict=True):
            if end.traceback:
                write_traceback_text(self.folder, [run.run_id], end.traceback)
        write_ends(self.config, self.folder, pack_id, runs, ends)
        self.failed = sum(end.outcome.is_failed for end in ends)
        self.stopped = sum(end.outcome is Outcome.STOPPED for end in ends)
        for mirror in self.mirrors:
            mirror.delete()
            mirror.place.clear()

    def end_of(self, pack_id: str, run: Run) -> ProgramEnd:
        """Run one program to its end.

        Raises:
            RunStopped: If the launch is to stop.
            LaunchError: If its files are not on this machine.
        """
        before = self.taken

        def progress(step: int) -> None:
            self.taken = before + step
            if self.progress is not None:
                self.progress(self.taken)

        mirror = FolderMirror(self.folder, program_folder(self.folder, run.run_id))
        mirror.fetch()
        self.mirrors.append(mirror)

        def stop() -> str:
            mirror.push_state()
            return self.stop()

        rule = read_program_rungs(self.folder, pack_id, run) if self.config.has_rungs else None
        supervisor = Supervisor(
            run,
            mirror.place,
            ProgramLaunch(
                home=self.config.home, device=device_of(self.config), cpus=self.config.pack.cpus
            ),
            taken_names(run.cell),
            stop=stop,
            progress=progress,
            rule=rule,
        )
        try:
            end = supervisor.run()
        except RunStopped:
            mirror.push_state()
            raise
        mirror.push_end()
        return end


def taken_names(cell: Cell) -> dict[str, str]:
    """Return what each name stands for that no metric of a program may have, in lower case."""
    taken = dict.fromkeys(RESERVED, "a column of every study")
    for column in hyperparameters_of(cell, RESERVED):
        taken[column.name.lower()] = f"a hyperparameter ({column.table}.{column.key})"
    for name in (*(measure.name for measure in CURVE_MEASURES), CONVERGED):
        taken.pop(name, None)
    return taken


def write_ends(
    config: LaunchConfig,
    folder: StudyFolder,
    pack_id: str,
    runs: Sequence[Run],
    ends: Sequence[ProgramEnd],
) -> None:
    """Write the rows of runs of a program.

    Raises:
        StoreError: If they cannot be written.
    """
    kinds: dict[str, Any] = {}
    for end in ends:
        for name, kind in end.metrics.kinds.items():
            kinds[name] = kind if name not in kinds else joined(kinds[name], kind)
    rows = [(run.run_id, row) for run, end in zip(runs, ends, strict=True) for row in end.rows]
    names = {name: COLUMN_OF.get(name, name) for name in kinds}
    history: dict[str, Any] = {}
    if rows:
        history = {
            "run_id": [run_id for run_id, _ in rows],
            "step": [row.step for _, row in rows],
            ELAPSED: [row.elapsed for _, row in rows],
            **{
                column: [in_kind(row.values.get(name), kinds[name]) for _, row in rows]
                for name, column in names.items()
            },
        }
    device = device_of(config)
    write_pack(
        folder,
        config.study,
        pack_id,
        runs,
        config.provenance,
        run_columns={
            "outcome": [end.outcome.name.lower() for end in ends],
            "reason": [end.reason or None for end in ends],
            "steps_done": [end.rows[-1].step if end.rows else 0 for end in ends],
            "seconds": [end.seconds for end in ends],
            "engine": ["program"] * len(runs),
            "device": [device] * len(runs),
            **{
                column: [in_kind(end.metrics.last.get(name), kinds[name]) for end in ends]
                for name, column in names.items()
            },
        },
        history=history,
        layers={},
        metrics={column: kinds[name] for name, column in names.items()},
    )


def joined(one: str, other: str) -> str:
    """Return the kind of column that holds a metric of two runs of a pack."""
    ranks = ("truth", "count", "number")
    return max(one, other, key=ranks.index)


def in_kind(value: Any, kind: str) -> Any:
    """Return the value of a metric in the kind of its column; None where it was not reported."""
    if value is None or kind == "truth":
        return value
    return int(value) if kind == "count" else float(value)


def device_of(config: LaunchConfig) -> str:
    """Return the device of a program: a GPU where one was reserved for it."""
    return "cuda" if config.pack.device == "cuda" else "cpu"
