"""The engine of `optimizer = "lbfgs"`: each run to the best of several stationary points.

Every run starts from several initial states, one a restart, and goes down the full objective, data
loss plus gamma |theta|^2, in float64 until |grad| / (1 + |objective|) is at most the tolerance. The
best restart so far is what the run's measures see. With `refine`, a pair of neurons whose merging
lowers the objective, which proves that the point is no global minimum (Theorem 4 of
arXiv:2502.05300), is merged, and the descent goes on from there.

Shapes: K runs, R restarts, L = K R lanes, P parameters.
"""

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int64
from numpy.typing import NDArray
from torch import Tensor

from symstudy.identity import stream_key
from symstudy.kernels.network import Network
from symstudy.training.data import Split
from symstudy.training.descenders import Descender, KernelDescender, ScipyDescender
from symstudy.training.engine import AbstractEngine, LoadedPack, Losses
from symstudy.training.lanes import init_scales
from symstudy.training.merging import best_merge

__all__ = ["MinimiserEngine"]

MERGE_TOLERANCE = 1e-9
"""Decrease of the objective by a merge, relative to it, that is taken for rounding."""
LARGEST_SEED = 2**62


class Point(NamedTuple):
    """Where a lane stands.

    Attributes:
        theta: Parameters `[P]`.
        value: Objective.
    """

    theta: Float[np.ndarray, " parameters"]
    value: float


class MinimiserEngine(AbstractEngine):
    """Minimises the runs of a pack; `inner` evaluates the best point of each."""

    def __init__(self, pack: LoadedPack, inner: AbstractEngine, network: Network | None) -> None:
        """Start every restart of every run.

        Args:
            pack: The runs.
            inner: Engine of the same pack, whose parameters are overwritten.
            network: The model as the kernels know it, or None for SciPy's L-BFGS-B and torch.
        """
        self.pack = pack
        self.inner = inner
        self.restarts = pack.train.restarts
        runs = [run for run in pack.runs for _ in range(self.restarts)]
        seeds = [restart_seed(run.seed, r) for run in pack.runs for r in range(self.restarts)]
        scales = torch.from_numpy(np.repeat(init_scales(pack), self.restarts))
        theta = np.ascontiguousarray(pack.model.initialise(seeds, scales).numpy())
        gamma = np.array([run.cell.train.gamma for run in runs])
        self.lanes_per_run = np.arange(len(runs)).reshape(len(pack.runs), self.restarts)
        self.descender: Descender
        if network is None:
            self.descender = ScipyDescender(pack, theta, gamma, self.restarts)
        else:
            self.descender = KernelDescender(pack, network, theta, gamma, self.restarts)
        self.merges = np.zeros(len(pack.runs), np.int64)
        self.gains = np.full(len(pack.runs), np.nan)
        self.is_checked_K = np.zeros(len(pack.runs), np.bool_)
        self.place_best()

    @property
    def theta_KP(self) -> Float[Tensor, "runs parameters"]:
        """Parameters of the best restart of each run."""
        return self.inner.theta_KP

    @property
    def diverged_K(self) -> Int64[np.ndarray, " runs"]:
        """Nothing diverges: no step raises the objective."""
        return self.inner.diverged_K

    @property
    def name(self) -> str:
        """The method, and what evaluates."""
        return f"lbfgs-{self.inner.name}"

    def advance(self, first: int, steps: int) -> None:
        """Take up to `steps` steps of every restart."""
        self.descender.descend(steps)
        # Each run by itself: when its merges are looked for must not depend on its mates.
        is_over_K = ~self.descender.is_moving[self.lanes_per_run].any(axis=1)
        is_over_K |= first + steps >= self.pack.train.steps
        for run in map(int, np.flatnonzero(is_over_K & ~self.is_checked_K)):
            self.check_merges(run)
            self.is_checked_K[run] = True
        self.place_best()

    def evaluate(self, split: Split) -> Losses:
        """Return the data loss on `split`."""
        return self.inner.evaluate(split)

    def gradient(self, split: Split) -> Float[Tensor, "runs parameters"]:
        """Return the gradient of the data loss on `split`, without the penalty."""
        return self.inner.gradient(split)

    def best_lanes(self) -> NDArray[np.int64]:
        """Return the lane of lowest objective of each run; the first of equals."""
        values = self.descender.value[self.lanes_per_run]
        best: NDArray[np.int64] = self.lanes_per_run[
            np.arange(len(values)), np.nan_to_num(values, nan=np.inf).argmin(axis=1)
        ]
        return best

    def place_best(self) -> None:
        """Give the best point of each run to the inner engine."""
        best = torch.from_numpy(self.descender.theta[self.best_lanes()])
        self.inner.theta_KP.copy_(best)

    def final_measures(self) -> dict[str, NDArray[np.float64] | NDArray[np.int64]]:
        """Return the merge inequality's largest violation, and what was done about it."""
        best = self.best_lanes()
        return {
            "merge_gain": self.gains,
            "merges": self.merges,
            "iterations": self.descender.iterations[best],
        }

    def check_merges(self, run: int) -> None:
        """Find the best merge of a run's best point; with `refine`, take it while it gains."""
        lane = int(self.best_lanes()[run])
        while True:
            point = Point(self.descender.theta[lane].copy(), float(self.descender.value[lane]))
            merge = best_merge(self.pack, run, point.theta)
            if merge is None:
                return
            self.gains[run] = merge.gain / abs(point.value)
            if not self.pack.train.refine or self.gains[run] <= MERGE_TOLERANCE:
                return
            self.descender.restart(lane, merge.theta)
            self.descender.descend(self.pack.train.steps, np.array([lane]))
            if not self.descender.value[lane] < point.value:
                self.descender.restart(lane, point.theta)
                self.descender.descend(0, np.array([lane]))
                return
            self.merges[run] += 1


def restart_seed(seed: int, restart: int) -> int:
    """Return the seed of a restart's initial state; the first is the run's own."""
    return seed if restart == 0 else stream_key(seed, f"restart {restart}") % LARGEST_SEED
