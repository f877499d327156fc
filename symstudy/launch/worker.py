"""What a worker does with a pack: train it, measure it, write it."""

import dataclasses
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from symstudy.errors import StoreError
from symstudy.identity import pack_id as identify_pack
from symstudy.launch.job import Job, PackReport
from symstudy.outcomes import Outcome
from symstudy.store.folder import StudyFolder, open_location
from symstudy.store.ledger import read_pack
from symstudy.store.schema import CURVE_MEASURES, FINAL_LAYER_MEASURES
from symstudy.store.writer import write_pack
from symstudy.study.cells import Run

__all__ = ["work_on"]

LONGEST_REASON = 500
"""Characters of an exception's message that are kept as a run's reason."""


def work_on(job: Job, pack_id: str, progress: Callable[[int], None] | None = None) -> PackReport:
    """Train a pack of the launch and write its rows; the pack is then accounted for.

    A pack that does not fit the memory is split in two. An exception of the model or the data
    becomes the reason of its runs, since training it again would raise it again; a store that
    cannot be written to is raised, since the runs are not accounted for.

    Args:
        job: Of the launch.
        pack_id: Which pack.
        progress: Called now and then with the optimiser steps taken so far, summed over runs.

    Raises:
        StoreError: If the results cannot be read or written.
    """
    # Torch is loaded here: the driver, which only sends packs out, never pays for it.
    import symstudy.training  # noqa: F401

    start = time.perf_counter()
    filesystem, path = open_location(job.location)
    folder = StudyFolder(filesystem, path)
    runs = read_pack(folder, job.launch, pack_id)
    taken = 0

    def count(_alive: int, run_steps: int) -> None:
        nonlocal taken
        taken += run_steps
        if progress:
            progress(taken)

    failed = train_or_split(job, folder, pack_id, runs, count)
    return PackReport(
        pack_id=pack_id,
        runs=len(runs),
        failed=failed,
        run_steps=taken,
        seconds=time.perf_counter() - start,
    )


def train_or_split(
    job: Job,
    folder: StudyFolder,
    pack_id: str,
    runs: Sequence[Run],
    count: Callable[[int, int], None],
) -> int:
    """Train `runs` together, or in halves if they do not fit; return how many failed."""
    import torch

    from symstudy.training import train_pack

    try:
        result = train_pack(runs, job.config, count)
        certificates = (
            certify(job, pack_id, runs, result.runs) if pack_id in job.certified else None
        )
    except StoreError:
        raise
    except (MemoryError, torch.OutOfMemoryError) as error:
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        if len(runs) == 1:
            reason = f"{Outcome.OUT_OF_MEMORY.value} ({type(error).__name__})"
            write_failed(job, folder, pack_id, runs, Outcome.OUT_OF_MEMORY, reason)
            return 1
        halves = (runs[: len(runs) // 2], runs[len(runs) // 2 :])
        return sum(
            train_or_split(job, folder, identify_pack(run.run_id for run in half), half, count)
            for half in halves
        )
    except Exception as error:  # noqa: BLE001  # whatever a user's model raises is a reason, not a crash
        reason = f"{type(error).__name__}: {error}"[:LONGEST_REASON]
        write_failed(job, folder, pack_id, runs, Outcome.ERROR, reason)
        return len(runs)
    write_pack(
        folder,
        job.study,
        pack_id,
        runs,
        job.provenance,
        run_columns=result.runs,
        history=result.history,
        layers=result.layers,
        certificates=certificates,
    )
    return sum(outcome != "done" for outcome in result.runs["outcome"])


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


def certify(job: Job, pack_id: str, runs: Sequence[Run], packed: dict[str, Any]) -> dict[str, Any]:
    """Train one run of a pack alone and return its final measures beside the pack's.

    The run is chosen by the pack's identifier, so the choice is neither ours nor the pack's.
    """
    from symstudy.training import train_pack

    place = int(pack_id, 16) % len(runs)
    alone = train_pack([runs[place]], dataclasses.replace(job.config, size=1)).runs
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
