"""The engine of weights that meet no data: they are measured as they are.

Shapes: K runs, P parameters.
"""

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from symstudy.training.checkpoints import State, restore_array
from symstudy.training.data import Split
from symstudy.training.engines.base import AbstractEngine, LoadedPack, Losses
from symstudy.training.engines.lanes import initial_parameters

__all__ = ["UntrainedEngine"]


class UntrainedEngine(AbstractEngine):
    """Holds the initial parameters of a pack; there are no steps and no losses.

    They stay on the CPU, where large singular value decompositions are no slower.
    """

    def __init__(self, pack: LoadedPack) -> None:
        """Initialise the runs of `pack`."""
        torch.set_num_threads(pack.config.cpus)
        self.theta = initial_parameters(pack)
        self.is_frozen = np.zeros(len(pack.runs), np.bool_)

    @property
    def theta_KP(self) -> Float[Tensor, "runs parameters"]:
        """Parameters as they are."""
        return self.theta

    @property
    def diverged_K(self) -> Int64[np.ndarray, " runs"]:
        """Nothing diverges."""
        return np.full(len(self.is_frozen), -1, np.int64)

    @property
    def is_frozen_K(self) -> Bool[np.ndarray, " runs"]:
        """Whether each run was frozen."""
        return self.is_frozen

    @property
    def name(self) -> str:
        """That nothing trains."""
        return "untrained"

    def advance(self, first: int, steps: int) -> None:
        """Raise: there are no steps."""
        raise AssertionError(f"a run without data has no steps {first} to {first + steps}")

    def freeze(self, lanes: Int64[np.ndarray, " chosen"]) -> None:
        """Mark the runs `lanes`."""
        self.is_frozen[lanes] = True

    def state(self) -> State:
        """Return which runs are frozen; the parameters are a function of the pack."""
        return {"is_frozen": self.is_frozen}

    def restore(self, state: State) -> None:
        """Take over a `state`."""
        restore_array(state, "is_frozen", self.is_frozen)

    def evaluate(self, split: Split) -> Losses:
        """Return that there is no loss."""
        missing = np.full(len(split.lane_x), np.nan)
        return Losses(missing, missing)

    def gradient(self, split: Split) -> Float[Tensor, "runs parameters"]:
        """Raise: there is no loss to differentiate."""
        raise AssertionError(f"{len(split.lane_x)} runs without data have no gradient")
