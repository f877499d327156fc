"""The Ray Tune trainable: one pack per trial, in a worker process that is reused for the next.

The pack trains in a thread of its own. The process's main thread passes progress on to Tune and
handles signals: at SIGTERM, which a node sends that is about to be taken away, the state of the
pack is saved before the process ends.
"""

import json
import os
import queue
import signal
import threading
import time
from types import FrameType
from typing import Any

from ray import tune

from symstudy.launch.messages import LaunchConfig, PackReport
from symstudy.launch.worker import train_assigned_pack

__all__ = ["PackTrial"]

SAVE_S = 20.0
"""Longest time that a worker takes to save its pack when it is told to end, in seconds."""

Message = int | PackReport | BaseException


class PackTrial(tune.Trainable):
    """A Tune trainable that trains the pack named in its configuration."""

    @classmethod
    def default_resource_request(cls, config: dict[str, Any]) -> tune.PlacementGroupFactory:
        """Return the resources of a worker; Ray then titles the process with this class's name."""
        return tune.PlacementGroupFactory([config["resources"]])

    def setup(
        self, config: dict[str, Any], launch: LaunchConfig | None = None, report_s: float = 1.0
    ) -> None:
        """Start the first pack of this worker.

        Args:
            config: `pack`, `file` and `certified` of an assignment, the pack's `device`, and
                `resources` of the worker.
            launch: Settings of the launch.
            report_s: Least seconds between two progress reports: the driver answers each.
        """
        assert launch is not None, "given by with_parameters"
        self.launch = launch
        self.report_s = report_s
        self.preempted = threading.Event()
        if config["device"] == "cpu":
            # A task without a GPU still sees those of its node.
            os.environ["CUDA_VISIBLE_DEVICES"] = ""
        self.previous_handler = signal.getsignal(signal.SIGTERM)
        signal.signal(signal.SIGTERM, self.on_signal)
        self.start_pack(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Start the next pack in the same worker."""
        self.start_pack(new_config)
        return True

    def start_pack(self, config: dict[str, Any]) -> None:
        """Start the thread that trains."""
        self.messages: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self.thread = threading.Thread(target=self.train_pack, args=(config,), daemon=True)
        self.thread.start()

    def train_pack(self, config: dict[str, Any]) -> None:
        """Train a pack and queue its progress and report: the body of the thread."""
        messages = self.messages
        try:
            report = train_assigned_pack(
                self.launch,
                config["pack"],
                config["file"],
                device=config["device"],
                certified=config["certified"],
                progress=messages.put,
                is_preempted=self.preempted.is_set,
            )
        except BaseException as error:  # noqa: BLE001  # raised again in the main thread
            messages.put(error)
        else:
            messages.put(report)

    def step(self) -> dict[str, Any]:
        """Return the pack's progress after a while, or its report when it has ended."""
        deadline = time.monotonic() + self.report_s
        run_steps = 0
        while (left := deadline - time.monotonic()) > 0:
            try:
                message = self.messages.get(timeout=left)
            except queue.Empty:
                break
            if isinstance(message, BaseException):
                raise message
            if isinstance(message, PackReport):
                # As text: Tune keeps statistics of every number that it is told.
                return {"report": json.dumps(vars(message)), "done": True}
            run_steps = message
        return {"run_steps": run_steps}

    def on_signal(self, number: int, frame: FrameType | None) -> None:
        """Save the pack at SIGTERM, then end the process as Ray would have."""
        self.preempted.set()
        self.thread.join(SAVE_S)
        if callable(self.previous_handler):
            self.previous_handler(number, frame)
        else:
            os._exit(1)
