"""What a worker is told, and what it answers."""

from dataclasses import dataclass, field

from symstudy.store.provenance import Provenance
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
        certified: Packs of which one run is trained once more alone.
    """

    study: str
    location: str
    launch: str
    config: PackConfig
    provenance: Provenance
    certified: frozenset[str] = field(default_factory=frozenset)


@dataclass(frozen=True, kw_only=True)
class PackReport:
    """What became of a pack; its rows are in the store already.

    Attributes:
        pack_id: The pack.
        runs: Number of its runs.
        failed: How many of them did not end as planned.
        run_steps: Optimiser steps taken, summed over runs.
        seconds: Wall time in the worker, from when torch is loaded.
    """

    pack_id: str
    runs: int
    failed: int
    run_steps: int
    seconds: float
