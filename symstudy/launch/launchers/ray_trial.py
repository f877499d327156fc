"""A trial of Ray Tune: one pack in one worker process, which is used again for the next.

The pack trains in a thread of its own. The process's main thread passes progress on to Tune and
hears signals: at SIGTERM, which is what a node that is about to be taken away sends, the state of
the pack is saved before the process ends.
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

from symstudy.launch.job import Job, PackReport
from symstudy.launch.worker import work_on

__all__ = ["PackTrial"]

SAVE_S = 20.0
"""A worker that is told to end takes so long at most to save its pack."""

Message = int | PackReport | BaseException


class PackTrial(tune.Trainable):
    """Trains the pack that its configuration names."""

    @classmethod
    def default_resource_request(cls, config: dict[str, Any]) -> tune.PlacementGroupFactory:
        """Return what a worker reserves; the processes then bear this class's name."""
        return tune.PlacementGroupFactory([config["resources"]])

    def setup(self, config: dict[str, Any], job: Job | None = None, report_s: float = 1.0) -> None:
        """Begin with the first pack of this worker.

        Args:
            config: `pack`, `file` and `certified` of an order, and `resources` of the worker.
            job: Of the launch.
            report_s: Progress is told at most so often: the driver answers each time.
        """
        assert job is not None, "given by with_parameters"
        self.job = job
        self.report_s = report_s
        self.preempted = threading.Event()
        if job.config.device != "cuda" and not has_gpu():
            # A task without a GPU still sees those of its node.
            os.environ["CUDA_VISIBLE_DEVICES"] = ""
        self.before = signal.getsignal(signal.SIGTERM)
        signal.signal(signal.SIGTERM, self.on_signal)
        self.begin(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Begin with the next pack."""
        self.begin(new_config)
        return True

    def begin(self, config: dict[str, Any]) -> None:
        """Start the thread that trains."""
        self.messages: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self.thread = threading.Thread(target=self.train_pack, args=(config,), daemon=True)
        self.thread.start()

    def train_pack(self, config: dict[str, Any]) -> None:
        """Train a pack: the body of the thread."""
        messages = self.messages
        try:
            report = work_on(
                self.job,
                config["pack"],
                config["file"],
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
        """Save the pack, then end as the process would have."""
        self.preempted.set()
        self.thread.join(SAVE_S)
        if callable(self.before):
            self.before(number, frame)
        else:
            os._exit(1)


def has_gpu() -> bool:
    """Return whether Ray has given this worker a GPU."""
    import ray

    return bool(ray.get_gpu_ids())
