"""Runs a study: plans what is missing, trains it on a launcher, accounts for every run."""

import contextlib
import datetime
import uuid
from collections.abc import Iterable, Mapping
from pathlib import Path

from symstudy.components import looking_in
from symstudy.errors import StoreError
from symstudy.launch.cluster.environment import require_files
from symstudy.launch.control import DriverControl
from symstudy.launch.dispatch import Dispatch, stop_on_signals
from symstudy.launch.events import LaunchEnded, LaunchPlanned, Listener, to_all
from symstudy.launch.fixed import Fixed, fix
from symstudy.launch.launchers.base import AbstractLauncher, Capacity
from symstudy.launch.launchers.find import find_launcher
from symstudy.launch.messages import LaunchConfig
from symstudy.launch.pairs import check_pairs, measure_pairs
from symstudy.launch.planning import (
    StudyState,
    make_source,
    plan_launch,
    read_state,
    write_ledger,
)
from symstudy.launch.progress import LaunchProgress
from symstudy.launch.study_record import location_of, open_study_folder, record_launch
from symstudy.launch.summary import Summary
from symstudy.launch.surroundings import keep_surroundings
from symstudy.store.files.compaction import compact
from symstudy.store.files.folder import StudyFolder
from symstudy.store.tables.provenance import current_provenance
from symstudy.store.tables.writer import utc_now
from symstudy.study.packs import Pack
from symstudy.study.study import Study

__all__ = ["MANY_FILES", "run_study"]

MANY_FILES = 1000
"""A study with more packs than this has their files merged when it is done: queries open each."""


def run_study(
    study: Study,
    results: str = "results",
    launcher: AbstractLauncher | str = "inline",
    *,
    listeners: Iterable[Listener] = (),
    rules: Mapping[str, str] | None = None,
    extend: bool = False,
    retry: bool = False,
    whole: Study | None = None,
) -> Summary:
    """Train every run of `study` that has not ended yet; called again, it goes on or does nothing.

    Ctrl-C, SIGTERM and SIGUSR1 stop the launch with the state of all packs saved; a second Ctrl-C
    stops it at once.

    Args:
        study: Study to train.
        results: Path or URI of the folder that the study's folder is made in.
        launcher: Where to train: `inline` for this process, `ray` for a Ray started on this
            machine, the name of an installed launcher, `package.module:Class`, or a launcher that
            is not yet in its `with` block.
        listeners: Called with each event of the launch.
        rules: Hash of the decision rule of each claim of the study, frozen with it.
        extend: Whether the folder may hold runs of other studies alone.
        retry: Whether failed runs are trained again.
        whole: The study as it was declared, of which a budget has left out a part.

    Raises:
        StoreError: If the folder belongs to another study, or cannot be read or written.
        LaunchError: If another driver is running, packs could not be accounted for, trained
            weights are not there, or the study uses seeds that were burnt.
        ModelError: If a model of the user's own does not fit the data or the loss.
        UnknownNameError: If there is no launcher of that name.
        KeyboardInterrupt: If interrupted twice; what ended is kept.

    Examples:
        Train a study file in this process and count its runs::

            summary = run_study(load_study("studies/smoke.toml"), "results", launcher="inline")
            print(summary.done, summary.failed)
    """
    if isinstance(launcher, str):
        launcher = find_launcher(launcher, [beside(study)]).from_options(study.pack)
    require_files(study)
    folder = open_study_folder(results, study)
    launch = new_launch_id()
    summary = Summary()
    progress = LaunchProgress(planned=study.num_runs)
    tell = to_all((summary, progress, *listeners))
    since = utc_now().isoformat(sep=" ", timespec="seconds")
    control = DriverControl(folder, launch, since, progress.to_json)
    with control, looking_in(beside(study)):
        state = read_state(folder, study, extend=extend, retry=retry)
        check_pairs(study)
        if state.is_done():
            tell(planned_event(folder, state))
        else:
            location = location_of(folder, results)
            fixed = fix(
                whole or study,
                rules or {},
                rows=state.rows,
                planned=len(state.known) + len(state.new),
            )
            train_left(study, state, launcher, control, location, tell, fixed)
        if not control.stopping:
            measure_pairs(study, control, tell)
            if not state.is_done():
                merge_files(folder)
        tell(LaunchEnded(stopped=control.stopping))
    return summary


NOTHING = Capacity(0, "none")
"""The capacity of a launch that has nothing to train."""


def train_left(
    study: Study,
    state: StudyState,
    launcher: AbstractLauncher,
    control: DriverControl,
    location: str,
    tell: Listener,
    fixed: Fixed,
) -> None:
    """Plan the runs that are left, write the plan, and train them until all are accounted for.

    Args:
        study: Study to train.
        state: What its folder holds.
        launcher: Where to train; not yet in its `with` block.
        control: The driver's control thread, which holds the lease.
        location: Path or URI of the study's folder, for workers.
        tell: Called with each event.
        fixed: Rules, settings and seeds of the study.

    Raises:
        StoreError: If the results cannot be read or written.
        LaunchError: If packs could not be accounted for.
    """
    folder, launch = control.folder, control.launch
    provenance = current_provenance(beside(study))
    launcher.prepare(study)
    with launcher, stop_on_signals(control):
        launcher.check(location)
        check_parts(study, state)
        plan = plan_launch(folder, study, state.left, launcher)
        # Only now, when there is something to train on, is anything written.
        new = state.new
        surroundings = keep_surroundings(folder, study, beside(study))
        record_launch(
            folder, study, {**provenance._asdict(), **surroundings}, fixed, launch, num_new=len(new)
        )
        write_ledger(folder, study, launch, new, plan.packs)
        capacity = plan.capacity
        tell(planned_event(folder, state, tuple(plan.packs), capacity))
        config = LaunchConfig(
            study=study.name,
            location=location,
            launch=launch,
            pack=study.pack,
            provenance=provenance,
            has_rungs=study.search is not None and study.search.halt is not None,
            gpu_share=plan.share,
            home=str(beside(study)),
        )
        dispatch = Dispatch(make_source(study, state.search, launch, plan, tell), control)
        launcher.launch(config, dispatch, tell)
    dispatch.check()


def check_parts(study: Study, state: StudyState) -> None:
    """Check models and data of the user's own, before anything is written.

    Raises:
        ModelError: If they do not, so that no run is planned that could only fail.
    """
    if study.is_program:
        return
    cells = {run.cell.cell_id: run.cell for run in state.left}.values()
    own = [cell for cell in cells if cell.model.is_own_code or ":" in cell.data.kind]
    if not own:
        return
    # Torch takes seconds to import, and a driver of built-in parts has no use for it.
    from symstudy.training.dry_run import check_own_models

    check_own_models(own, study.pack)


def planned_event(
    folder: StudyFolder,
    state: StudyState,
    packs: tuple[Pack, ...] = (),
    capacity: Capacity = NOTHING,
) -> LaunchPlanned:
    """Return the event that a launch is planned."""
    notes = [capacity.note] if capacity.note else []
    workers, device = capacity.workers, capacity.device
    on_cpu = sum(pack.device == "cpu" for pack in packs)
    if device == "cuda" and on_cpu:
        notes.append(
            f"{on_cpu} of {len(packs)} packs train on the CPU, where one core is estimated to be "
            "faster than a GPU; pack.device=cuda trains all on GPUs"
        )
    if device == "cuda" and on_cpu == len(packs):
        workers, device = capacity.cpu_workers or workers, "cpu"
    return LaunchPlanned(
        folder=folder,
        planned=state.planned,
        ended=state.ended,
        packs=packs,
        workers=workers,
        device=device,
        notes=(*state.notes, *notes),
    )


def beside(study: Study) -> Path:
    """Return the folder of the study's file."""
    return Path(study.source).absolute().parent


def merge_files(folder: StudyFolder) -> None:
    """Merge the files of a study of many packs."""
    # The rows are all there: where this fails, `symstudy compact` says why.
    with contextlib.suppress(StoreError):
        if len(folder.list_files("runs", ".parquet")) > MANY_FILES:
            compact(folder)


def new_launch_id() -> str:
    """Return a new identifier of a launch; they sort by time."""
    stamp = datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%S")
    return f"{stamp}-{uuid.uuid4().hex[:6]}"
