"""The contract of a launcher, and the one that needs no cluster."""

from abc import ABC, abstractmethod
from functools import partial
from types import TracebackType
from typing import NamedTuple, Protocol, Self

from symstudy.launch.cluster.environment import make_importable
from symstudy.launch.job import Job, PackReport
from symstudy.launch.source import AbstractPackSource, Order
from symstudy.launch.worker import work_on
from symstudy.study import Study

__all__ = ["AbstractLauncher", "Capacity", "InlineLauncher", "Observer"]


class Capacity(NamedTuple):
    """What a launcher can train on.

    Attributes:
        workers: Packs that train at the same time.
        device: `cpu` or `cuda`.
        gpu: Name of the GPU, as `symstudy plan --device` knows it; `cuda` if that is unknown.
    """

    workers: int
    device: str
    gpu: str = "cuda"


class Observer(Protocol):
    """Someone who is told how the packs fare."""

    def ordered(self, order: Order) -> None:
        """A pack is handed to a worker."""

    def progressed(self, pack_id: str, run_steps: int) -> None:
        """A pack has taken so many optimiser steps so far, summed over its runs."""

    def ended(self, report: PackReport) -> None:
        """A worker is done with a pack: its rows are in the store, or it was paused."""

    def retried(self, pack_id: str) -> None:
        """A worker died; its pack is trained again."""

    def lost(self, pack_id: str) -> None:
        """A pack has cost too many workers and is given up."""


class AbstractLauncher(ABC):
    """Has packs trained, somewhere, and returns when all are accounted for.

    Contract: every pack of the source is handed to `symstudy.launch.worker.work_on` until it has
        been accounted for,
    so that a dead worker costs time and never a run; nothing is read back but reports, since
    workers write the store. `KeyboardInterrupt` ends the launch within seconds and leaves no worker
    behind; packs that were not finished stay missing. A launcher is used in a `with` block, by one
    thread.
    """

    def prepare(self, study: Study) -> None:
        """Find the modules of the study's models; called before the launcher is entered.

        Raises:
            LaunchError: If one is not found.
        """
        make_importable(study)

    def check(self, location: str) -> None:  # noqa: B027  # this process can always take part
        """Raise if packs of a study at `location` cannot be trained; called once it is entered.

        Args:
            location: Path or URI of the study's folder.

        Raises:
            LaunchError: If a worker could not take part.
            StoreError: If the results cannot be written.
        """

    @abstractmethod
    def __enter__(self) -> Self:
        """Start whatever is needed to know `capacity`.

        Raises:
            LaunchError: If it cannot be started.
        """

    @abstractmethod
    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop all workers."""

    @property
    @abstractmethod
    def capacity(self) -> Capacity:
        """What there is to train on."""

    def reserve(self, gpus: float) -> Capacity:
        """Have each pack reserve a share of a GPU; return what there is to train on then."""
        del gpus
        return self.capacity

    @abstractmethod
    def launch(self, job: Job, source: AbstractPackSource, observer: Observer) -> None:
        """Have the packs of `source` trained until it is over.

        The observer is told of every pack; so is the source of those that have ended, before it is
        asked for the next.

        Raises:
            LaunchError: If packs could not be accounted for.
            StoreError: If the results cannot be read.
        """


class InlineLauncher(AbstractLauncher):
    """Trains packs one after another in this process: for tests, debuggers and small studies."""

    def __init__(self, *, device: str = "auto") -> None:
        """Train on `device`: `auto`, `cpu` or `cuda`."""
        self.device = device

    def __enter__(self) -> Self:
        """Start nothing."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop nothing."""

    @property
    def capacity(self) -> Capacity:
        """One worker: this process."""
        import torch

        has_gpu = self.device != "cpu" and torch.cuda.is_available()
        return Capacity(1, "cuda" if has_gpu else "cpu")

    def launch(self, job: Job, source: AbstractPackSource, observer: Observer) -> None:
        """Train the packs, one after another."""
        while not source.is_over:
            order = source.next_order()
            if order is None:
                break
            observer.ordered(order)
            name = order.pack.pack_id
            report = work_on(
                job,
                name,
                order.file,
                certified=order.certified,
                progress=partial(observer.progressed, name),
            )
            observer.ended(report)
            source.ended(report)
