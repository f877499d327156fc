"""The engine of `optimizer = "lbfgs"`: each run to the best of several stationary points.

Shapes: K runs, R restarts, L = K R lanes, P parameters.
"""

from typing import final

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from numpy.typing import NDArray
from torch import Tensor

from symstudy.identity import stream_key
from symstudy.kernels.network import Network
from symstudy.training.checkpoints import State, add_prefix, restore_array, select_prefix
from symstudy.training.data import Split
from symstudy.training.engines.base import AbstractEngine, LoadedPack, Losses
from symstudy.training.engines.evaluators import AbstractEvaluator
from symstudy.training.engines.lanes import init_scales
from symstudy.training.engines.minimisation import Minimisation
from symstudy.training.engines.solvers import make_solver

__all__ = ["MinimiserEngine"]

LARGEST_SEED = 2**62


@final
class MinimiserEngine(AbstractEngine):
    """Minimises each run from several initial states, one a restart; the run is the best of them.

    Nothing diverges: no step raises the objective.
    """

    def __init__(
        self, pack: LoadedPack, evaluator: AbstractEvaluator, network: Network | None
    ) -> None:
        """Start every restart of every run.

        Args:
            pack: The runs.
            evaluator: Evaluator of the best point of each.
            network: The model as the kernels know it, or None for SciPy's L-BFGS-B and torch.
        """
        torch.set_num_threads(pack.config.cpus)
        self.pack = pack
        self.evaluator = evaluator
        restarts = pack.train.optimizer.starts
        seeds = [restart_seed(run.training_seed, r) for run in pack.runs for r in range(restarts)]
        scales = torch.from_numpy(np.repeat(init_scales(pack), restarts))
        start = np.ascontiguousarray(pack.model.initialise(seeds, scales).numpy())
        solver = make_solver(pack, network, start, restarts)
        self.minimisation = Minimisation(pack, solver, budget=pack.train.steps)
        self.is_frozen = np.zeros(len(pack.runs), np.bool_)

    @property
    def theta_KP(self) -> Float[Tensor, "runs parameters"]:
        """Parameters of the best restart of each run."""
        return torch.from_numpy(self.minimisation.best_KP)

    @property
    def diverged_K(self) -> Int64[np.ndarray, " runs"]:
        """-1 for every run."""
        return np.full(len(self.is_frozen), -1, np.int64)

    @property
    def is_frozen_K(self) -> Bool[np.ndarray, " runs"]:
        """Whether each run was frozen."""
        return self.is_frozen

    @property
    def name(self) -> str:
        """The method, and what evaluates."""
        return f"lbfgs-{self.evaluator.name}"

    def advance(self, first: int, steps: int) -> None:  # noqa: ARG002  # every step is alike
        """Take up to `steps` steps of every restart."""
        self.minimisation.advance(steps)

    def run_deferred(self, step: int, steps: int) -> bool:
        """Take steps that could not be divided; then look for merges, run by run."""
        return self.minimisation.run_deferred(steps, is_last=step >= self.pack.train.steps)

    def freeze(self, lanes: Int64[np.ndarray, " chosen"]) -> None:
        """Minimise no restart of the runs `lanes` any more, and look for no merges of them."""
        self.is_frozen[lanes] = True
        self.minimisation.hold(lanes)

    def state(self) -> State:
        """Return the restarts as they stand, with their memory, and which runs are frozen."""
        return {
            "is_frozen": self.is_frozen,
            **add_prefix("minimisation", self.minimisation.state()),
        }

    def restore(self, state: State) -> None:
        """Take over a `state`."""
        restore_array(state, "is_frozen", self.is_frozen)
        self.minimisation.restore(select_prefix("minimisation", state))

    def evaluate(self, split: Split) -> Losses:
        """Return the data loss on `split`; NaN for a run that is not alive."""
        return self.evaluator.evaluate(self.theta_KP, split, np.flatnonzero(self.is_alive_K))

    def gradient(self, split: Split) -> Float[Tensor, "runs parameters"]:
        """Return the gradient of the data loss on `split`, without the penalty."""
        return self.evaluator.gradient(self.theta_KP, split, np.flatnonzero(self.is_alive_K))

    def final_measures(self) -> dict[str, NDArray[np.float64] | NDArray[np.int64]]:
        """Return the merge inequality's largest violation, and what was done about it."""
        return self.minimisation.final_measures()


def restart_seed(seed: int, restart: int) -> int:
    """Return the seed of a restart's initial state; the first is the run's own."""
    return seed if restart == 0 else stream_key(seed, f"restart {restart}") % LARGEST_SEED
