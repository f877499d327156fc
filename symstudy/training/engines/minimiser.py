"""The engine of `optimizer = "lbfgs"`: each run to the best of several stationary points.

Every run starts from several initial states, one a restart, and goes down the full objective, data
loss plus gamma |theta|^2, in float64 until |grad| / (1 + |objective|) is at most the tolerance. The
best restart so far is what the run's measures see. With `refine`, a pair of neurons whose merging
lowers the objective, which proves that the point is no global minimum (Theorem 4 of
arXiv:2502.05300), is merged, and the descent goes on from there. Merges are looked for at the first
probe at which all restarts of a run stand still; when they are must not depend on its mates, nor on
how the descent is cut into chunks.

Shapes: K runs, R restarts, L = K R lanes, P parameters.
"""

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from numpy.typing import NDArray
from torch import Tensor

from symstudy.identity import stream_key
from symstudy.kernels.network import Network
from symstudy.training.checkpoints import State, nested, restore_array, take, under
from symstudy.training.data import Split
from symstudy.training.engines.base import AbstractEngine, LoadedPack, Losses
from symstudy.training.engines.lanes import init_scales
from symstudy.training.engines.merging import best_merge
from symstudy.training.engines.solvers import Descender, KernelDescender, ScipyDescender

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


class Merging(NamedTuple):
    """A descent from a merged state, under way.

    Attributes:
        run: Whose.
        lane: Its best restart.
        left: Steps that it may still take.
        before: Where the lane stood before the merge.
    """

    run: int
    lane: int
    left: int
    before: Point


class MinimiserEngine(AbstractEngine):
    """Minimises the runs of a pack; `inner` evaluates the best point of each."""

    def __init__(
        self,
        pack: LoadedPack,
        inner: AbstractEngine,
        network: Network | None,
        *,
        start: NDArray[np.float64] | None = None,
        budget: int | None = None,
    ) -> None:
        """Start every restart of every run.

        Args:
            pack: The runs.
            inner: Engine of the same pack, whose parameters are overwritten.
            network: The model as the kernels know it, or None for SciPy's L-BFGS-B and torch.
            start: Where each run starts, `[K, P]`; from its initial states if None.
            budget: Steps that a descent from a merged state may take; `train.steps` if None.
        """
        self.pack = pack
        self.inner = inner
        self.restarts = pack.train.optimizer.starts if start is None else 1
        self.budget = pack.train.steps if budget is None else budget
        runs = [run for run in pack.runs for _ in range(self.restarts)]
        seeds = [restart_seed(run.seed, r) for run in pack.runs for r in range(self.restarts)]
        scales = torch.from_numpy(np.repeat(init_scales(pack), self.restarts))
        if start is None:
            start = pack.model.initialise(seeds, scales).numpy()
        theta = np.ascontiguousarray(start)
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
        self.merging: Merging | None = None
        # Steps that each lane was told to take and has not yet, of a descender that works in whole
        # calls from probe to probe.
        self.owed_L = np.zeros(len(runs), np.int64)
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
    def is_frozen_K(self) -> Bool[np.ndarray, " runs"]:
        """Whether each run was frozen."""
        return self.inner.is_frozen_K

    @property
    def name(self) -> str:
        """The method, and what evaluates."""
        return f"lbfgs-{self.inner.name}"

    def advance(self, first: int, steps: int) -> None:  # noqa: ARG002  # every step is alike
        """Take up to `steps` steps of every restart; where they cannot be divided, in `settle`."""
        if self.descender.is_divisible:
            self.descender.descend(steps)
            self.place_best()
        else:
            self.owed_L[self.descender.is_moving] += steps

    def settle(self, step: int, steps: int) -> bool:
        """Take the steps that are owed, lane by lane; then look for merges, run by run."""
        owing = np.flatnonzero(self.owed_L)
        if len(owing):
            lane = owing[:1]
            self.descender.descend(int(self.owed_L[lane[0]]), lane)
            self.owed_L[lane] = 0
            return True
        if self.merging is not None:
            self.merging = self.go_on_merging(self.merging, steps)
            return True
        run = self.next_unchecked(step)
        if run is None:
            self.place_best()
            return False
        self.merging = self.begin_merging(run, int(self.best_lanes()[run]))
        return True

    def next_unchecked(self, step: int) -> int | None:
        """Return a run that is over, or stands still, and whose merges were not looked for yet."""
        is_over_K = ~self.descender.is_moving[self.lanes_per_run].any(axis=1)
        is_over_K |= step >= self.pack.train.steps
        unchecked = np.flatnonzero(is_over_K & ~self.is_checked_K)
        return int(unchecked[0]) if len(unchecked) else None

    def begin_merging(self, run: int, lane: int) -> Merging | None:
        """Find the best merge of a run's best point; with `refine`, take it if it gains."""
        before = Point(self.descender.theta[lane].copy(), float(self.descender.value[lane]))
        merge = best_merge(self.pack, run, before.theta)
        self.is_checked_K[run] = True
        if merge is None:
            return None
        self.gains[run] = merge.gain / abs(before.value)
        if not self.pack.train.refine or self.gains[run] <= MERGE_TOLERANCE:
            return None
        self.descender.restart(lane, merge.theta)
        return Merging(run, lane, self.budget, before)

    def go_on_merging(self, merging: Merging, steps: int) -> Merging | None:
        """Descend from a merged state; at the end of that look for the next merge, or go back."""
        run, lane, left, before = merging
        count = min(steps, left) if self.descender.is_divisible else left
        self.descender.descend(count, np.array([lane]))
        left -= count
        if left and self.descender.is_moving[lane]:
            return merging._replace(left=left)
        if self.descender.value[lane] < before.value:
            self.merges[run] += 1
            return self.begin_merging(run, lane)
        self.descender.restart(lane, before.theta)
        self.descender.descend(0, np.array([lane]))
        return None

    def freeze(self, lanes: Int64[np.ndarray, " chosen"]) -> None:
        """Descend no more with any restart of the runs `lanes`, and look for no merges of them."""
        self.inner.freeze(lanes)
        self.hold(lanes)

    def hold(self, lanes: Int64[np.ndarray, " chosen"]) -> None:
        """Leave the runs `lanes` where they are."""
        self.descender.freeze(self.lanes_per_run[lanes].ravel())
        self.is_checked_K[lanes] = True

    def drop_dead(self) -> None:
        """Evaluate no more what was frozen."""
        self.inner.drop_dead()

    def state(self) -> State:
        """Return the restarts as they stand, with their memory, and a merge under way."""
        merging = self.merging
        numbers = [merging.run, merging.lane, merging.left] if merging else []
        return {
            **nested("inner", self.inner.state()),
            **nested("descender", self.descender.state()),
            **self.counts(),
            "merging": np.array(numbers, np.int64),
            "before": merging.before.theta if merging else np.empty(0),
            "before_value": np.array([merging.before.value] if merging else []),
        }

    def restore(self, state: State) -> None:
        """Take over a `state`."""
        self.inner.restore(under("inner", state))
        self.descender.restore(under("descender", state))
        for name, array in self.counts().items():
            restore_array(state, name, array)
        numbers = take(state, "merging")
        if len(numbers):
            value = float(take(state, "before_value")[0])
            before = Point(take(state, "before", self.descender.theta[0]).copy(), value)
            run, lane, left = map(int, numbers)
            self.merging = Merging(run, lane, left, before)
        self.place_best()

    def counts(self) -> State:
        """Return the arrays with an entry a run or lane that `state` holds whole."""
        return {
            "merges": self.merges,
            "gains": self.gains,
            "is_checked": self.is_checked_K,
            "owed": self.owed_L,
        }

    def evaluate(self, split: Split) -> Losses:
        """Return the data loss on `split`; NaN for a run that is not alive."""
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


def restart_seed(seed: int, restart: int) -> int:
    """Return the seed of a restart's initial state; the first is the run's own."""
    return seed if restart == 0 else stream_key(seed, f"restart {restart}") % LARGEST_SEED
