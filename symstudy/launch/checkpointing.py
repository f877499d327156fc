"""Checkpoints of packs in training, and the worker's check for requests to stop."""

import contextlib
import time
from collections.abc import Callable, Sequence

from symstudy.errors import StoreError
from symstudy.launch.control import stop_reason
from symstudy.launch.lease import TAKEN_OVER, read_lease
from symstudy.launch.messages import LaunchConfig
from symstudy.store.files.checkpoints import delete_checkpoint, read_checkpoint, write_checkpoint
from symstudy.store.files.folder import StudyFolder
from symstudy.study.cells import Run
from symstudy.training.checkpoints import NextAction, State

__all__ = ["PREEMPTED", "CheckpointWriter", "StopCheck", "holds_lease"]

POLL_S = 2.0
"""How often a worker reads stop request and lease, in seconds."""
COST_SHARE = 50.0
"""Least time between two checkpoints, as a multiple of what one takes: at most 2 % of the time."""
PREEMPTED = "the worker was told to end"


class CheckpointWriter:
    """Writes a pack's checkpoints at intervals, and stops its training on request.

    A `symstudy.training.checkpoints.Checkpointer` on the study's folder. Training stops at a
    request of the driver, when another driver has taken the study over, and when the worker's
    machine is about to be taken away.

    Attributes:
        reason: Why the training is to stop; empty while it is not.
    """

    def __init__(
        self,
        config: LaunchConfig,
        folder: StudyFolder,
        pack_id: str,
        runs: Sequence[Run],
        is_preempted: Callable[[], bool],
    ) -> None:
        """Prepare to write the checkpoints of one pack.

        Args:
            config: Settings of the launch.
            folder: Folder of the study.
            pack_id: Identifier of the pack, which names the file.
            runs: Runs of the pack, in their order.
            is_preempted: Returns whether this worker is about to be taken away.
        """
        self.config = config
        self.folder = folder
        self.pack_id = pack_id
        self.run_ids = [run.run_id for run in runs]
        self.is_preempted = is_preempted
        self.reason = ""
        self.saved = self.polled = time.monotonic()
        self.cost = 0.0

    def load(self) -> State | None:
        """Return the checkpoint of an earlier attempt at this pack, if there is one."""
        return read_checkpoint(self.folder, self.pack_id)

    def next_action(self) -> NextAction:
        """Return whether to train on, to save, or to save and stop."""
        now = time.monotonic()
        if self.is_preempted():
            self.reason = PREEMPTED
        elif now - self.polled >= POLL_S:
            self.polled = now
            self.reason = self.find_reason()
        if self.reason:
            return NextAction.STOP
        wait = max(self.config.pack.checkpoint, self.cost * COST_SHARE)
        return NextAction.SAVE if now - self.saved >= wait else NextAction.GO_ON

    def find_reason(self) -> str:
        """Read stop request and lease; return why the training is to stop, empty if it is not."""
        return stop_reason(self.folder, self.config.launch) or (
            "" if holds_lease(self.config, self.folder) else TAKEN_OVER
        )

    def save(self, state: State) -> None:
        """Write a checkpoint; if the disk is full, training goes on without it."""
        start = time.monotonic()
        if self.reason != TAKEN_OVER:
            with contextlib.suppress(StoreError):
                write_checkpoint(self.folder, self.pack_id, self.run_ids, state)
        self.saved = time.monotonic()
        self.cost = self.saved - start

    def stop_check(self) -> "StopCheck":
        """Return a checkpointer that stops when this one would, and saves nothing."""
        return StopCheck(self)

    def delete(self) -> None:
        """Delete the checkpoint of a pack that has ended."""
        delete_checkpoint(self.folder, self.pack_id)


class StopCheck:
    """Stops a training when another checkpointer would, and saves nothing of it."""

    def __init__(self, writer: CheckpointWriter) -> None:
        """Stop when `writer` would."""
        self.writer = writer

    def load(self) -> State | None:
        """Return None: nothing is ever saved."""
        return None

    def next_action(self) -> NextAction:
        """Return whether to train on or to stop."""
        is_stop = self.writer.next_action() is NextAction.STOP
        return NextAction.STOP if is_stop else NextAction.GO_ON

    def save(self, state: State) -> None:
        """Save nothing."""


def holds_lease(config: LaunchConfig, folder: StudyFolder) -> bool:
    """Return whether no other launch has taken the study over."""
    lease = read_lease(folder)
    return lease is None or lease.launch == config.launch
