"""What keeps the state of a pack while it trains, and tells it when to stop."""

import contextlib
import time
from collections.abc import Callable, Sequence

from symstudy.errors import StoreError
from symstudy.launch.control import stop_reason
from symstudy.launch.job import Job
from symstudy.launch.lease import TAKEN_OVER, read_lease
from symstudy.store.files.checkpoints import delete_checkpoint, read_checkpoint, write_checkpoint
from symstudy.store.files.folder import StudyFolder
from symstudy.study.cells import Run
from symstudy.training.checkpoints import NextAction, State

__all__ = ["PREEMPTED", "PackKeeper", "Unkept", "is_ours"]

LOOK_S = 2.0
"""A worker looks so often whether its launch is to stop."""
COST_SHARE = 50.0
"""A checkpoint that takes long is written so much more seldom: at most 2 % of the time."""
PREEMPTED = "the worker was told to end"


class PackKeeper:
    """Keeps a pack's state in the results: now and then, and at once when it is to stop.

    Attributes:
        reason: Why the training is to stop; empty as long as it is not.
    """

    def __init__(
        self,
        job: Job,
        folder: StudyFolder,
        pack_id: str,
        runs: Sequence[Run],
        is_preempted: Callable[[], bool],
    ) -> None:
        """Keep the state of `runs`.

        Args:
            job: Of the launch.
            folder: Of the study.
            pack_id: Names the file.
            runs: In the order of the pack.
            is_preempted: Whether this worker is about to be taken away.
        """
        self.job = job
        self.folder = folder
        self.pack_id = pack_id
        self.run_ids = [run.run_id for run in runs]
        self.is_preempted = is_preempted
        self.reason = ""
        self.saved = self.looked = time.monotonic()
        self.cost = 0.0

    def load(self) -> State | None:
        """Return the state of an earlier attempt at these runs, if there is one."""
        return read_checkpoint(self.folder, self.pack_id)

    def next_action(self) -> NextAction:
        """Return whether to go on, to save, or to save and stop."""
        now = time.monotonic()
        if self.is_preempted():
            self.reason = PREEMPTED
        elif now - self.looked >= LOOK_S:
            self.looked = now
            self.reason = self.look()
        if self.reason:
            return NextAction.STOP
        wait = max(self.job.config.checkpoint, self.cost * COST_SHARE)
        return NextAction.SAVE if now - self.saved >= wait else NextAction.GO_ON

    def look(self) -> str:
        """Return why the launch is to stop; empty if it is not."""
        return stop_reason(self.folder, self.job.launch) or (
            "" if is_ours(self.job, self.folder) else TAKEN_OVER
        )

    def save(self, state: State) -> None:
        """Keep `state`; a disk that is full costs the checkpoint, not the training."""
        start = time.monotonic()
        if self.reason != TAKEN_OVER:
            with contextlib.suppress(StoreError):
                write_checkpoint(self.folder, self.pack_id, self.run_ids, state)
        self.saved = time.monotonic()
        self.cost = self.saved - start

    def unkept(self) -> "Unkept":
        """Return a keeper that stops when this one would, and keeps nothing."""
        return Unkept(self)

    def forget(self) -> None:
        """Delete what was kept: the pack has ended."""
        delete_checkpoint(self.folder, self.pack_id)


class Unkept:
    """Tells a training when to stop, and keeps nothing of it."""

    def __init__(self, keeper: PackKeeper) -> None:
        """Stop when `keeper` would."""
        self.keeper = keeper

    def load(self) -> State | None:
        """Return nothing."""
        return None

    def next_action(self) -> NextAction:
        """Return whether to stop."""
        return NextAction.STOP if self.keeper.next_action() is NextAction.STOP else NextAction.GO_ON

    def save(self, state: State) -> None:
        """Keep nothing."""


def is_ours(job: Job, folder: StudyFolder) -> bool:
    """Return whether no other launch has taken the study over."""
    lease = read_lease(folder)
    return lease is None or lease.launch == job.launch
