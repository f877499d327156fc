"""The inline launcher: packs train one after another in the calling process."""

import platform
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from symstudy.errors import LaunchError
from symstudy.launch.cluster.gpus import choose_gpu
from symstudy.launch.events import Listener, PackEnded, PackProgressed, PackStarted
from symstudy.launch.launchers.base import AbstractLauncher, Capacity
from symstudy.launch.messages import LaunchConfig
from symstudy.launch.source import AbstractPackSource
from symstudy.launch.worker import train_assigned_pack
from symstudy.study.sections import PackConfig

__all__ = ["InlineLauncher"]


class InlineLauncher(AbstractLauncher):
    """Trains packs one after another in this process: for tests, debuggers and small studies.

    Examples:
        >>> from symstudy.launch import InlineLauncher
        >>> InlineLauncher(device="cpu").capacity.workers
        1
    """

    def __init__(self, *, device: str = "auto") -> None:
        """Train on `device`: `auto`, `cpu` or `cuda`."""
        self.device = device

    @classmethod
    def from_options(
        cls, config: PackConfig, *, address: str | None = None, workers: int | None = None
    ) -> Self:
        """Make a launcher for the study's device; an address of a cluster is not used.

        Raises:
            LaunchError: If more than one worker is asked for.
        """
        del address
        if workers is not None and workers > 1:
            raise LaunchError(
                f"the inline launcher must have one worker, but got --workers {workers}. Leave "
                "--workers out, or type --launcher ray"
            )
        return cls(device=config.device)

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
        """One worker: this process.

        Raises:
            LaunchError: If a GPU is asked for that torch cannot use.
        """
        if self.device == "cpu":
            return Capacity(1, "cpu")
        from symstudy.training.gpu_report import read_report

        report = read_report()
        may_use_cpu = self.device == "auto"
        if may_use_cpu and not report["gpus"]:
            return Capacity(1, "cpu")
        found = choose_gpu({platform.node(): report}, may_use_cpu=may_use_cpu)
        if found.device is None:
            return Capacity(1, "cpu", note=found.note)
        return Capacity(1, "cuda", found.device, 1, found.note)

    def launch(self, config: LaunchConfig, source: AbstractPackSource, tell: Listener) -> None:
        """Train the packs, one after another; torch has as many threads afterwards as before."""
        with kept_torch_threads():
            while not source.is_over:
                assignment = source.next_assignment()
                if assignment is None:
                    break
                name = assignment.pack.pack_id
                tell(PackStarted(assignment=assignment))

                def progress(run_steps: int, name: str = name) -> None:
                    tell(PackProgressed(pack_id=name, run_steps=run_steps))

                report = train_assigned_pack(
                    config,
                    name,
                    assignment.file,
                    device=assignment.pack.device,
                    certified=assignment.certified,
                    progress=progress,
                )
                tell(PackEnded(report=report))
                source.ended(report)


@contextmanager
def kept_torch_threads() -> Iterator[None]:
    """Give torch its number of threads back at the end: engines set it for the whole process."""
    import torch

    before = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(before)
