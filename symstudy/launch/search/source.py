"""The packs of a search: planned a batch at a time, from what has ended.

Reading results and asking a sampler take time that a launcher does not have, so they are done by a
thread, and begin while packs still wait: with several workers, as soon as fewer packs wait than
there are workers. With one worker the next batch is asked for when the last one has ended, so that
the search can be repeated.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from symstudy.launch.job import PackReport
from symstudy.launch.search.rungs import write_rungs
from symstudy.launch.search.state import SearchState
from symstudy.launch.source import AbstractPackSource, Order
from symstudy.store.tables.writer import write_packs, write_plan
from symstudy.study.packs import Pack, plan_packs
from symstudy.study.search import MODELS
from symstudy.study.sections import PackConfig

if TYPE_CHECKING:
    from symstudy.launch.search.journal import Journal

__all__ = ["SearchSource", "Site"]


class Site(NamedTuple):
    """What packs are planned for.

    Attributes:
        study: Name of the study.
        launch: Name of the launch; the files that it writes begin with it.
        config: How runs are packed.
        workers: Packs that train at the same time.
        device: `cpu` or `cuda`.
    """

    study: str
    launch: str
    config: PackConfig
    workers: int
    device: str


class SearchSource(AbstractPackSource):
    """Hands out what is left of the trials asked for before, then asks for more.

    Every batch is written to the ledger before any of its packs is handed out. A pack that was
    paused or lost is not handed out again, and what depends on it waits for the next launch.
    """

    def __init__(
        self,
        state: SearchState,
        site: Site,
        first: Iterable[Order] = (),
        planned: Callable[[Sequence[Pack]], None] | None = None,
    ) -> None:
        """Begin.

        Args:
            state: Of the search.
            site: What packs are planned for.
            first: Packs of runs that were asked for before and have not ended.
            planned: Called with the packs of each batch, in a thread of the search.
        """
        self.state = state
        self.site = site
        self.planned = planned
        self.journal: Journal | None = None
        self.ready: deque[Order] = deque(first)
        self.training: set[str] = set()
        self.files = 0
        # A run that is stopped early and the same run alone, which is not, cannot be compared.
        self.certify = 0 if state.search.halt else site.config.certify
        self.tell_rungs([order.pack for order in self.ready])
        self.changed = threading.Condition()
        self.is_thinking = False
        self.has_news = False
        self.is_done = False
        self.error: BaseException | None = None

    def next_order(self) -> Order | None:
        """Return the next pack; wait for one where nothing is in training.

        Raises:
            UserError: What went wrong while the next batch was planned.
        """
        with self.changed:
            self.think_if_needed()
            while not self.ready and not self.training and not self.is_done:
                self.changed.wait()
                self.think_if_needed()
            if self.error is not None:
                raise self.error
            if not self.ready:
                return None
            order = self.ready.popleft()
            self.training.add(order.pack.pack_id)
            self.think_if_needed()
            return order

    @property
    def is_over(self) -> bool:
        """Whether nothing is left to hand out, and nothing will be asked for."""
        with self.changed:
            has_more = bool(self.ready or self.training) or self.error is not None
            return self.is_done and not has_more

    def ended(self, report: PackReport) -> None:
        """Take note of a pack that is accounted for, or was paused."""
        self.left(report.pack_id)

    def lost(self, pack_id: str) -> None:
        """Take note of a pack that is given up: its trials stay open in this launch."""
        self.left(pack_id)

    def left(self, pack_id: str) -> None:
        """Take note that a pack is in training no more."""
        with self.changed:
            self.training.discard(pack_id)
            # What there was to decide has changed, and whoever thinks now may not have seen it.
            self.has_news = True
            self.is_done = False
            self.think_if_needed()

    def think_if_needed(self) -> None:
        """Begin to plan the next batch if packs are about to run out. Needs the lock."""
        alone = self.site.workers == 1
        is_short = len(self.ready) < self.site.workers and not (alone and self.training)
        if is_short and not self.is_thinking and not self.is_done and self.error is None:
            self.is_thinking = True
            self.has_news = False
            threading.Thread(target=self.think, name="symstudy-search", daemon=True).start()

    def think(self) -> None:
        """Read what has ended and plan the next batch: the body of the thread."""
        orders: list[Order] = []
        error: BaseException | None = None
        try:
            self.state.refresh()
            orders = self.plan_batch()
            self.write_journal()
        except BaseException as raised:  # noqa: BLE001  # raised again by next_order
            error = raised
        with self.changed:
            self.is_thinking = False
            self.error = error
            self.ready.extend(orders)
            # Nothing to ask for now: not before another pack has ended.
            self.is_done = error is not None or not (orders or self.has_news)
            self.changed.notify_all()

    def plan_batch(self) -> list[Order]:
        """Write the next batch to ledger and packs, and return its orders.

        Raises:
            StoreError: If the results cannot be read or written.
        """
        while trials := self.state.ask():
            name = f"{self.site.launch}-{self.files:05d}"
            self.files += 1
            pairs = [(run, trial.to_json()) for trial in trials for run in trial.runs]
            folder = self.state.folder
            runs = [run for run, _ in pairs]
            write_plan(folder, self.site.study, name, runs, [text for _, text in pairs])
            # A run that an earlier study of this folder has trained is not trained again.
            self.state.refresh()
            left = {run.run_id: run for run in runs if run.run_id not in self.state.results}
            if not left:
                continue
            packs = plan_packs(
                list(left.values()),
                self.site.config,
                workers=self.site.workers,
                device=self.site.device,
            )
            write_packs(folder, name, packs)
            self.tell_rungs(packs)
            if self.planned is not None:
                self.planned(packs)
            return [self.order(pack, name) for pack in packs]
        return []

    def tell_rungs(self, packs: Sequence[Pack]) -> None:
        """Write what the packs are to stop their runs by, if the search stops any.

        Raises:
            StoreError: If the results cannot be read or written.
        """
        if self.state.search.halt:
            trials = [trial for branch in self.state.trials for trial in branch]
            write_rungs(self.state.folder, self.state.search, packs, trials)

    def write_journal(self) -> None:
        """Write the copy for optuna-dashboard, if Optuna knows such searches.

        Raises:
            StoreError: If it cannot be written.
        """
        if self.state.search.config.method in MODELS:
            from symstudy.launch.search.journal import Journal

            self.journal = self.journal or Journal(self.site.study, self.state)
            self.journal.write(self.state.folder)

    def order(self, pack: Pack, file: str) -> Order:
        """Return the order of a pack; some of the first are certified."""
        certified = self.certify > 0 and len(pack.runs) > 1
        self.certify -= certified
        return Order(pack, file, certified)

    def __getstate__(self) -> dict[str, Any]:
        """Return nothing: a source lives in one process, and its state is in the store."""
        return {}
