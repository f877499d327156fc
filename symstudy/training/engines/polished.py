"""The engine of `train.polish`: what training has chosen is taken to the minimum beside it.

Noise and learning rate decide in which valley training ends, and keep it from the valley's floor.
After the last step L-BFGS goes down the full objective from there, so that a claim about minima can
be asked of what SGD finds, at any temperature.
"""

import numpy as np
from jaxtyping import Bool, Float, Int64
from numpy.typing import NDArray
from torch import Tensor

from symstudy.kernels.network import Network
from symstudy.training.checkpoints import State, nested, under
from symstudy.training.data import Split
from symstudy.training.engines.base import AbstractEngine, LoadedPack, Losses
from symstudy.training.engines.minimiser import MinimiserEngine

__all__ = ["PolishedEngine"]


class PolishedEngine(AbstractEngine):
    """Trains the runs of a pack by `inner`, and minimises from where they end."""

    def __init__(self, pack: LoadedPack, inner: AbstractEngine, network: Network | None) -> None:
        """Begin with the training.

        Args:
            pack: The runs.
            inner: Engine of the same pack, in float64.
            network: The model as the kernels know it, or None.
        """
        self.pack = pack
        self.inner = inner
        self.network = network
        self.left = pack.train.polish
        self.minimiser: MinimiserEngine | None = None

    @property
    def theta_KP(self) -> Float[Tensor, "runs parameters"]:
        """Parameters as they are now."""
        return self.inner.theta_KP

    @property
    def diverged_K(self) -> Int64[np.ndarray, " runs"]:
        """Step at which each run diverged, or -1."""
        return self.inner.diverged_K

    @property
    def is_frozen_K(self) -> Bool[np.ndarray, " runs"]:
        """Whether each run was frozen."""
        return self.inner.is_frozen_K

    @property
    def name(self) -> str:
        """What trains, and that L-BFGS goes on."""
        return f"polished-{self.inner.name}"

    def advance(self, first: int, steps: int) -> None:
        """Train every run that is alive through `steps` steps from step `first` on."""
        self.inner.advance(first, steps)

    def settle(self, step: int, steps: int) -> bool:
        """After the last step, take some of the steps of L-BFGS; then look for merges."""
        if step < self.pack.train.steps:
            return False
        if self.minimiser is None:
            self.minimiser = self.begin()
            return True
        descender = self.minimiser.descender
        if self.left and descender.is_moving.any():
            count = min(steps, self.left) if descender.is_divisible else self.left
            descender.descend(count)
            self.left -= count
            return True
        return self.minimiser.settle(step, steps)

    def begin(self) -> MinimiserEngine:
        """Return what minimises from where the runs are; those that are not alive stay there."""
        minimiser = MinimiserEngine(
            self.pack,
            self.inner,
            self.network,
            start=self.inner.theta_KP.double().cpu().numpy().copy(),
            budget=self.pack.train.polish,
        )
        minimiser.hold(np.flatnonzero(~self.inner.is_alive_K))
        return minimiser

    def freeze(self, lanes: Int64[np.ndarray, " chosen"]) -> None:
        """Train the runs `lanes` no more; they keep their parameters."""
        self.inner.freeze(lanes)

    def drop_dead(self) -> None:
        """Spend nothing more on runs that are not alive."""
        self.inner.drop_dead()

    def state(self) -> State:
        """Return the training as it stands, and the descent if it has begun."""
        state = {**nested("trained", self.inner.state()), "left": np.array([self.left])}
        if self.minimiser is not None:
            state |= nested("minimiser", self.minimiser.state())
        return state

    def restore(self, state: State) -> None:
        """Take over a `state`."""
        self.inner.restore(under("trained", state))
        self.left = int(state["left"][0])
        descent = under("minimiser", state)
        if descent:
            self.minimiser = self.begin()
            self.minimiser.restore(descent)

    def evaluate(self, split: Split) -> Losses:
        """Return the data loss on `split`; NaN for a run that is not alive."""
        return self.inner.evaluate(split)

    def gradient(self, split: Split) -> Float[Tensor, "runs parameters"]:
        """Return the gradient of the data loss on `split`, without the penalty."""
        return self.inner.gradient(split)

    def final_measures(self) -> dict[str, NDArray[np.float64] | NDArray[np.int64]]:
        """Return what the minimiser found of each run."""
        return self.minimiser.final_measures() if self.minimiser is not None else {}
