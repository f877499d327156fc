"""Running a study: freeze it, plan it, train what is missing, account for everything."""

import contextlib
import datetime
import uuid
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from symstudy.errors import StoreError
from symstudy.launch.cluster.environment import require_weights
from symstudy.launch.control import Warden
from symstudy.launch.dispatch import Gate, heard_signals
from symstudy.launch.events import Announcer, Launch, Summary, Tee
from symstudy.launch.job import Job
from symstudy.launch.launchers.base import AbstractLauncher
from symstudy.launch.progress import Board
from symstudy.launch.search import SearchSource, SearchState, Site
from symstudy.launch.source import AbstractPackSource, Order, PlannedSource
from symstudy.store.files.checkpoints import delete_checkpoint, list_checkpoints
from symstudy.store.files.compaction import compact
from symstudy.store.files.folder import StudyFolder, check_version, open_location
from symstudy.store.files.repair import repair
from symstudy.store.tables.ledger import ended_runs, planned_runs
from symstudy.store.tables.provenance import Provenance, current_provenance
from symstudy.store.tables.schema import SCHEMA_VERSION
from symstudy.store.tables.settling import settle
from symstudy.store.tables.writer import utc_now, write_packs, write_plan
from symstudy.study.cells import Run
from symstudy.study.packs import Pack, gpu_share, make_pack, plan_packs
from symstudy.study.sections import PackConfig
from symstudy.study.study import Study

__all__ = ["MANY_FILES", "Announcer", "Launch", "Summary", "open_study_folder", "run_study"]

MANY_FILES = 1000
"""A study with more packs than this has their files merged when it is done: queries open each."""


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

    Ctrl-C, SIGTERM and SIGUSR1 stop the launch with the state of all packs saved; a second Ctrl-C
    stops it at once.

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
        LaunchError: If another driver is at work, packs could not be accounted for, or trained
            weights are not there.
        KeyboardInterrupt: If interrupted twice; what ended is kept.
    """
    require_weights(study)
    folder = open_study_folder(results, study)
    runs = study.runs()
    name = launch_name()
    board = Board(len(runs), 0)
    since = utc_now().isoformat(sep=" ", timespec="seconds")
    with Warden(folder, name, since, board.published) as warden:
        notes = list(study.notes)
        known: set[str] = set()
        if folder.exists():
            check_version(folder)
            notes.extend((*repair(folder), *settle(folder)))
            known = planned_runs(folder)
        search = None
        if study.search is not None:
            search = SearchState(study.search, folder, retry=retry)
            runs = search.runs
            board.planned = max(study.search.num_runs, len(runs))
        if folder.exists():
            check_same_study(folder, study, runs, known, extend=extend)
        ended = ended_runs(folder, failed_count=not retry) if folder.exists() else set()
        left = [run for run in runs if run.run_id not in ended]
        board.before = len(runs) - len(left)
        launch = Launch(
            folder=folder,
            planned=board.planned,
            ended=board.before,
            packs=[],
            workers=0,
            device="none",
            board=board,
            notes=tuple(notes),
        )
        summary = Summary()
        if not left and (search is None or search.is_done()):
            if observer:
                observer.announced(launch)
            return summary
        provenance = current_provenance(Path(study.source).absolute().parent)
        launcher.prepare(study)
        with launcher, heard_signals(warden):
            launcher.check(location_of(folder, results))
            capacity = launcher.capacity
            kept, rest = kept_packs(folder, left, study.pack, device=capacity.device)
            packs = plan_packs(rest, study.pack, workers=capacity.workers, device=capacity.device)
            if capacity.device == "cuda":
                # Several packs share a GPU where they fit: more workers, and packs for them.
                capacity = launcher.reserve(gpu_share([*kept, *packs], study.pack, capacity.gpu))
                packs = plan_packs(rest, study.pack, workers=capacity.workers, device="cuda")
            packs = kept + packs
            # Only now, when there is something to train on, is anything written.
            new = [run for run in runs if run.run_id not in known]
            freeze(folder, study, provenance, rules or {}, name, len(new))
            if new:
                write_plan(folder, study.name, name, new)
            if packs:
                write_packs(folder, name, packs)
            board.expect(packs, capacity.workers)
            if observer:
                observer.announced(
                    replace(launch, packs=packs, workers=capacity.workers, device=capacity.device)
                )
            job = Job(
                study=study.name,
                location=location_of(folder, results),
                launch=name,
                config=study.pack,
                provenance=provenance,
                has_rungs=study.search is not None and study.search.halt is not None,
            )
            source: AbstractPackSource = PlannedSource(
                packs, name, certified_packs(packs, study.pack.certify)
            )
            if search is not None:
                site = Site(study.name, name, study.pack, capacity.workers, capacity.device)
                source = SearchSource(
                    search,
                    site,
                    [Order(pack, name) for pack in packs],
                    lambda new: board.expect(list(new), capacity.workers),
                )
            gate = Gate(source, warden)
            watchers = [summary, board, *([observer] if observer else [])]
            launcher.launch(job, gate, Tee(*watchers))
        gate.check()
        summary.stopped = warden.stopping
        if not summary.stopped:
            merge_files(folder)
    return summary


def merge_files(folder: StudyFolder) -> None:
    """Merge the files of a study of many packs."""
    # The rows are all there: where this fails, `symstudy compact` says why.
    with contextlib.suppress(StoreError):
        if len(folder.list_files("runs", ".parquet")) > MANY_FILES:
            compact(folder)


def kept_packs(
    folder: StudyFolder, left: list[Run], config: PackConfig, *, device: str
) -> tuple[list[Pack], list[Run]]:
    """Return the packs that a launch before this one has left half trained, and all other runs.

    A checkpoint of which a run has ended since, or is in another one too, is deleted.
    """
    wanted = {run.run_id: run for run in left}
    packs: list[Pack] = []
    for checkpoint in list_checkpoints(folder):
        if all(run_id in wanted for run_id in checkpoint.run_ids):
            runs = [wanted.pop(run_id) for run_id in checkpoint.run_ids]
            packs.append(make_pack(runs, config, device=device))
        else:
            delete_checkpoint(folder, checkpoint.pack_id)
    return packs, list(wanted.values())


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
    frozen = folder.read_study()
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
    before = folder.read_study()
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
    folder.write_study(
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
    )


def location_of(folder: StudyFolder, results: str) -> str:
    """Return how a worker can open the folder."""
    return f"{results.rstrip('/')}/{folder.place}" if "://" in results else folder.path


def launch_name() -> str:
    """Return a name for a launch that sorts by time."""
    stamp = datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%S")
    return f"{stamp}-{uuid.uuid4().hex[:6]}"
