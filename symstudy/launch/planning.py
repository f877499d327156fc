"""Planning of a launch: which runs are left, how they are packed, and the ledger of both."""

from collections.abc import Sequence
from dataclasses import dataclass

from symstudy.launch.events import Listener, PacksPlanned
from symstudy.launch.fixed import check_kind, check_seeds
from symstudy.launch.launchers.base import AbstractLauncher, Capacity
from symstudy.launch.search import BatchSettings, SearchSource, SearchState
from symstudy.launch.source import AbstractPackSource, PackAssignment, PlannedSource
from symstudy.launch.study_record import check_same_study, earlier_form
from symstudy.store.files.checkpoints import delete_checkpoint, list_checkpoints
from symstudy.store.files.folder import StudyFolder
from symstudy.store.files.locations import check_version
from symstudy.store.files.repair import repair
from symstudy.store.tables.ledger import ended_runs, planned_runs
from symstudy.store.tables.settling import settle
from symstudy.store.tables.writer import write_packs, write_plan
from symstudy.study.cell import Run
from symstudy.study.devices import Device
from symstudy.study.packs import Pack, gpu_share, make_pack, plan_packs
from symstudy.study.sections import PackConfig
from symstudy.study.study import Study

__all__ = ["PackPlan", "StudyState", "make_source", "plan_launch", "read_state", "write_ledger"]


@dataclass(frozen=True, kw_only=True)
class StudyState:
    """What a study's folder holds before a launch, and what is left to train.

    Attributes:
        runs: Runs of the study; of a search those that it has asked for so far.
        known: Identifiers of the runs that are planned in the folder.
        left: Runs that have not ended.
        search: State of the study's search; None for a grid.
        notes: Messages for the user, such as what was repaired.
        rows: Runs in the folder that have rows, whatever they ended as.
    """

    runs: list[Run]
    known: set[str]
    left: list[Run]
    search: SearchState | None
    notes: tuple[str, ...]
    rows: int = 0

    @property
    def planned(self) -> int:
        """Number of runs of the study, or the most that its search may ask for."""
        budget = self.search.search.num_runs if self.search is not None else 0
        return max(budget, len(self.runs))

    @property
    def ended(self) -> int:
        """Number of runs that have ended."""
        return len(self.runs) - len(self.left)

    @property
    def new(self) -> list[Run]:
        """Runs that are not planned in the folder yet."""
        return [run for run in self.runs if run.run_id not in self.known]

    def is_done(self) -> bool:
        """Return whether nothing is left to train, and a search will ask for nothing more."""
        return not self.left and (self.search is None or self.search.is_done())


@dataclass(frozen=True, kw_only=True)
class PackPlan:
    """The packs of a launch and the resources that they train on.

    Attributes:
        packs: Packs to train, half-trained ones first; of a search those asked for so far.
        capacity: Workers and device.
        share: Share of a GPU that one pack reserves; 1 where it is alone on it or on the CPU.
    """

    packs: list[Pack]
    capacity: Capacity
    share: float = 1.0


def read_state(folder: StudyFolder, study: Study, *, extend: bool, retry: bool) -> StudyState:
    """Repair the study's folder and return what it holds and what is left to train.

    Args:
        folder: Folder of the study; it may not be there yet.
        study: Study to train.
        extend: Whether the folder may hold runs of other studies alone.
        retry: Whether failed runs count as not ended.

    Raises:
        StoreError: If the folder belongs to another study, or cannot be read or repaired.
        LaunchError: If the study uses seeds that were burnt, or the folder is of another kind.
        UserError: If an expression of the search is no SQL over its columns.
    """
    notes = list(study.notes)
    exists = folder.exists()
    known: set[str] = set()
    if exists:
        check_version(folder)
        notes.extend((*repair(folder), *settle(folder)))
        known = planned_runs(folder)
    search = SearchState(study.search, folder, retry=retry) if study.search is not None else None
    runs = search.runs if search is not None else study.runs()
    if exists and not extend:
        check_same_study(folder, study, runs, known)
    if exists and not extend and search is None:
        notes.extend(earlier_form(folder, {run.run_id for run in runs}))
    ended = ended_runs(folder, failed_count=not retry) if exists else set()
    rows = len(ended_runs(folder, failed_count=True)) if exists and retry else len(ended)
    check_kind(folder, study, rows)
    check_seeds(folder, study)
    return StudyState(
        runs=runs,
        known=known,
        left=[run for run in runs if run.run_id not in ended],
        search=search,
        notes=tuple(notes),
        rows=rows,
    )


def plan_launch(
    folder: StudyFolder, study: Study, left: list[Run], launcher: AbstractLauncher
) -> PackPlan:
    """Pack the runs that are left for the launcher's capacity.

    Args:
        folder: Folder of the study, whose checkpoints are gone on with.
        study: Study to train.
        left: Runs that have not ended.
        launcher: Launcher in its `with` block.

    Raises:
        StoreError: If the checkpoints cannot be listed.
        LaunchError: If a pack does not fit the launcher's resources.
    """
    capacity = launcher.capacity
    target = capacity.target
    resumed, rest = resume_packs(folder, left, study.pack, device=target)
    packs = plan_for(capacity, rest, study.pack)
    if target.kind == "cpu":
        return PackPlan(packs=resumed + packs, capacity=capacity)
    # Several packs share a GPU where they fit: more workers, and packs for them.
    share = gpu_share([*resumed, *packs], study.pack, target)
    capacity = launcher.reserve(share)
    packs = plan_for(capacity, rest, study.pack)
    return PackPlan(packs=resumed + packs, capacity=capacity, share=share)


def plan_for(capacity: Capacity, runs: Sequence[Run], config: PackConfig) -> list[Pack]:
    """Return `runs` as packs for the workers of a launcher.

    Raises:
        LaunchError: If its device is a GPU of which nothing is known.
    """
    return plan_packs(
        runs,
        config,
        workers=capacity.workers,
        device=capacity.target,
        cpu_workers=capacity.cpu_workers or None,
    )


def resume_packs(
    folder: StudyFolder, left: list[Run], config: PackConfig, *, device: Device
) -> tuple[list[Pack], list[Run]]:
    """Return the packs that an earlier launch has left half trained, and all other runs.

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


def write_ledger(
    folder: StudyFolder, study: Study, launch: str, new: list[Run], packs: list[Pack]
) -> None:
    """Write new runs to `plan/` and the launch's packs to `packs/`, before any of them is trained.

    Raises:
        StoreError: If they cannot be written.
    """
    if new:
        write_plan(folder, study.name, launch, new)
    if packs:
        write_packs(folder, launch, packs)


def make_source(
    study: Study, search: SearchState | None, launch: str, plan: PackPlan, tell: Listener
) -> AbstractPackSource:
    """Return the source of the launch's packs: a list for a grid, or a search that makes more.

    Args:
        study: Study to train.
        search: State of its search; None for a grid.
        launch: Identifier of the launch.
        plan: Packs planned so far, with the capacity.
        tell: Called with `PacksPlanned` for each further batch of a search.
    """
    if search is None:
        certified = certified_packs(plan.packs, study.pack.certify)
        return PlannedSource(plan.packs, launch, certified)
    return SearchSource(
        search,
        BatchSettings(
            study.name,
            launch,
            study.pack,
            plan.capacity.workers,
            plan.capacity.target,
            plan.capacity.cpu_workers,
        ),
        [PackAssignment(pack, launch) for pack in plan.packs],
        lambda packs: tell(PacksPlanned(packs=tuple(packs))),
    )


def certified_packs(packs: list[Pack], count: int) -> frozenset[str]:
    """Return the `count` packs of several runs whose identifiers come first: a choice by hash."""
    several = sorted(pack.pack_id for pack in packs if len(pack.runs) > 1)
    return frozenset(several[:count])
