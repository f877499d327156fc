"""The packs of a search, planned in batches from the results so far.

Reading results and asking a sampler would hold up the launcher, so a thread does both, ahead of
time: with several workers, as soon as fewer packs wait than there are workers. With one worker the
next batch is planned when the last one has ended, so that the search can be repeated.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from symstudy.launch.messages import PackReport
from symstudy.launch.search.rungs import write_rungs
from symstudy.launch.search.state import SearchState
from symstudy.launch.source import AbstractPackSource, PackAssignment
from symstudy.store.tables.writer import write_packs, write_plan
from symstudy.study.devices import Device
from symstudy.study.packs import Pack, plan_packs
from symstudy.study.search_keys import MODELS
from symstudy.study.sections import PackConfig

if TYPE_CHECKING:
    from symstudy.launch.search.journal import Journal

__all__ = ["BatchSettings", "SearchSource"]


class BatchSettings(NamedTuple):
    """Settings for planning the batches of a search.

    Attributes:
        study: Name of the study.
        launch: Identifier of the launch, with which the names of its files begin.
        config: The study's [pack] table: how runs are packed.
        workers: Number of packs that train at the same time.
        device: The device that they train on, or its name.
        cpu_workers: Number of packs that train on the CPU beside a GPU; 0 for none.
    """

    study: str
    launch: str
    config: PackConfig
    workers: int
    device: str | Device
    cpu_workers: int = 0


class SearchSource(AbstractPackSource):
    """Yields the packs of trials asked for before, then plans more batches as results come in.

    Every batch is written to the ledger before any of its packs is yielded. A pack that was paused
    or lost is not yielded again, and what depends on it waits for the next launch.
    """

    def __init__(
        self,
        state: SearchState,
        settings: BatchSettings,
        first: Iterable[PackAssignment] = (),
        planned: Callable[[Sequence[Pack]], None] | None = None,
    ) -> None:
        """Yield `first`, then what the search asks for.

        Args:
            state: State of the search.
            settings: Settings for planning its batches.
            first: Packs of runs that were asked for before and have not ended.
            planned: Called with the packs of each batch, in the planning thread.
        """
        self.state = state
        self.settings = settings
        self.planned = planned
        self.journal: Journal | None = None
        self.ready: deque[PackAssignment] = deque(first)
        self.training: set[str] = set()
        self.files = 0
        # A run that is stopped early and the same run alone, which is not, cannot be compared.
        self.certify = 0 if state.search.halt else settings.config.certify
        self.write_pack_rungs([assignment.pack for assignment in self.ready])
        self.changed = threading.Condition()
        self.is_planning = False
        self.has_news = False
        self.is_done = False
        self.error: BaseException | None = None

    def next_assignment(self) -> PackAssignment | None:
        """Return the next pack; waits for one if nothing is in training.

        Raises:
            UserError: Whatever was raised while the next batch was planned.
        """
        with self.changed:
            self.plan_if_needed()
            while not self.ready and not self.training and not self.is_done:
                self.changed.wait()
                self.plan_if_needed()
            if self.error is not None:
                raise self.error
            if not self.ready:
                return None
            assignment = self.ready.popleft()
            self.training.add(assignment.pack.pack_id)
            self.plan_if_needed()
            return assignment

    @property
    def is_over(self) -> bool:
        """Whether no pack is left or in training, and the search will ask for none."""
        with self.changed:
            has_more = bool(self.ready or self.training) or self.error is not None
            return self.is_done and not has_more

    def ended(self, report: PackReport) -> None:
        """Record that a pack has ended or was paused."""
        self.remove(report.pack_id)

    def lost(self, pack_id: str) -> None:
        """Record that a pack was given up: its trials stay open in this launch."""
        self.remove(pack_id)

    def remove(self, pack_id: str) -> None:
        """Remove a pack from those in training, and plan anew if needed."""
        with self.changed:
            self.training.discard(pack_id)
            # The results have changed, and a planning thread at work may not have read them.
            self.has_news = True
            self.is_done = False
            self.plan_if_needed()

    def plan_if_needed(self) -> None:
        """Start to plan the next batch if packs are about to run out; the lock must be held."""
        alone = self.settings.workers == 1
        is_short = len(self.ready) < self.settings.workers and not (alone and self.training)
        if is_short and not self.is_planning and not self.is_done and self.error is None:
            self.is_planning = True
            self.has_news = False
            threading.Thread(target=self.plan_next, name="symstudy-search", daemon=True).start()

    def plan_next(self) -> None:
        """Read new results and plan the next batch: the body of the planning thread."""
        assignments: list[PackAssignment] = []
        error: BaseException | None = None
        try:
            self.state.refresh()
            assignments = self.plan_batch()
            self.write_journal()
        except BaseException as raised:  # noqa: BLE001  # raised again by next_assignment
            error = raised
        with self.changed:
            self.is_planning = False
            self.error = error
            self.ready.extend(assignments)
            # Nothing to ask for now: not before another pack has ended.
            self.is_done = error is not None or not (assignments or self.has_news)
            self.changed.notify_all()

    def plan_batch(self) -> list[PackAssignment]:
        """Plan the next batch, write it to the ledger, and return its assignments.

        Raises:
            StoreError: If the results cannot be read or written.
        """
        while trials := self.state.ask():
            name = f"{self.settings.launch}-{self.files:05d}"
            self.files += 1
            pairs = [(run, trial.to_json()) for trial in trials for run in trial.runs]
            folder = self.state.folder
            runs = [run for run, _ in pairs]
            write_plan(folder, self.settings.study, name, runs, [text for _, text in pairs])
            # A run that an earlier study of this folder has trained is not trained again.
            self.state.refresh()
            left = {run.run_id: run for run in runs if run.run_id not in self.state.results}
            if not left:
                continue
            packs = plan_packs(
                list(left.values()),
                self.settings.config,
                workers=self.settings.workers,
                device=self.settings.device,
                cpu_workers=self.settings.cpu_workers or None,
            )
            write_packs(folder, name, packs)
            self.write_pack_rungs(packs)
            if self.planned is not None:
                self.planned(packs)
            return [self.assign(pack, name) for pack in packs]
        return []

    def write_pack_rungs(self, packs: Sequence[Pack]) -> None:
        """Write the rungs of packs for their workers, if the search stops runs early.

        Raises:
            StoreError: If the results cannot be read or written.
        """
        if self.state.search.halt:
            trials = [trial for branch in self.state.trials for trial in branch]
            write_rungs(self.state.folder, self.state.search, packs, trials)

    def write_journal(self) -> None:
        """Write the copy of the search for optuna-dashboard, if it is an Optuna method.

        Raises:
            StoreError: If it cannot be written.
        """
        if self.state.search.config.method in MODELS:
            from symstudy.launch.search.journal import Journal

            self.journal = self.journal or Journal(self.settings.study, self.state)
            self.journal.write(self.state.folder)

    def assign(self, pack: Pack, file: str) -> PackAssignment:
        """Return the assignment of a pack; some of the first are certified."""
        certified = self.certify > 0 and len(pack.runs) > 1
        self.certify -= certified
        return PackAssignment(pack, file, certified)

    def __getstate__(self) -> dict[str, Any]:
        """Return nothing: a source lives in one process, and its state is in the store."""
        return {}
