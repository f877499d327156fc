"""The launcher that is chosen by the study: this process where Ray would take longer to start."""

from types import TracebackType
from typing import Self

from symstudy.errors import LaunchError
from symstudy.launch.cluster.environment import own_modules
from symstudy.launch.events import Listener
from symstudy.launch.launchers.base import AbstractLauncher, Capacity
from symstudy.launch.launchers.inline import InlineLauncher
from symstudy.launch.launchers.ray import RayLauncher
from symstudy.launch.messages import LaunchConfig
from symstudy.launch.source import AbstractPackSource
from symstudy.study import Study
from symstudy.study.cost import estimate_cost
from symstudy.study.devices import CPU
from symstudy.study.sections import PackConfig

__all__ = ["SMALL_S", "AutoLauncher", "is_small"]

SMALL_S = 8.0
"""A study that one core is estimated to train in so long is trained in this process: to start Ray
and its workers takes as long, with more processor time."""


class AutoLauncher(AbstractLauncher):
    """Trains small studies of built-in parts in this process, and all others through Ray.

    Attributes:
        chosen: What trains; Ray until a study says what is to be trained.
    """

    def __init__(
        self, config: PackConfig, *, address: str | None = None, workers: int | None = None
    ) -> None:
        """Prepare to choose; an address of a cluster or a number of workers asks for Ray."""
        self.config = config
        self.is_asked_for_ray = address is not None or workers is not None
        self.chosen: AbstractLauncher = RayLauncher(config, address=address, workers=workers)

    @classmethod
    def from_options(
        cls, config: PackConfig, *, address: str | None = None, workers: int | None = None
    ) -> Self:
        """Make a launcher from the options of `symstudy run`."""
        return cls(config, address=address, workers=workers)

    def prepare(self, study: Study) -> None:
        """Choose where to train, and find the user's own modules that the study needs.

        Raises:
            LaunchError: If one is not found.
        """
        if not self.is_asked_for_ray and is_small(study):
            self.chosen = InlineLauncher(device=self.config.device)
        self.chosen.prepare(study)

    def check(self, location: str) -> None:
        """Check that all workers can take part.

        Raises:
            LaunchError: If one cannot.
            StoreError: If the results cannot be written.
        """
        self.chosen.check(location)

    def __enter__(self) -> Self:
        """Start what was chosen.

        Raises:
            LaunchError: If it cannot be started.
        """
        self.chosen.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop it."""
        self.chosen.__exit__(kind, error, traceback)

    @property
    def capacity(self) -> Capacity:
        """Workers and device of what was chosen."""
        return self.chosen.capacity

    def reserve(self, gpus: float) -> Capacity:
        """Reserve a share of a GPU for each pack; return the capacity that this leaves."""
        return self.chosen.reserve(gpus)

    def launch(self, config: LaunchConfig, source: AbstractPackSource, tell: Listener) -> None:
        """Train the packs of `source` by what was chosen."""
        self.chosen.launch(config, source, tell)


def is_small(study: Study) -> bool:
    """Return whether this process trains `study`: one core is done before Ray would have started.

    Code of the user's own may end its process, and a search asks for more than is known: both are
    for Ray's workers. So is what is to be on a GPU alone.
    """
    if study.is_program or study.search is not None or study.pack.device == "cuda":
        return False
    seconds = 0.0
    for cell in study.cells:
        cost = estimate_cost(cell, device=CPU, engine=study.pack.engine)
        seconds += cost.pack_seconds(len(study.seeds))
        if seconds > SMALL_S:
            return False
    return not has_own_modules(study)


def has_own_modules(study: Study) -> bool:
    """Return whether a study needs modules that are neither symstudy's nor installed with it."""
    try:
        return bool(own_modules(study))
    except LaunchError:
        # A module that is not found: what trains says so.
        return True
