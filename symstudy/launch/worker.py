"""What a worker does with a pack: train it, measure it, write it."""

import contextlib
import dataclasses
import gc
import platform
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from symstudy.errors import LaunchError, StoreError
from symstudy.identity import pack_id as identify_pack
from symstudy.launch.job import Job, PackReport
from symstudy.launch.lease import TAKEN_OVER
from symstudy.outcomes import Outcome
from symstudy.store.files.folder import StudyFolder, open_location
from symstudy.store.tables.ledger import read_pack
from symstudy.store.tables.schema import CURVE_MEASURES, FINAL_LAYER_MEASURES
from symstudy.store.tables.writer import write_pack
from symstudy.study.cells import Run

if TYPE_CHECKING:
    from symstudy.launch.checkpointing import Unkept

__all__ = ["work_on"]

LONGEST_REASON = 500
"""Characters of an exception's message that are kept as a run's reason."""


def never() -> bool:
    """Return False: nobody takes this worker away."""
    return False


def work_on(
    job: Job,
    pack_id: str,
    file: str,
    *,
    certified: bool = False,
    progress: Callable[[int], None] | None = None,
    is_preempted: Callable[[], bool] = never,
) -> PackReport:
    """Train a pack of the launch and write its rows; the pack is then accounted for.

    A pack that does not fit the memory is split in two. An exception of the model or the data
    becomes the reason of its runs, since training it again would raise it again. Results that
    cannot be written, a request to stop and a driver that has been replaced pause the pack: no row
    is written, and its runs stay missing.

    Args:
        job: Of the launch.
        pack_id: Which pack.
        file: Name of the file in `packs/` that holds its runs.
        certified: Whether one of its runs is trained once more alone.
        progress: Called now and then with the optimiser steps taken so far, summed over runs.
        is_preempted: Asked now and then whether this worker is about to be taken away; the state of
            the pack is then saved at once.

    Raises:
        StoreError: If the runs of the pack cannot be read.
        LaunchError: If this machine has other versions than the driver.
    """
    if deviations := job.provenance.deviations():
        # Machines that were there at the start have been asked; this one has joined since.
        raise LaunchError(
            f"every machine must have the driver's versions, but {platform.node()} has "
            f"{', '.join(deviations)}. Start its node from the same environment or image."
        )
    # Torch is loaded here: the driver, which only sends packs out, never pays for it.
    from symstudy.training.checkpoints import Paused

    start = time.perf_counter()
    filesystem, path = open_location(job.location)
    folder = StudyFolder(filesystem, path)
    runs = read_pack(folder, file, pack_id)
    work = PackWork(job, folder, is_preempted, progress)
    paused = ""
    try:
        work.train(pack_id, runs, certified=certified)
    except Paused:
        paused = work.reason
    except StoreError as error:
        paused = str(error)
    return PackReport(
        pack_id=pack_id,
        runs=len(runs),
        failed=work.failed,
        stopped=work.stopped,
        run_steps=work.taken,
        seconds=time.perf_counter() - start,
        paused=paused,
    )


class PackWork:
    """The training of one pack, in one piece or in several.

    Attributes:
        failed: Runs that did not end as planned.
        stopped: Runs that were stopped early.
        taken: Optimiser steps taken, summed over runs.
        reason: Why the training is paused, if it is.
    """

    def __init__(
        self,
        job: Job,
        folder: StudyFolder,
        is_preempted: Callable[[], bool],
        progress: Callable[[int], None] | None,
    ) -> None:
        """Prepare; see `work_on`."""
        self.job = job
        self.folder = folder
        self.is_preempted = is_preempted
        self.progress = progress
        self.failed = self.stopped = self.taken = 0
        self.reason = ""

    def count(self, _alive: int, run_steps: int) -> None:
        """Take note of steps and pass them on."""
        self.taken += run_steps
        if self.progress:
            self.progress(self.taken)

    def train(self, pack_id: str, runs: Sequence[Run], *, certified: bool) -> None:
        """Train `runs` together, or in halves if they do not fit, and write their rows.

        Raises:
            Paused: If the training is to stop; the state is kept.
            StoreError: If the rows cannot be written.
            LaunchError: If the device has a fault that only a new process mends, or code of the
                user's own has changed since the study was planned.
        """
        from symstudy.launch.checkpointing import PackKeeper, is_ours
        from symstudy.launch.device_faults import find_device_fault, is_out_of_memory
        from symstudy.launch.search.rungs import read_rungs
        from symstudy.training import train_pack
        from symstudy.training.checkpoints import Paused

        keeper = PackKeeper(self.job, self.folder, pack_id, runs, self.is_preempted)
        before = self.taken
        try:
            rungs = read_rungs(self.folder, pack_id, runs) if self.job.has_rungs else None
            result = train_pack(runs, self.job.config, self.count, keeper, rungs)
        except Paused:
            self.reason = keeper.reason
            raise
        except (StoreError, LaunchError):
            raise
        except Exception as error:  # whatever a user's model raises is a reason, not a crash
            if fault := find_device_fault(error):
                raise LaunchError(
                    f"a pack must be trained without a fault of the device, but got {fault!r}. "
                    "Its worker is replaced and the pack trained again; run the same command again "
                    "if the launch has ended, with CUDA_LAUNCH_BLOCKING=1 to see where it fails."
                ) from error
            if not is_out_of_memory(error):
                reason = f"{type(error).__name__}: {error}"[:LONGEST_REASON]
                self.fail(pack_id, runs, Outcome.ERROR, reason)
                return
            self.taken = before
            if len(runs) == 1:
                reason = f"{Outcome.OUT_OF_MEMORY.value} ({type(error).__name__})"
                self.fail(pack_id, runs, Outcome.OUT_OF_MEMORY, reason)
                return
            result = None
        if result is None:
            # Outside of the handler: the exception holds the frames, and they hold the memory.
            self.train_halves(runs, certified=certified)
            keeper.forget()
            return
        certificates = None
        if certified and len(runs) > 1:
            # Whoever is in a hurry gets the rows without it.
            with contextlib.suppress(Paused):
                certificates = certify(self.job, runs, result.runs, pack_id, keeper.unkept())
        if not is_ours(self.job, self.folder):
            self.reason = TAKEN_OVER
            raise Paused
        write_pack(
            self.folder,
            self.job.study,
            pack_id,
            runs,
            self.job.provenance,
            run_columns=result.runs,
            history=result.history,
            layers=result.layers,
            certificates=certificates,
        )
        keeper.forget()
        outcomes = list(result.runs["outcome"])
        stopped = outcomes.count(Outcome.STOPPED.name.lower())
        self.stopped += stopped
        self.failed += len(outcomes) - stopped - outcomes.count(Outcome.DONE.name.lower())

    def train_halves(self, runs: Sequence[Run], *, certified: bool) -> None:
        """Free what a pack that did not fit has left, and train each half as a pack of its own.

        Raises:
            Paused: If the training is to stop; the state is saved.
            StoreError: If the rows cannot be written.
        """
        import torch

        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        for half in (runs[: len(runs) // 2], runs[len(runs) // 2 :]):
            self.train(identify_pack(run.run_id for run in half), half, certified=certified)

    def fail(self, pack_id: str, runs: Sequence[Run], outcome: Outcome, reason: str) -> None:
        """Write that `runs` have failed.

        Raises:
            StoreError: If the rows cannot be written.
        """
        write_failed(self.job, self.folder, pack_id, runs, outcome, reason)
        self.failed += len(runs)


def write_failed(
    job: Job, folder: StudyFolder, pack_id: str, runs: Sequence[Run], outcome: Outcome, reason: str
) -> None:
    """Write a row without measures for each of `runs`."""
    write_pack(
        folder,
        job.study,
        pack_id,
        runs,
        job.provenance,
        run_columns={
            "outcome": [outcome.name.lower()] * len(runs),
            "reason": [reason] * len(runs),
            "steps_done": [0] * len(runs),
        },
        history={},
        layers={},
    )


def certify(
    job: Job, runs: Sequence[Run], packed: dict[str, Any], pack_id: str, keeper: "Unkept"
) -> dict[str, Any]:
    """Train one run of a pack alone and return its final measures beside the pack's.

    The run is chosen by the pack's identifier, so the choice is neither ours nor the pack's.

    Raises:
        Paused: If the launch is to stop.
    """
    from symstudy.training import train_pack

    place = int(pack_id, 16) % len(runs)
    config = dataclasses.replace(job.config, size=1)
    alone = train_pack([runs[place]], config, None, keeper).runs
    measures = [
        column.name
        for column in (*CURVE_MEASURES, *FINAL_LAYER_MEASURES)
        if column.name in packed and np.isfinite(packed[column.name][place])
    ]
    return {
        "run_id": [runs[place].run_id] * len(measures),
        "pack_size": [len(runs)] * len(measures),
        "measure": measures,
        "packed": [float(packed[name][place]) for name in measures],
        "alone": [float(alone[name][0]) for name in measures],
    }
