"""Training of one pack in a worker: train it, measure it, write its rows to the store."""

import contextlib
import dataclasses
import gc
import platform
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from symstudy.errors import ChangedError, LaunchError, StoreError
from symstudy.identity import pack_id as identify_pack
from symstudy.launch.lease import TAKEN_OVER
from symstudy.launch.messages import LaunchConfig, PackReport, report_pack
from symstudy.launch.tracebacks import write_tracebacks
from symstudy.outcomes import Outcome
from symstudy.store.files.folder import StudyFolder
from symstudy.store.files.locations import open_location
from symstudy.store.tables.ledger import read_pack
from symstudy.store.tables.schema import CURVE_MEASURES, FINAL_LAYER_MEASURES
from symstudy.store.tables.writer import write_pack
from symstudy.study.cell import Run
from symstudy.study.packs import are_programs

if TYPE_CHECKING:
    from symstudy.launch.checkpointing import CheckpointWriter, StopCheck
    from symstudy.training import PackResult

__all__ = ["train_assigned_pack"]

LONGEST_REASON = 500
"""Characters of an exception's message that are kept as a run's reason."""


def never() -> bool:
    """Return False: this worker is not taken away."""
    return False


def train_assigned_pack(
    config: LaunchConfig,
    pack_id: str,
    file: str,
    *,
    device: Literal["cpu", "cuda"] | None = None,
    certified: bool = False,
    progress: Callable[[int], None] | None = None,
    is_preempted: Callable[[], bool] = never,
) -> PackReport:
    """Train a pack of the launch and write its rows; the pack is then accounted for.

    A pack that does not fit in memory is split in two. An exception of the model or the data
    becomes the reason of its runs, since training it again would raise it again; the traceback is
    written beside the results. Results that cannot be written, a request to stop and a driver that
    has been replaced pause the pack: no row is written, and its runs stay missing. So does code or
    data of the user's own that has changed since the study was planned.

    Args:
        config: Settings of the launch.
        pack_id: Identifier of the pack.
        file: Name of the file in `packs/` that lists its runs.
        device: What the pack was planned for; what `[pack] device` of the study says if None.
        certified: Whether one of its runs is trained once more alone.
        progress: Called now and then with the optimiser steps taken so far, summed over runs.
        is_preempted: Called now and then; returns whether this worker is about to be taken away,
            which saves the state of the pack at once.

    Raises:
        StoreError: If the runs of the pack cannot be read.
        LaunchError: If this machine has other package versions than the driver, or no GPU that
            torch can use for a pack that was planned for one.
    """
    if deviations := config.provenance.deviations():
        # Machines that were there at the start have been asked; this one has joined since.
        raise LaunchError(
            f"every machine must have the driver's versions, but {platform.node()} has "
            f"{', '.join(deviations)}. Start its node from the same environment or image."
        )
    start = time.perf_counter()
    wanted = device or config.pack.device
    config = dataclasses.replace(
        config,
        pack=dataclasses.replace(config.pack, device=wanted),
        provenance=config.provenance.with_builds_here(),
    )
    filesystem, path = open_location(config.location)
    folder = StudyFolder(filesystem, path)
    runs = read_pack(folder, file, pack_id)
    if are_programs(runs):
        from symstudy.launch.program_worker import run_programs

        return run_programs(config, folder, pack_id, runs, progress, is_preempted)
    # Torch is loaded here: the driver, which only sends packs out, never pays for it.
    from symstudy.training.checkpoints import Paused
    from symstudy.training.gpu import limit_memory, require_gpu

    if wanted == "cuda":
        require_gpu()
        limit_memory(config.gpu_share)
    trainer = PackTrainer(config, folder, pack_id, is_preempted, progress)
    paused, is_refused = "", False
    try:
        trainer.train(pack_id, runs, certified=certified)
    except Paused:
        paused = trainer.reason
    except StoreError as error:
        paused = str(error)
    except ChangedError as error:
        # Raised, it would look like a worker that has died, and be tried again elsewhere.
        paused, is_refused = str(error), True
    return report_pack(
        pack_id, len(runs), trainer, start=start, paused=paused, is_refused=is_refused
    )


class PackTrainer:
    """Trains one pack, whole or in halves if it does not fit in memory, and writes its rows.

    Attributes:
        failed: Number of runs that failed so far.
        stopped: Number of runs that were stopped early so far.
        taken: Optimiser steps taken so far, summed over runs.
        ordered: Identifier of the pack as it was ordered; its halves have others.
        reason: Why the training is paused; empty if it is not.
    """

    def __init__(
        self,
        config: LaunchConfig,
        folder: StudyFolder,
        ordered: str,
        is_preempted: Callable[[], bool],
        progress: Callable[[int], None] | None,
    ) -> None:
        """Prepare; `ordered` is the pack's identifier, the rest as for `train_assigned_pack`."""
        self.config = config
        self.folder = folder
        self.is_preempted = is_preempted
        self.progress = progress
        self.failed = self.stopped = self.taken = 0
        self.ordered = ordered
        self.reason = ""

    def count(self, _alive: int, run_steps: int) -> None:
        """Add optimiser steps to the count and report it."""
        self.taken += run_steps
        if self.progress:
            self.progress(self.taken)

    def train(self, pack_id: str, runs: Sequence[Run], *, certified: bool) -> None:
        """Train `runs` together, or in halves if they do not fit, and write their rows.

        Raises:
            Paused: If the training is to stop; the state is saved.
            StoreError: If the rows cannot be written.
            LaunchError: If the device has a fault that only a new process mends, or code of the
                user's own has changed since the study was planned.
        """
        from symstudy.launch.checkpointing import CheckpointWriter
        from symstudy.launch.device_faults import find_device_fault, is_out_of_memory
        from symstudy.launch.search.rungs import read_rungs
        from symstudy.training import train_pack
        from symstudy.training.checkpoints import Paused

        writer = CheckpointWriter(self.config, self.folder, pack_id, runs, self.is_preempted)
        before = self.taken
        try:
            rungs = read_rungs(self.folder, self.ordered, runs) if self.config.has_rungs else None
            result = train_pack(runs, self.config.pack, self.count, writer, rungs)
        except Paused:
            self.reason = writer.reason
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
                self.fail(pack_id, runs, Outcome.ERROR, reason, error)
                return
            self.taken = before
            if len(runs) == 1:
                reason = f"{Outcome.OUT_OF_MEMORY.value} ({type(error).__name__})"
                self.fail(pack_id, runs, Outcome.OUT_OF_MEMORY, reason, error)
                return
        else:
            self.write(pack_id, runs, result, writer, certified=certified)
            return
        # Outside of the handler: the exception holds the frames, and they hold the memory.
        self.train_halves(runs, certified=certified)
        writer.delete()

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

    def write(
        self,
        pack_id: str,
        runs: Sequence[Run],
        result: "PackResult",
        writer: "CheckpointWriter",
        *,
        certified: bool,
    ) -> None:
        """Write the rows of a pack whose training has ended, if this launch still holds the lease.

        Raises:
            Paused: If another driver has taken the study over.
            StoreError: If the rows cannot be written.
        """
        from symstudy.training.checkpoints import Paused

        certificates = None
        if certified and len(runs) > 1:
            # If the launch is to stop now, the rows are written without the comparison.
            with contextlib.suppress(Paused):
                certificates = certify(self.config, runs, result.runs, pack_id, writer.stop_check())
        self.check_lease()
        write_pack(
            self.folder,
            self.config.study,
            pack_id,
            runs,
            self.config.provenance,
            run_columns=result.runs,
            history=result.history,
            layers=result.layers,
            representations=result.representations,
            certificates=certificates,
        )
        writer.delete()
        outcomes = list(result.runs["outcome"])
        stopped = outcomes.count(Outcome.STOPPED.name.lower())
        self.stopped += stopped
        self.failed += len(outcomes) - stopped - outcomes.count(Outcome.DONE.name.lower())

    def fail(
        self,
        pack_id: str,
        runs: Sequence[Run],
        outcome: Outcome,
        reason: str,
        error: BaseException,
    ) -> None:
        """Write that `runs` have failed, and the traceback of `error` beside the results.

        Raises:
            Paused: If another driver has taken the study over.
            StoreError: If the rows cannot be written.
        """
        self.check_lease()
        write_tracebacks(self.folder, (run.run_id for run in runs), error)
        write_failed(self.config, self.folder, pack_id, runs, outcome, reason)
        self.failed += len(runs)

    def check_lease(self) -> None:
        """Raise unless this launch may still write to the study.

        Raises:
            Paused: If another driver has taken the study over.
        """
        from symstudy.launch.stop_poll import holds_lease
        from symstudy.training.checkpoints import Paused

        if not holds_lease(self.config, self.folder):
            self.reason = TAKEN_OVER
            raise Paused


def write_failed(
    config: LaunchConfig,
    folder: StudyFolder,
    pack_id: str,
    runs: Sequence[Run],
    outcome: Outcome,
    reason: str,
) -> None:
    """Write a row without measures for each of `runs`.

    Raises:
        StoreError: If the rows cannot be written.
    """
    write_pack(
        folder,
        config.study,
        pack_id,
        runs,
        config.provenance,
        run_columns={
            "outcome": [outcome.name.lower()] * len(runs),
            "reason": [reason] * len(runs),
            "steps_done": [0] * len(runs),
        },
        history={},
        layers={},
    )


def certify(
    config: LaunchConfig,
    runs: Sequence[Run],
    packed: dict[str, Any],
    pack_id: str,
    stop_check: "StopCheck",
) -> dict[str, Any]:
    """Train one run of a pack alone and return its final measures beside the pack's.

    The run is chosen by the pack's identifier, so the choice is neither ours nor the pack's.

    Raises:
        Paused: If the launch is to stop.
    """
    from symstudy.training import train_pack

    place = int(pack_id, 16) % len(runs)
    pack = dataclasses.replace(config.pack, size=1)
    alone = train_pack([runs[place]], pack, None, stop_check).runs
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
