"""One step of training as a CUDA graph: recorded once, started again for every further step.

A step of a pack is some dozens of short kernels, and the host takes longer to start them one by one
than a GPU to run them. A graph starts them all. It reads and writes the addresses that it was
recorded with, and numbers that the host passed are part of it; so a step that is recorded reads its
own number from the device (`symstudy.training.engines.stepper.Position`).
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, final

import torch
from torch import Tensor

__all__ = ["AbstractGraph", "StepGraph", "record"]

TRIALS = 3
"""Steps before one is recorded, in which libraries set up what they may not in a recording."""

Step = Callable[[], None]


class AbstractGraph(ABC):
    """A recorded step."""

    @abstractmethod
    def replay(self) -> None:
        """Take the step once more."""


@final
class StepGraph(AbstractGraph):
    """A step recorded by CUDA."""

    def __init__(self, step: Step) -> None:
        """Record `step`, which is not run.

        Raises:
            RuntimeError: If it does what cannot be recorded, such as waiting for the device.
        """
        self.graph: Any = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph):
            step()

    def replay(self) -> None:
        """Take the step once more."""
        self.graph.replay()


def record(step: Step, state: Sequence[Tensor], device: torch.device) -> AbstractGraph | None:
    """Return `step` recorded; None where it cannot be, and has to be called each time.

    It is run some times before, and `state` is then put back.

    Args:
        step: Reads and writes tensors on `device` alone, at the same addresses each time.
        state: All that it changes.
        device: The GPU.

    Raises:
        torch.OutOfMemoryError: If there is no memory for it.
        RuntimeError: If the device is at fault.
    """
    before = [tensor.clone() for tensor in state]
    try:
        try_out(step, device)
        try:
            return make_graph(step)
        except torch.OutOfMemoryError:
            raise
        except RuntimeError:
            # Code of the user's own may do what no recording can hold; a fault of the device, which
            # lasts, is no reason to go on.
            torch.zeros(1, device=device).cpu()
            return None
    finally:
        for tensor, old in zip(state, before, strict=True):
            tensor.copy_(old)


def try_out(step: Step, device: torch.device) -> None:
    """Run `step` beside the stream that will record it, as CUDA asks."""
    if device.type != "cuda":
        step()
        return
    cuda: Any = torch.cuda
    beside = cuda.Stream(device)
    beside.wait_stream(torch.cuda.current_stream(device))
    with torch.cuda.stream(beside):
        for _ in range(TRIALS):
            step()
    torch.cuda.current_stream(device).wait_stream(beside)


def make_graph(step: Step) -> AbstractGraph:
    """Return `step` recorded on the GPU; a pretend one has recordings of its own."""
    return StepGraph(step)
