"""The engine of `train.polish`: training by another engine, then L-BFGS to a nearby minimum.

Noise and learning rate decide in which valley training ends, and keep it from the valley's floor.
After the last step L-BFGS goes down the full objective from there, so that a claim about minima can
be asked of what SGD finds, at any temperature.

Shapes: K runs, P parameters.
"""

from collections.abc import Sequence
from typing import final

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from numpy.typing import NDArray
from torch import Tensor

from symstudy.kernels.network import Network
from symstudy.training.checkpoints import State, add_prefix, read_array, select_prefix
from symstudy.training.data import Split
from symstudy.training.engines.base import AbstractEngine, LoadedPack, Losses
from symstudy.training.engines.evaluators import AbstractEvaluator
from symstudy.training.engines.minimisation import Minimisation
from symstudy.training.engines.solvers import make_solver

__all__ = ["PolishedEngine"]


@final
class PolishedEngine(AbstractEngine):
    """Trains the runs of a pack by `inner`, and minimises from where they end."""

    def __init__(
        self,
        pack: LoadedPack,
        inner: AbstractEngine,
        evaluator: AbstractEvaluator,
        network: Network | None,
    ) -> None:
        """Begin with the training.

        Args:
            pack: The runs.
            inner: Engine of the same pack, in float64.
            evaluator: Evaluator of the points that the minimisation comes to.
            network: The model as the kernels know it, or None for SciPy's L-BFGS-B and torch.
        """
        self.pack = pack
        self.inner = inner
        self.evaluator = evaluator
        self.network = network
        self.left = pack.train.polish
        self.minimisation: Minimisation | None = None

    @property
    def theta_KP(self) -> Float[Tensor, "runs parameters"]:
        """Parameters as they are now, on the device that trains."""
        trained = self.inner.theta_KP
        if self.minimisation is None:
            return trained
        return torch.from_numpy(self.minimisation.best_KP).to(trained.device)

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

    def run_deferred(self, step: int, steps: int) -> bool:
        """After the last step, take some of the steps of L-BFGS; then look for merges."""
        if step < self.pack.train.steps:
            return False
        if self.minimisation is None:
            self.minimisation = self.begin(self.inner.theta_KP.double().cpu().numpy())
            return True
        solver = self.minimisation.solver
        if self.left and solver.is_moving.any():
            count = min(steps, self.left) if solver.is_divisible else self.left
            solver.minimise(count)
            self.left -= count
            return True
        return self.minimisation.run_deferred(steps, is_last=True)

    def begin(self, start: Float[np.ndarray, "runs parameters"]) -> Minimisation:
        """Return the minimisation from `start`; runs that are not alive stay there."""
        solver = make_solver(self.pack, self.network, np.array(start, order="C"), 1)
        minimisation = Minimisation(self.pack, solver, budget=self.pack.train.polish)
        minimisation.hold(np.flatnonzero(~self.inner.is_alive_K))
        return minimisation

    def freeze(self, lanes: Int64[np.ndarray, " chosen"]) -> None:
        """Train the runs `lanes` no more; they keep their parameters."""
        self.inner.freeze(lanes)
        if self.minimisation is not None:
            self.minimisation.hold(lanes)

    def drop_dead(self) -> None:
        """Spend nothing more on runs that are not alive."""
        self.inner.drop_dead()

    def state(self) -> State:
        """Return the training as it stands, and the minimisation if it has begun."""
        state = {**add_prefix("inner", self.inner.state()), "left": np.array([self.left])}
        if self.minimisation is not None:
            state |= add_prefix("minimisation", self.minimisation.state())
        return state

    def restore(self, state: State) -> None:
        """Take over a `state`."""
        self.inner.restore(select_prefix("inner", state))
        self.left = int(read_array(state, "left", np.array([0]))[0])
        begun = select_prefix("minimisation", state)
        if begun:
            self.minimisation = self.begin(self.inner.theta_KP.double().cpu().numpy())
            self.minimisation.restore(begun)

    def evaluate(self, split: Split) -> Losses:
        """Return the data loss on `split`; NaN for a run that is not alive."""
        if self.minimisation is None:
            return self.inner.evaluate(split)
        return self.evaluator.evaluate(self.theta_KP, split, np.flatnonzero(self.is_alive_K))

    def evaluate_all(self, splits: Sequence[Split]) -> list[Losses]:
        """Return the data loss on each of `splits`."""
        if self.minimisation is None:
            return self.inner.evaluate_all(splits)
        return super().evaluate_all(splits)

    def gradient(self, split: Split) -> Float[Tensor, "runs parameters"]:
        """Return the gradient of the data loss on `split`, without the penalty."""
        if self.minimisation is None:
            return self.inner.gradient(split)
        return self.evaluator.gradient(self.theta_KP, split, np.flatnonzero(self.is_alive_K))

    def final_measures(self) -> dict[str, NDArray[np.float64] | NDArray[np.int64]]:
        """Return what the minimisation found of each run."""
        return self.minimisation.final_measures() if self.minimisation is not None else {}
