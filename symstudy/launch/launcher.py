"""The contract of a launcher, and the one that needs no cluster."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import partial
from types import TracebackType
from typing import NamedTuple, Protocol, Self

from symstudy.launch.job import Job, PackReport
from symstudy.launch.worker import work_on
from symstudy.study.packs import Pack

__all__ = ["AbstractLauncher", "Capacity", "InlineLauncher", "Observer"]


class Capacity(NamedTuple):
    """What a launcher can train on.

    Attributes:
        workers: Packs that train at the same time.
        device: `cpu` or `cuda`.
    """

    workers: int
    device: str


class Observer(Protocol):
    """Someone who is told how the packs fare."""

    def progressed(self, pack_id: str, run_steps: int) -> None:
        """A pack has taken so many optimiser steps so far, summed over its runs."""

    def ended(self, report: PackReport) -> None:
        """A pack is accounted for."""

    def retried(self, pack_id: str) -> None:
        """A worker died; its pack is trained again."""


class AbstractLauncher(ABC):
    """Has packs trained, somewhere, and returns when all are accounted for.

    Contract: every pack is handed to `symstudy.launch.worker.work_on` until it has been accounted
        for,
    so that a dead worker costs time and never a run; nothing is read back but reports, since
    workers write the store. `KeyboardInterrupt` ends the launch within seconds and leaves no worker
    behind; packs that were not finished stay missing. A launcher is used in a `with` block, by one
    thread.
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

    @abstractmethod
    def launch(self, job: Job, packs: Sequence[Pack], observer: Observer) -> None:
        """Have all `packs` trained, in their order.

        Raises:
            LaunchError: If packs could not be accounted for.
            StoreError: If the results cannot be written.
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

    def launch(self, job: Job, packs: Sequence[Pack], observer: Observer) -> None:
        """Train all `packs`, in their order."""
        for pack in packs:
            report = work_on(job, pack.pack_id, partial(observer.progressed, pack.pack_id))
            observer.ended(report)
