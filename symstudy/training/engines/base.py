"""The contracts of engines: what trains a pack, and what probes read of it."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from numpy.typing import NDArray
from torch import Tensor

from symstudy.errors import LaunchError
from symstudy.models.base import NO_BUFFERS, AbstractModel, Buffers
from symstudy.study.cell import Run
from symstudy.study.sections import PackConfig
from symstudy.study.train import Train
from symstudy.training.checkpoints import State
from symstudy.training.data import PackData, Split

__all__ = [
    "AbstractEngine",
    "AbstractTrained",
    "LoadedPack",
    "Losses",
    "ShapeGroup",
    "pick_device",
]


class LoadedPack(NamedTuple):
    """What an engine is made for.

    Attributes:
        runs: The runs, all of one shape, or of shapes that are padded to one width.
        model: Their network; the widest.
        data: Their data.
        config: Device and cores.
    """

    runs: Sequence[Run]
    model: AbstractModel
    data: PackData
    config: PackConfig

    @property
    def train(self) -> Train:
        """The training of the first run; the others differ in per-lane numbers only."""
        return self.runs[0].cell.train

    @property
    def dtype(self) -> np.dtype[np.floating]:
        """Type of parameters and arithmetic."""
        return np.dtype(self.train.dtype)

    def lane_values(self, field: str) -> NDArray[np.float64]:
        """Return the number called `field` of each run's training."""
        return np.array([getattr(run.cell.train, field) for run in self.runs], np.float64)


class ShapeGroup(NamedTuple):
    """The runs of a pack that have one shape, as probes measure them.

    Attributes:
        lanes: Lanes of these runs in the pack.
        pack: These runs alone, with their own network.
        trained: Their parameters and status as they are now, without padding.
    """

    lanes: Int64[np.ndarray, " chosen"]
    pack: LoadedPack
    trained: "AbstractTrained"


class Losses(NamedTuple):
    """How well each run fits a split.

    Attributes:
        loss_K: Mean data loss.
        accuracy_K: Share of samples whose largest output is the target's; meaningless in
            regression.
    """

    loss_K: Float[np.ndarray, " runs"]
    accuracy_K: Float[np.ndarray, " runs"]

    def without(self, is_dead_K: Bool[np.ndarray, " runs"]) -> "Losses":
        """Return the losses with NaN for the runs `is_dead_K`."""
        return Losses(*(np.where(is_dead_K, np.nan, column) for column in self))


class AbstractTrained(ABC):
    """Parameters and status of runs in training, as probes read them.

    Contract: reading changes nothing. What is returned may be a view of memory that training
    overwrites, and is not to be written to.
    """

    @property
    @abstractmethod
    def theta_KP(self) -> Float[Tensor, "runs parameters"]:
        """Parameters as they are now; a view, not to be written to."""

    @property
    def buffers(self) -> Buffers:
        """What the runs hold beside their parameters, `[runs, ...]` by name; most hold nothing."""
        return NO_BUFFERS

    @property
    @abstractmethod
    def diverged_K(self) -> Int64[np.ndarray, " runs"]:
        """Step at which each run diverged, or -1."""

    @property
    @abstractmethod
    def is_frozen_K(self) -> Bool[np.ndarray, " runs"]:
        """Whether each run was frozen."""

    @abstractmethod
    def evaluate(self, split: Split) -> Losses:
        """Return the data loss on `split`; NaN for a run that is not alive."""

    def evaluate_all(self, splits: Sequence[Split]) -> list[Losses]:
        """Return what `evaluate` returns of each of `splits`; on a GPU in one copy."""
        return [self.evaluate(split) for split in splits]

    @abstractmethod
    def gradient(self, split: Split) -> Float[Tensor, "runs parameters"]:
        """Return the gradient of the data loss on `split`, without the penalty."""

    @property
    def is_alive_K(self) -> Bool[np.ndarray, " runs"]:
        """Whether each run is still training: neither diverged nor frozen."""
        is_alive_K: NDArray[np.bool_] = (self.diverged_K < 0) & ~self.is_frozen_K
        return is_alive_K

    def final_measures(self) -> dict[str, NDArray[np.float64] | NDArray[np.int64]]:
        """Return what only this engine measures of each run at the end, by column of `runs`."""
        return {}


class AbstractEngine(AbstractTrained):
    """Trains the runs of a pack, step by step, in one process.

    Contract: a run's numbers depend on that run alone, not on its mates, their number or their
    order; on the CPU bit for bit, where the kernels allow it. Nor do they depend on how training is
    cut: `advance(a, m + n)` leaves the bits of `advance(a, m)` and `advance(a + m, n)`. A run that
    diverges stops at that step and keeps its step in `diverged_K`; one that is frozen stops where
    it is. Neither costs anything from the next `drop_dead` on, but for its memory. An engine is
    used by one thread; it may use several of its own. `symstudy.testing.engines` tests all this.

    State: `state` holds all that is not a function of the pack. An engine made for the same pack
    that is given it by `restore` goes on as the first would have, to the bit.

    Engines are final: to change what one does, hold it as an inner engine and pass calls on.
    """

    @property
    @abstractmethod
    def name(self) -> str:
        """What to record as the engine of a run."""

    @abstractmethod
    def advance(self, first: int, steps: int) -> None:
        """Train every run that is alive through `steps` steps from step `first` on."""

    @abstractmethod
    def freeze(self, lanes: Int64[np.ndarray, " chosen"]) -> None:
        """Train the runs `lanes` no more; they keep their parameters."""

    @abstractmethod
    def state(self) -> State:
        """Return what `restore` needs; arrays may be the engine's own, so they change with it."""

    @abstractmethod
    def restore(self, state: State) -> None:
        """Take over the `state` of an engine of this kind made for the same pack.

        Raises:
            UnfitStateError: If it is of another kind or pack; the engine is then of no more use.
        """

    def run_deferred(self, step: int, steps: int) -> bool:  # noqa: ARG002  # most defer nothing
        """Run part of the work that is due before the measures of a probe; return whether any was.

        Called until it returns False. The bits do not depend on `steps`.

        Args:
            step: Steps taken so far, those of the probe.
            steps: About how many steps' worth to do.
        """
        return False

    def drop_dead(self) -> None:  # what an engine need not do
        """Spend nothing more on runs that are not alive; called after each probe."""

    def shape_groups(self, pack: LoadedPack) -> list[ShapeGroup]:
        """Return the runs of `pack`, which the engine was made for, shape by shape."""
        return [ShapeGroup(np.arange(len(pack.runs)), pack, self)]


def pick_device(config: PackConfig) -> torch.device:
    """Return the device that `config` asks for.

    `auto` is a GPU where this process sees one, unless the compiled engine is asked for, which
    knows the CPU alone.

    Raises:
        LaunchError: If it is none of the known devices.
    """
    if config.device == "auto":
        may_be_gpu = config.engine != "compiled" and torch.cuda.is_available()
        return torch.device("cuda" if may_be_gpu else "cpu")
    if config.device in {"cpu", "cuda"}:
        return torch.device(config.device)
    raise LaunchError(
        f"`pack.device` must be auto, cpu or cuda, but got {config.device!r}. "
        "Type pack.device=auto."
    )
