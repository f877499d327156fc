"""Solvers that minimise the full objective of lanes: the compiled L-BFGS, or SciPy's L-BFGS-B.

Shapes: L lanes, P parameters.
"""

from abc import ABC, abstractmethod
from typing import final

import numpy as np
import torch
from numpy.typing import NDArray

from symstudy.kernels.lanes import Samples
from symstudy.kernels.minimise import (
    RUNNING,
    STALLED,
    LbfgsLanes,
    Workspace,
    make_lbfgs_lanes,
    make_workspace,
    minimise_lanes,
)
from symstudy.kernels.network import CHUNK, Network, Scratch, make_scratch
from symstudy.training.checkpoints import State, read_array, restore_array
from symstudy.training.engines.base import LoadedPack
from symstudy.training.losses import data_loss

__all__ = ["AbstractSolver", "CompiledSolver", "ScipySolver", "make_solver"]

MEMORY = 20
"""Steps that L-BFGS remembers."""


class AbstractSolver(ABC):
    """Minimises the objective of each of L lanes, step by step.

    Contract: a lane's numbers depend on its own start and objective alone. `state` and `restore`
    are as in `AbstractEngine`.
    """

    @property
    @abstractmethod
    def is_divisible(self) -> bool:
        """Whether `minimise(m + n)` leaves the bits of `minimise(m)` and `minimise(n)`."""

    @property
    @abstractmethod
    def theta(self) -> NDArray[np.float64]:
        """Parameters of the lanes `[L, P]`; a view, not to be written to."""

    @property
    @abstractmethod
    def value(self) -> NDArray[np.float64]:
        """Objective of each lane."""

    @property
    @abstractmethod
    def iterations(self) -> NDArray[np.int64]:
        """Steps that each lane has taken."""

    @property
    @abstractmethod
    def is_moving(self) -> NDArray[np.bool_]:
        """Whether each lane has neither converged nor stalled."""

    @abstractmethod
    def minimise(self, iterations: int, lanes: NDArray[np.int64] | None = None) -> None:
        """Take up to `iterations` steps of each of `lanes`, or of all, that still moves."""

    @abstractmethod
    def restart(self, lane: int, theta: NDArray[np.float64]) -> None:
        """Put a lane to `theta`, with no memory of its steps so far."""

    @abstractmethod
    def freeze(self, lanes: NDArray[np.int64]) -> None:
        """Move `lanes` no more."""

    @abstractmethod
    def state(self) -> State:
        """Return what `restore` needs."""

    @abstractmethod
    def restore(self, state: State) -> None:
        """Take over a `state`."""


def make_solver(
    pack: LoadedPack,
    network: Network | None,
    theta: NDArray[np.float64],
    restarts: int,
) -> AbstractSolver:
    """Return the solver of the runs of `pack`, each from `restarts` starts.

    Args:
        pack: The runs.
        network: Their layers and loss as the kernels know them; None for SciPy's L-BFGS-B on
            torch's gradient.
        theta: Where each lane starts `[L, P]`; run after run, its restarts in order.
        restarts: Number of lanes of a run.
    """
    gamma = np.repeat(pack.lane_values("gamma"), restarts)
    if network is None:
        return ScipySolver(pack, theta, gamma, restarts)
    return CompiledSolver(pack, network, theta, gamma, restarts)


def moving_lanes(
    solver: AbstractSolver, lanes: NDArray[np.int64] | None = None
) -> NDArray[np.int64]:
    """Return which of `lanes`, or of all, still move."""
    moving = np.flatnonzero(solver.is_moving)
    return moving if lanes is None else lanes[solver.is_moving[lanes]]


@final
class CompiledSolver(AbstractSolver):
    """L-BFGS in the compiled kernels: lane after lane, in one thread."""

    def __init__(
        self,
        pack: LoadedPack,
        network: Network,
        theta: NDArray[np.float64],
        gamma: NDArray[np.float64],
        restarts: int,
    ) -> None:
        """Start at `theta[L, P]`; see `make_lbfgs_lanes`."""
        assert pack.model.dense is not None, "the kernels know dense networks only"
        coefficient = np.full(len(theta), pack.model.dense.coefficient)
        self.network = network
        self.lanes: LbfgsLanes = make_lbfgs_lanes(
            theta, gamma, coefficient, pack.train.tolerance, MEMORY
        )
        split = pack.data.train
        self.samples = Samples(
            x=split.x,
            y=split.y,
            lane_x=np.repeat(split.lane_x, restarts),
            lane_y=np.repeat(split.lane_y, restarts),
            rows=np.arange(split.x.shape[1], dtype=np.int32),
            noise=np.zeros((1, 1)),
        )
        self.scratch: Scratch = make_scratch(network, CHUNK, np.dtype(np.float64))
        self.workspace: Workspace = make_workspace(theta.shape[1], MEMORY)
        self.minimise(0)

    @property
    def is_divisible(self) -> bool:
        """A lane's memory outlives the call."""
        return True

    @property
    def theta(self) -> NDArray[np.float64]:
        """Parameters of the lanes."""
        return self.lanes.theta

    @property
    def value(self) -> NDArray[np.float64]:
        """Objectives of the lanes."""
        return self.lanes.value

    @property
    def iterations(self) -> NDArray[np.int64]:
        """Steps taken by the lanes."""
        return self.lanes.iterations

    @property
    def is_moving(self) -> NDArray[np.bool_]:
        """Whether each lane has neither converged nor stalled."""
        moving: NDArray[np.bool_] = self.lanes.status == RUNNING
        return moving

    def minimise(self, iterations: int, lanes: NDArray[np.int64] | None = None) -> None:
        """Take up to `iterations` steps of each of `lanes`, or of all, that still moves."""
        minimise_lanes(
            self.network,
            self.lanes,
            self.samples,
            moving_lanes(self, lanes),
            np.int64(iterations),
            self.workspace,
            self.scratch,
        )

    def restart(self, lane: int, theta: NDArray[np.float64]) -> None:
        """Put a lane to `theta`, with no memory of its steps so far."""
        self.lanes.theta[lane] = theta
        self.lanes.stored[lane] = 0
        self.lanes.evaluations[lane] = 0
        self.lanes.status[lane] = RUNNING

    def freeze(self, lanes: NDArray[np.int64]) -> None:
        """Move `lanes` no more."""
        self.lanes.status[lanes] = STALLED

    def state(self) -> State:
        """Return the lanes as they stand; the memory of those only that move, as far as filled."""
        moving, kept = self.remembered()
        return {
            **self.points(),
            "moves": self.lanes.moves[moving, :kept],
            "bends": self.lanes.bends[moving, :kept],
            "curvature": self.lanes.curvature[moving, :kept],
        }

    def restore(self, state: State) -> None:
        """Take over a `state`."""
        for name, array in self.points().items():
            restore_array(state, name, array)
        moving, kept = self.remembered()
        for name in ("moves", "bends", "curvature"):
            memory: NDArray[np.float64] = getattr(self.lanes, name)
            memory[moving, :kept] = read_array(state, name, memory[moving, :kept])

    def points(self) -> State:
        """Return the arrays with an entry a lane that `state` holds whole."""
        names = ("theta", "gradient", "value", "stored", "status", "iterations", "evaluations")
        return {name: getattr(self.lanes, name) for name in names}

    def remembered(self) -> tuple[NDArray[np.int64], int]:
        """Return the lanes whose memory is still needed, and how much of the ring is in use."""
        moving = moving_lanes(self)
        return moving, min(MEMORY, int(self.lanes.stored[moving].max(initial=0)))


@final
class ScipySolver(AbstractSolver):
    """SciPy's L-BFGS-B, a lane at a time, on torch's gradient: for models the kernels do not know.

    Its memory starts anew with each call of `minimise`, so a call cannot be divided.
    """

    def __init__(
        self,
        pack: LoadedPack,
        theta: NDArray[np.float64],
        gamma: NDArray[np.float64],
        restarts: int,
    ) -> None:
        """Start at `theta[L, P]`."""
        self.pack = pack
        self.points = theta
        self.gamma = gamma
        self.restarts = restarts
        self.taken = np.zeros(len(theta), np.int64)
        self.status = np.full(len(theta), RUNNING, np.int64)
        self.values = np.array([self.objective(lane, row)[0] for lane, row in enumerate(theta)])

    @property
    def is_divisible(self) -> bool:
        """SciPy forgets."""
        return False

    @property
    def theta(self) -> NDArray[np.float64]:
        """Parameters of the lanes."""
        return self.points

    @property
    def value(self) -> NDArray[np.float64]:
        """Objectives of the lanes."""
        return self.values

    @property
    def iterations(self) -> NDArray[np.int64]:
        """Steps taken by the lanes."""
        return self.taken

    def objective(self, lane: int, theta: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        """Return the objective of a lane at `theta[P]`, and its gradient."""
        split = self.pack.data.train
        run = lane // self.restarts
        x = torch.from_numpy(split.x[split.lane_x[run]])[None]
        y = torch.from_numpy(split.y[split.lane_y[run]])[None]
        row = torch.tensor(theta[None], requires_grad=True)
        loss = data_loss(self.pack.train.loss, self.pack.model.forward(row, x).for_loss, y).sum()
        value = loss + self.gamma[lane] * row.square().sum()
        (gradient,) = torch.autograd.grad(value, row)
        return float(value.detach()), gradient[0].numpy()

    @property
    def is_moving(self) -> NDArray[np.bool_]:
        """Whether each lane has neither converged nor stalled."""
        moving: NDArray[np.bool_] = self.status == RUNNING
        return moving

    def minimise(self, iterations: int, lanes: NDArray[np.int64] | None = None) -> None:
        """Take up to `iterations` steps of each of `lanes`, or of all, that still moves."""
        from scipy.optimize import minimize

        for lane in map(int, moving_lanes(self, lanes)) if iterations else ():
            found = minimize(
                lambda row, lane=lane: self.objective(lane, row),
                self.points[lane],
                jac=True,
                method="L-BFGS-B",
                options={
                    "maxiter": iterations,
                    "maxfun": 20 * iterations,
                    "maxcor": MEMORY,
                    "ftol": 0.0,
                    "gtol": 0.0,
                },
            )
            value, gradient = self.objective(lane, found.x)
            self.taken[lane] += found.nit
            ratio = float(np.linalg.norm(gradient)) / (1.0 + abs(value))
            if ratio <= self.pack.train.tolerance or found.nit < iterations:
                self.status[lane] = STALLED
            self.points[lane], self.values[lane] = found.x, value

    def restart(self, lane: int, theta: NDArray[np.float64]) -> None:
        """Put a lane to `theta`."""
        self.points[lane] = theta
        self.values[lane] = self.objective(lane, theta)[0]
        self.status[lane] = RUNNING

    def freeze(self, lanes: NDArray[np.int64]) -> None:
        """Move `lanes` no more."""
        self.status[lanes] = STALLED

    def state(self) -> State:
        """Return the lanes as they stand."""
        return {
            "theta": self.points,
            "value": self.values,
            "iterations": self.taken,
            "status": self.status,
        }

    def restore(self, state: State) -> None:
        """Take over a `state`."""
        for name, array in self.state().items():
            restore_array(state, name, array)
