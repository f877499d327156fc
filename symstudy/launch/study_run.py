"""Running a study: freeze it, plan it, train what is missing, account for everything."""

import datetime
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from symstudy.errors import StoreError
from symstudy.launch.job import Job, PackReport
from symstudy.launch.launcher import AbstractLauncher, Observer
from symstudy.store.folder import STUDY_FILE, StudyFolder, check_version, open_location
from symstudy.store.ledger import ended_runs, planned_runs, repair
from symstudy.store.provenance import Provenance, current_provenance
from symstudy.store.schema import SCHEMA_VERSION
from symstudy.store.writer import utc_now, write_packs, write_plan
from symstudy.study.cells import Run
from symstudy.study.packs import Pack, plan_packs
from symstudy.study.study import Study

__all__ = ["Launch", "Summary", "open_study_folder", "run_study"]


@dataclass(frozen=True, kw_only=True)
class Launch:
    """What a launch is about to do.

    Attributes:
        folder: Of the study.
        planned: Runs of the study.
        ended: Runs of it that ended before.
        packs: What is left, as packs.
        workers: Packs at the same time.
        device: Where they train.
        notes: What a user should be told.
    """

    folder: StudyFolder
    planned: int
    ended: int
    packs: list[Pack]
    workers: int
    device: str
    notes: tuple[str, ...] = ()


@dataclass
class Summary:
    """What a launch did; an observer of its packs.

    Attributes:
        done: Runs that ended as planned in this launch.
        failed: Runs that ended otherwise.
        run_steps: Optimiser steps taken.
        reports: One a pack.
    """

    done: int = 0
    failed: int = 0
    run_steps: int = 0
    reports: list[PackReport] = field(default_factory=list)

    def progressed(self, pack_id: str, run_steps: int) -> None:
        """Nothing to sum yet."""

    def retried(self, pack_id: str) -> None:
        """Nothing to sum."""

    def ended(self, report: PackReport) -> None:
        """Add a pack that is accounted for."""
        self.done += report.runs - report.failed
        self.failed += report.failed
        self.run_steps += report.run_steps
        self.reports.append(report)


class Tee:
    """An observer that tells several others."""

    def __init__(self, *observers: Observer) -> None:
        """Tell `observers`, in their order."""
        self.observers = observers

    def progressed(self, pack_id: str, run_steps: int) -> None:
        """Pass it on."""
        for observer in self.observers:
            observer.progressed(pack_id, run_steps)

    def ended(self, report: PackReport) -> None:
        """Pass it on."""
        for observer in self.observers:
            observer.ended(report)

    def retried(self, pack_id: str) -> None:
        """Pass it on."""
        for observer in self.observers:
            observer.retried(pack_id)


class Announcer(Observer):
    """An observer that is told first what the launch is about to do."""

    def announced(self, launch: Launch) -> None:
        """The packs are planned and about to be trained."""


def open_study_folder(results: str, study: Study) -> StudyFolder:
    """Return the folder of `study` below the location `results`.

    Raises:
        StoreError: If the location cannot be opened.
    """
    filesystem, path = open_location(results)
    return StudyFolder(filesystem, f"{path}/{study.name}")


def run_study(
    study: Study,
    results: str,
    launcher: AbstractLauncher,
    *,
    observer: Announcer | None = None,
    rules: Mapping[str, str] | None = None,
    extend: bool = False,
    retry: bool = False,
) -> Summary:
    """Train every run of `study` that has not ended yet; called again, it goes on or does nothing.

    Args:
        study: What to train.
        results: Path or URI that the study's folder is made in.
        launcher: Where to train; not yet entered.
        observer: Told of the launch and of its packs.
        rules: Hash of the decision rule of each claim of the study, frozen with it.
        extend: Allow a folder that holds no run of this study.
        retry: Train failed runs again.

    Raises:
        StoreError: If the folder belongs to another study, or cannot be read or written.
        LaunchError: If packs could not be accounted for.
        KeyboardInterrupt: If interrupted; what ended is kept.
    """
    folder = open_study_folder(results, study)
    runs = study.runs()
    provenance = current_provenance(Path(study.source).absolute().parent)
    known: set[str] = set()
    notes = list(study.notes)
    if folder.exists():
        check_version(folder)
        notes.extend(
            f"{path} was damaged and is set aside; its runs are trained again"
            for path in repair(folder)
        )
        known = planned_runs(folder)
        check_same_study(folder, study, runs, known, extend=extend)
    ended = ended_runs(folder, failed_count=not retry) if folder.exists() else set()
    left = [run for run in runs if run.run_id not in ended]
    summary = Summary()
    name = launch_name()
    new = [run for run in runs if run.run_id not in known]
    if not left:
        launch = Launch(
            folder=folder,
            planned=len(runs),
            ended=len(runs),
            packs=[],
            workers=0,
            device="none",
            notes=tuple(notes),
        )
        if observer:
            observer.announced(launch)
        return summary
    with launcher:
        capacity = launcher.capacity
        packs = plan_packs(left, study.pack, workers=capacity.workers, device=capacity.device)
        # Only now, when there is something to train on, is anything written.
        freeze(folder, study, provenance, rules or {}, name, len(new))
        if new:
            write_plan(folder, study.name, name, new)
        write_packs(folder, name, packs)
        job = Job(
            study=study.name,
            location=location_of(folder, results),
            launch=name,
            config=study.pack,
            provenance=provenance,
            certified=certified_packs(packs, study.pack.certify),
        )
        watchers: list[Observer] = [summary]
        if observer:
            observer.announced(
                Launch(
                    folder=folder,
                    planned=len(runs),
                    ended=len(runs) - len(left),
                    packs=packs,
                    workers=capacity.workers,
                    device=capacity.device,
                    notes=tuple(notes),
                )
            )
            watchers.append(observer)
        launcher.launch(job, packs, Tee(*watchers))
    return summary


def certified_packs(packs: list[Pack], count: int) -> frozenset[str]:
    """Return the `count` packs of several runs whose identifiers come first: a choice by hash."""
    several = sorted(pack.pack_id for pack in packs if len(pack.runs) > 1)
    return frozenset(several[:count])


def check_same_study(
    folder: StudyFolder, study: Study, runs: list[Run], known: set[str], *, extend: bool
) -> None:
    """Raise if the folder holds runs, but none of this study."""
    wanted = {run.run_id for run in runs}
    if extend or not known or known & wanted:
        return
    frozen = folder.read_json(STUDY_FILE)
    raise StoreError(
        f"{folder.path!r} must be empty or hold runs of this study, but it holds the {len(known)} "
        f"runs of {frozen.get('title')!r} (preset {frozen.get('preset')}), none of which are "
        f"among the {len(wanted)} of {study.title!r} (preset {study.preset}). Name another place "
        "with --results, or keep both together with --extend."
    )


def freeze(
    folder: StudyFolder,
    study: Study,
    provenance: Provenance,
    rules: Mapping[str, str],
    launch: str,
    num_new: int,
) -> None:
    """Write what is being run to `study.json`, keeping the rules and launches frozen before."""
    before = folder.read_json(STUDY_FILE) if folder.exists() else {}
    launches = before.get("launches", [])
    launches.append(
        {
            "launch": launch,
            "at": utc_now().isoformat(timespec="seconds"),
            "preset": study.preset,
            "new_runs": num_new,
            **provenance._asdict(),
        }
    )
    folder.write_json(
        {
            "schema_version": SCHEMA_VERSION,
            "name": study.name,
            "title": study.title,
            "description": study.description,
            "claims": list(study.claims),
            "swept": list(study.swept),
            "seeds": len(study.seeds),
            "preset": study.preset,
            "source": study.source,
            # A rule is frozen when its study first runs; a later change shows as a difference.
            "rules": {**rules, **before.get("rules", {})},
            "launches": launches,
        },
        STUDY_FILE,
    )


def location_of(folder: StudyFolder, results: str) -> str:
    """Return how a worker can open the folder."""
    return f"{results.rstrip('/')}/{folder.name}" if "://" in results else folder.path


def launch_name() -> str:
    """Return a name for a launch that sorts by time."""
    stamp = datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%S")
    return f"{stamp}-{uuid.uuid4().hex[:6]}"
