"""Minimisation of the runs of a pack from several starts, with merges of neurons.

Every start goes down the full objective, data loss plus gamma |theta|^2, in float64 until
|grad| / (1 + |objective|) is at most the tolerance. With `refine`, a pair of neurons whose merging
lowers the objective, which proves that the point is no global minimum (Theorem 4 of
arXiv:2502.05300), is merged, and minimisation goes on from there. Merges are looked for at the
first probe at which all starts of a run stand still; when they are must not depend on its mates,
nor on how minimisation is cut into chunks.

Shapes: K runs, R starts a run, L = K R lanes, P parameters.
"""

from typing import NamedTuple, final

import numpy as np
from jaxtyping import Float, Int64
from numpy.typing import NDArray

from symstudy.training.checkpoints import (
    State,
    add_prefix,
    read_array,
    restore_array,
    select_prefix,
)
from symstudy.training.engines.base import LoadedPack
from symstudy.training.engines.merging import best_merge
from symstudy.training.engines.solvers import AbstractSolver

__all__ = ["Minimisation"]

MERGE_TOLERANCE = 1e-9
"""Decrease of the objective by a merge, relative to it, that is taken for rounding."""


class Point(NamedTuple):
    """Parameters and objective of a lane.

    Attributes:
        theta: Parameters `[P]`.
        value: Objective.
    """

    theta: Float[np.ndarray, " parameters"]
    value: float


class Merging(NamedTuple):
    """A minimisation from a merged state, under way.

    Attributes:
        run: Run whose neurons were merged.
        lane: Its best start.
        left: Steps that it may still take.
        before: Where the lane stood before the merge.
    """

    run: int
    lane: int
    left: int
    before: Point


@final
class Minimisation:
    """The lanes of a pack on their way to stationary points.

    Attributes:
        pack: The runs.
        solver: Solver of all lanes.
        best_KP: Parameters of the best lane of each run, as of the last `choose_best`.
    """

    def __init__(self, pack: LoadedPack, solver: AbstractSolver, budget: int) -> None:
        """Begin where the lanes of `solver` are.

        Args:
            pack: The runs.
            solver: Solver with the same number of lanes for each run.
            budget: Steps that a minimisation from a merged state may take.
        """
        self.pack = pack
        self.solver = solver
        self.budget = budget
        runs = len(pack.runs)
        self.lanes_KR = np.arange(len(solver.value)).reshape(runs, -1)
        self.merges = np.zeros(runs, np.int64)
        self.gains = np.full(runs, np.nan)
        self.is_checked_K = np.zeros(runs, np.bool_)
        self.merging: Merging | None = None
        # Steps that each lane was told to take and has not yet, of a solver that works in whole
        # calls from probe to probe.
        self.owed_L = np.zeros(len(solver.value), np.int64)
        self.best_KP: Float[np.ndarray, "runs parameters"] = np.empty(0)
        self.choose_best()

    def advance(self, steps: int) -> None:
        """Take up to `steps` steps of every lane; where they cannot be divided, deferred ones."""
        if self.solver.is_divisible:
            self.solver.minimise(steps)
            self.choose_best()
        else:
            self.owed_L[self.solver.is_moving] += steps

    def run_deferred(self, steps: int, *, is_last: bool) -> bool:
        """Take the steps that are owed, lane by lane; then look for merges, run by run.

        Args:
            steps: About how many steps to take.
            is_last: Whether the probe is the last, where merges of every run are looked for.

        Returns:
            Whether there was anything to do.
        """
        owing = np.flatnonzero(self.owed_L)
        if len(owing):
            lane = owing[:1]
            self.solver.minimise(int(self.owed_L[lane[0]]), lane)
            self.owed_L[lane] = 0
            return True
        if self.merging is not None:
            self.merging = self.continue_merging(self.merging, steps)
            return True
        run = self.next_unchecked(is_last=is_last)
        if run is None:
            self.choose_best()
            return False
        self.merging = self.begin_merging(run, int(self.best_lanes()[run]))
        return True

    def next_unchecked(self, *, is_last: bool) -> int | None:
        """Return a run that is over, or stands still, and whose merges were not looked for yet."""
        is_over_K = ~self.solver.is_moving[self.lanes_KR].any(axis=1)
        unchecked = np.flatnonzero((is_over_K | is_last) & ~self.is_checked_K)
        return int(unchecked[0]) if len(unchecked) else None

    def begin_merging(self, run: int, lane: int) -> Merging | None:
        """Find the best merge of a run's best point; with `refine`, take it if it gains."""
        before = Point(self.solver.theta[lane].copy(), float(self.solver.value[lane]))
        merge = best_merge(self.pack, run, before.theta)
        self.is_checked_K[run] = True
        if merge is None:
            return None
        self.gains[run] = merge.gain / abs(before.value)
        if not self.pack.train.refine or self.gains[run] <= MERGE_TOLERANCE:
            return None
        self.solver.restart(lane, merge.theta)
        return Merging(run, lane, self.budget, before)

    def continue_merging(self, merging: Merging, steps: int) -> Merging | None:
        """Minimise from a merged state; at its end look for the next merge, or go back."""
        run, lane, left, before = merging
        count = min(steps, left) if self.solver.is_divisible else left
        self.solver.minimise(count, np.array([lane]))
        left -= count
        if left and self.solver.is_moving[lane]:
            return merging._replace(left=left)
        if self.solver.value[lane] < before.value:
            self.merges[run] += 1
            return self.begin_merging(run, lane)
        self.solver.restart(lane, before.theta)
        self.solver.minimise(0, np.array([lane]))
        return None

    def hold(self, lanes: Int64[np.ndarray, " chosen"]) -> None:
        """Leave the runs `lanes` where they are, and look for no merges of them."""
        self.solver.freeze(self.lanes_KR[lanes].ravel())
        self.is_checked_K[lanes] = True

    def best_lanes(self) -> NDArray[np.int64]:
        """Return the lane of lowest objective of each run; the first of equals."""
        values = self.solver.value[self.lanes_KR]
        best: NDArray[np.int64] = self.lanes_KR[
            np.arange(len(values)), np.nan_to_num(values, nan=np.inf).argmin(axis=1)
        ]
        return best

    def choose_best(self) -> None:
        """Let `best_KP` be the best point of each run as of now."""
        self.best_KP = self.solver.theta[self.best_lanes()]

    def final_measures(self) -> dict[str, NDArray[np.float64] | NDArray[np.int64]]:
        """Return the merge inequality's largest violation, and what was done about it."""
        return {
            "merge_gain": self.gains,
            "merges": self.merges,
            "iterations": self.solver.iterations[self.best_lanes()],
        }

    def state(self) -> State:
        """Return the lanes as they stand, with their memory, and a merge under way."""
        merging = self.merging
        numbers = [merging.run, merging.lane, merging.left] if merging else []
        return {
            **add_prefix("solver", self.solver.state()),
            **self.counts(),
            "best": self.best_KP,
            "merging": np.array(numbers, np.int64),
            "before": merging.before.theta if merging else np.empty(0),
            "before_value": np.array([merging.before.value] if merging else []),
        }

    def restore(self, state: State) -> None:
        """Take over a `state`.

        Raises:
            UnfitStateError: If it is of other runs.
        """
        self.solver.restore(select_prefix("solver", state))
        for name, array in {**self.counts(), "best": self.best_KP}.items():
            restore_array(state, name, array)
        numbers = read_array(state, "merging")
        if len(numbers):
            value = float(read_array(state, "before_value")[0])
            theta = read_array(state, "before", self.solver.theta[0]).copy()
            run, lane, left = map(int, numbers)
            self.merging = Merging(run, lane, left, Point(theta, value))

    def counts(self) -> State:
        """Return the arrays with an entry a run or lane that `state` holds whole."""
        return {
            "merges": self.merges,
            "gains": self.gains,
            "is_checked": self.is_checked_K,
            "owed": self.owed_L,
        }
