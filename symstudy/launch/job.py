"""What a worker is told, and what it answers."""

from dataclasses import dataclass

from symstudy.store.tables.provenance import Provenance
from symstudy.study.sections import PackConfig

__all__ = ["Job", "PackReport"]


@dataclass(frozen=True, kw_only=True)
class Job:
    """What every worker of a launch is told; small, and without any open file.

    Attributes:
        study: Name of the study.
        location: Path or URI of the study's folder.
        launch: Identifier of the launch: names its file of packs.
        config: Device, engine and cores.
        provenance: Commit and versions at launch.
        has_rungs: Whether a search stops hopeless runs at rungs.
    """

    study: str
    location: str
    launch: str
    config: PackConfig
    provenance: Provenance
    has_rungs: bool = False


@dataclass(frozen=True, kw_only=True)
class PackReport:
    """What became of a pack; its rows are in the store already.

    Attributes:
        pack_id: The pack.
        runs: Number of its runs.
        failed: How many of them did not end as planned.
        stopped: How many of them were stopped early.
        run_steps: Optimiser steps taken, summed over runs.
        seconds: Wall time in the worker, from when torch is loaded.
        paused: Why its training was broken off, with its state kept and no row written; empty if
            it ended.
    """

    pack_id: str
    runs: int
    failed: int
    run_steps: int
    seconds: float
    stopped: int = 0
    paused: str = ""
