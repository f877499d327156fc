"""The contract of a launcher: what trains the packs of a launch, wherever that is."""

from abc import ABC, abstractmethod
from types import TracebackType
from typing import NamedTuple, Self

from symstudy.errors import LaunchError
from symstudy.launch.cluster.environment import make_importable
from symstudy.launch.events import Listener
from symstudy.launch.messages import LaunchConfig
from symstudy.launch.source import AbstractPackSource
from symstudy.study import Study
from symstudy.study.devices import CPU, Device
from symstudy.study.sections import PackConfig

__all__ = ["AbstractLauncher", "Capacity"]


class Capacity(NamedTuple):
    """Resources that a launcher can train on.

    Attributes:
        workers: Number of packs that train at the same time; on GPUs where `device` is `cuda`.
        device: `cpu` or `cuda`.
        gpu: The GPU that packs are planned for, the smallest of all; None on the CPU.
        cpu_workers: Number of packs that train on the CPU beside those on GPUs.
        note: What to tell the user of the device; empty if nothing.
    """

    workers: int
    device: str
    gpu: Device | None = None
    cpu_workers: int = 0
    note: str = ""

    @property
    def target(self) -> Device:
        """The device that packs are planned for.

        Raises:
            LaunchError: If it is a GPU of which nothing is known.
        """
        if self.device == "cpu":
            return CPU
        if self.gpu is None:
            raise LaunchError(
                "a launcher that trains on GPUs must say on which, but its capacity has none. "
                "Return Capacity(workers, 'cuda', gpu=find_device('h200')) with "
                "symstudy.study.devices.find_device, or describe_gpu for one that is asked."
            )
        return self.gpu


class AbstractLauncher(ABC):
    """Trains the packs of a launch, and returns when all are accounted for.

    Contract: every assignment of the source is given to `symstudy.launch.worker`'s
    `train_assigned_pack`, with the `device` of its pack, until it has been accounted for, so that a
    dead worker costs time and never a run. Nothing is read back but reports, since workers write
    the store. A `KeyboardInterrupt` ends the launch within seconds and leaves no worker behind;
    packs that were not finished stay missing. A launcher is used in a `with` block, by one thread.

    `symstudy.testing.launchers.LauncherConformance` tests all of this.
    """

    @classmethod
    @abstractmethod
    def from_options(
        cls, config: PackConfig, *, address: str | None = None, workers: int | None = None
    ) -> Self:
        """Make a launcher from the options of `symstudy run`.

        Args:
            config: The study's [pack] table: cores, device and share of a GPU of a pack.
            address: Address of a running cluster; None for this machine.
            workers: Number of packs that train at the same time; None for as many as fit.

        Raises:
            LaunchError: If the launcher cannot do what an option asks.
        """

    def prepare(self, study: Study) -> None:
        """Find the user's own modules that the study needs; called before the `with` block.

        Raises:
            LaunchError: If one is not found.
        """
        make_importable(study)

    def check(self, location: str) -> None:  # noqa: B027  # this process can always take part
        """Check that all workers can train packs of a study; called once in the `with` block.

        Args:
            location: Path or URI of the study's folder.

        Raises:
            LaunchError: If a worker could not take part.
            StoreError: If the results cannot be written.
        """

    @abstractmethod
    def __enter__(self) -> Self:
        """Start or connect whatever is needed to know `capacity`.

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
        """Workers and device to train on."""

    def reserve(self, gpus: float) -> Capacity:
        """Reserve a share of a GPU for each pack; return the capacity that this leaves."""
        del gpus
        return self.capacity

    @abstractmethod
    def launch(self, config: LaunchConfig, source: AbstractPackSource, tell: Listener) -> None:
        """Train the packs of `source` until it is over.

        For each pack `tell` is called with `PackStarted`, then any number of `PackProgressed` and
        `PackRetried`, then one of `PackEnded` and `PackLost`. The source's `ended` or `lost` is
        called after that, before it is asked for the next pack.

        Args:
            config: Settings of the launch, for the workers.
            source: Packs to train.
            tell: Called with each event.

        Raises:
            LaunchError: If packs could not be accounted for.
            StoreError: If the results cannot be read.
        """
