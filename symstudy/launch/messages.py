"""Messages between driver and workers: the settings of a launch go out, pack reports come back."""

import time
from dataclasses import dataclass
from typing import Protocol

from symstudy.store.tables.provenance import Provenance
from symstudy.study.sections import PackConfig

__all__ = ["LaunchConfig", "PackCounts", "PackReport", "report_pack"]


@dataclass(frozen=True, kw_only=True)
class LaunchConfig:
    """Settings that every worker of a launch receives; small, picklable, without open files.

    Attributes:
        study: Name of the study.
        location: Path or URI of the study's folder.
        launch: Identifier of the launch.
        pack: Device, engine, cores and checkpoint interval of a pack.
        provenance: Commit and package versions of the driver.
        has_rungs: Whether a search stops runs early at rungs.
        gpu_share: Share of a GPU that one pack reserves, where it trains on one.
        home: Folder of the study file, in which a program's files are looked for.
    """

    study: str
    location: str
    launch: str
    pack: PackConfig
    provenance: Provenance
    has_rungs: bool = False
    gpu_share: float = 1.0
    home: str = ""


@dataclass(frozen=True, kw_only=True)
class PackReport:
    """Result of training a pack, as counts; its rows are in the store already.

    Attributes:
        pack_id: Identifier of the pack.
        runs: Number of its runs.
        failed: Number of its runs that ended neither as planned nor by early stopping.
        stopped: Number of its runs that a search or train.stop ended early.
        run_steps: Optimiser steps taken, summed over runs.
        seconds: Wall time in the worker, from when torch is loaded.
        paused: Why training was paused, with its state saved and no row written; empty if it ended.
        is_refused: Whether it was not begun since code or data have changed, which `paused` says.
    """

    pack_id: str
    runs: int
    failed: int
    run_steps: int
    seconds: float
    stopped: int = 0
    paused: str = ""
    is_refused: bool = False


class PackCounts(Protocol):
    """What is counted while the runs of a pack are trained; as in `PackReport`.

    Attributes:
        failed: Number of runs that ended neither as planned nor by early stopping.
        stopped: Number of runs that ended early.
        taken: Steps taken, summed over runs.
    """

    failed: int
    stopped: int
    taken: int


def report_pack(
    pack_id: str,
    runs: int,
    counts: PackCounts,
    *,
    start: float,
    paused: str,
    is_refused: bool = False,
) -> PackReport:
    """Return the report of a pack of so many runs that began at `time.perf_counter()` `start`."""
    return PackReport(
        pack_id=pack_id,
        runs=runs,
        failed=counts.failed,
        stopped=counts.stopped,
        run_steps=counts.taken,
        seconds=time.perf_counter() - start,
        paused=paused,
        is_refused=is_refused,
    )
