"""Checkpoints of packs in training, and the worker's check for requests to stop."""

import contextlib
import time
from collections.abc import Callable, Sequence

from symstudy.errors import StoreError
from symstudy.launch.lease import TAKEN_OVER
from symstudy.launch.messages import LaunchConfig
from symstudy.launch.stop_poll import StopPoll
from symstudy.store.files.checkpoints import delete_checkpoint, read_checkpoint, write_checkpoint
from symstudy.store.files.folder import StudyFolder
from symstudy.study.cell import Run
from symstudy.training.checkpoints import NextAction, State

__all__ = ["CheckpointWriter", "StopCheck"]

COST_SHARE = 50.0
"""Least time between two checkpoints, as a multiple of what one takes: at most 2 % of the time."""


class CheckpointWriter:
    """Writes a pack's checkpoints at intervals, and stops its training on request.

    A `symstudy.training.checkpoints.Checkpointer` on the study's folder. Training stops when
    `StopPoll` says so.
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
        self.stop = StopPoll(config, folder, is_preempted)
        self.saved = time.monotonic()
        self.cost = 0.0

    def load(self) -> State | None:
        """Return the checkpoint of an earlier attempt at this pack, if there is one."""
        return read_checkpoint(self.folder, self.pack_id)

    def next_action(self) -> NextAction:
        """Return whether to train on, to save, or to save and stop."""
        if self.stop():
            return NextAction.STOP
        wait = max(self.config.pack.checkpoint, self.cost * COST_SHARE)
        return NextAction.SAVE if time.monotonic() - self.saved >= wait else NextAction.GO_ON

    @property
    def reason(self) -> str:
        """Why the training is to stop; empty while it is not."""
        return self.stop.reason

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
