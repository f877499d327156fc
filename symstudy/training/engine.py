"""The contract of what trains a pack, and the choice among those there are."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int64
from numpy.typing import NDArray
from torch import Tensor

from symstudy.models.base import AbstractModel
from symstudy.study.cells import Run
from symstudy.study.sections import PackConfig, Train
from symstudy.training.data import PackData, Split

__all__ = ["AbstractEngine", "LoadedPack", "Losses", "Part", "pick_device"]


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


class Part(NamedTuple):
    """The runs of a pack that have one shape, and what measures them.

    Attributes:
        lanes: Which runs of the pack.
        pack: They alone, with their own network.
        engine: Holds their parameters as they are now, without padding.
    """

    lanes: Int64[np.ndarray, " chosen"]
    pack: LoadedPack
    engine: "AbstractEngine"


class Losses(NamedTuple):
    """How well each run fits a split.

    Attributes:
        loss_K: Mean data loss.
        accuracy_K: Share of samples whose largest output is the target's; meaningless in
            regression.
    """

    loss_K: Float[np.ndarray, " runs"]
    accuracy_K: Float[np.ndarray, " runs"]


class AbstractEngine(ABC):
    """Trains the runs of a pack, step by step, in one process.

    Contract: a run's numbers depend on that run alone, not on its mates, their number or their
        order;
    on the CPU bit for bit, where the kernels allow it. A run that diverges stops at that step,
    keeps its step in `diverged_K`, and costs nothing from then on. An engine is used by one thread;
    it may use several of its own.
    """

    @property
    @abstractmethod
    def theta_KP(self) -> Float[Tensor, "runs parameters"]:
        """Parameters as they are now; a view, not to be written to."""

    @property
    @abstractmethod
    def diverged_K(self) -> Int64[np.ndarray, " runs"]:
        """Step at which each run diverged, or -1."""

    @property
    @abstractmethod
    def name(self) -> str:
        """What to record as the engine of a run."""

    @abstractmethod
    def advance(self, first: int, steps: int) -> None:
        """Train every run that has not diverged through `steps` steps from step `first` on."""

    @abstractmethod
    def evaluate(self, split: Split) -> Losses:
        """Return the data loss on `split`; NaN for a run that has diverged."""

    @abstractmethod
    def gradient(self, split: Split) -> Float[Tensor, "runs parameters"]:
        """Return the gradient of the data loss on `split`, without the penalty."""

    def parts(self, pack: LoadedPack) -> list[Part]:
        """Return the runs of `pack`, which the engine was made for, shape by shape."""
        return [Part(np.arange(len(pack.runs)), pack, self)]

    def final_measures(self) -> dict[str, NDArray[np.float64] | NDArray[np.int64]]:
        """Return what only this engine measures of each run at the end, by column of `runs`."""
        return {}


def pick_device(config: PackConfig) -> torch.device:
    """Return the device that `config` asks for; `auto` takes a GPU where this process sees one."""
    if config.device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return torch.device(config.device)
