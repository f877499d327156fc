"""L-BFGS for the lanes of a pack, to a stationary point of data loss plus gamma |theta|^2.

Each lane has its own history and line search and shares nothing with its mates, so a lane's minimum
does not depend on them, bit for bit. A lane stops once |grad| / (1 + |objective|) is at most its
tolerance, or where no step lowers the objective any more.

References:
    Liu and Nocedal 1989 (two-loop recursion); Hager and Zhang 2005, "A new conjugate gradient
    method with guaranteed descent and an efficient line search" (the approximate Wolfe conditions,
    which go on where differences of the objective drown in rounding). We take one secant step where
    they take two, and bisect where it would not shrink the bracket by a third.
"""

import math
from typing import NamedTuple

import numpy as np

from symstudy.kernels.jit import Floats, Index, Integers, Real, compiled, compiled_sum
from symstudy.kernels.lanes import Samples
from symstudy.kernels.network import Network, Scratch, dense_pass

RUNNING, CONVERGED, STALLED = range(3)
"""Status of a lane: still going, at its tolerance, or without a step that descends."""

SUFFICIENT = 0.1
CURVATURE = 0.9
EXPANSION = 5.0
SHRINK = 0.66
TRIALS = 60
SLACK = 1e-12
"""Increase of the objective, relative to it, that is taken for rounding."""


class LbfgsLanes(NamedTuple):
    """State of the lanes; K lanes, P parameters, M steps remembered.

    Attributes:
        theta: Parameters `[K, P]`, written.
        gradient: Gradient of the objective there `[K, P]`, written.
        value: Objective there `[K]`, written.
        moves: Last steps `[K, M, P]`, a ring.
        bends: Changes of the gradient over them `[K, M, P]`.
        curvature: 1 / (move . bend) of each `[K, M]`.
        stored: Steps stored since the start or the last reset `[K]`.
        status: See `RUNNING`, written `[K]`.
        iterations: Steps taken `[K]`, written.
        evaluations: Passes over the data `[K]`, written.
        gamma: Coefficient of the squared norm `[K]`.
        coefficient: a of the polynomial activation `[K]`.
        tolerance: Of |grad| / (1 + |objective|) `[K]`.
    """

    theta: Floats
    gradient: Floats
    value: Floats
    moves: Floats
    bends: Floats
    curvature: Floats
    stored: Integers
    status: Integers
    iterations: Integers
    evaluations: Integers
    gamma: Floats
    coefficient: Floats
    tolerance: Floats


class Workspace(NamedTuple):
    """Scratch of one thread.

    Attributes:
        direction: Where the line goes `[P]`.
        theta: Parameters at the point last tried `[P]`.
        gradient: Gradient there `[P]`.
        shares: Coefficients of the two loops `[M]`.
    """

    direction: Floats
    theta: Floats
    gradient: Floats
    shares: Floats


@compiled_sum
def dot(a: Floats, b: Floats) -> Real:
    """Return the inner product of two vectors."""
    total = 0.0
    for i in range(a.size):
        total += a[i] * b[i]
    return total


@compiled
def objective(
    network: Network,
    descent: LbfgsLanes,
    samples: Samples,
    k: Index,
    theta: Floats,
    gradient: Floats,
    scratch: Scratch,
) -> Real:
    """Return the objective of lane `k` at `theta` and fill `gradient`."""
    loss, _ = dense_pass(
        network,
        theta,
        descent.coefficient[k],
        samples.x[samples.lane_x[k]],
        samples.y[samples.lane_y[k]],
        samples.rows,
        np.int64(0),
        descent.coefficient[k],
        samples.noise,
        gradient,
        scratch,
    )
    descent.evaluations[k] += 1
    gamma = descent.gamma[k]
    for i in range(theta.size):
        gradient[i] += 2.0 * gamma * theta[i]
    return loss + gamma * dot(theta, theta)


@compiled
def aim(descent: LbfgsLanes, k: Index, workspace: Workspace) -> Real:
    """Fill the direction of descent of lane `k`; return the slope of the objective along it."""
    direction = workspace.direction
    gradient = descent.gradient[k]
    for i in range(direction.size):
        direction[i] = -gradient[i]
    size = descent.moves.shape[1]
    stored = descent.stored[k]
    kept = min(stored, size)
    for back in range(kept):
        slot = (stored - 1 - back) % size
        share = descent.curvature[k, slot] * dot(descent.moves[k, slot], direction)
        workspace.shares[slot] = share
        bend = descent.bends[k, slot]
        for i in range(direction.size):
            direction[i] -= share * bend[i]
    if kept > 0:
        slot = (stored - 1) % size
        bend = descent.bends[k, slot]
        scale = 1.0 / (descent.curvature[k, slot] * dot(bend, bend))
        for i in range(direction.size):
            direction[i] *= scale
    for ahead in range(kept):
        slot = (stored - kept + ahead) % size
        move = descent.moves[k, slot]
        share = workspace.shares[slot] - descent.curvature[k, slot] * dot(
            descent.bends[k, slot], direction
        )
        for i in range(direction.size):
            direction[i] += share * move[i]
    return dot(direction, gradient)


@compiled
def try_step(
    network: Network,
    descent: LbfgsLanes,
    samples: Samples,
    k: Index,
    length: Real,
    workspace: Workspace,
    scratch: Scratch,
) -> tuple[Real, Real]:
    """Go `length` along the direction; return the objective and its slope there."""
    theta = descent.theta[k]
    for i in range(theta.size):
        workspace.theta[i] = theta[i] + length * workspace.direction[i]
    value = objective(network, descent, samples, k, workspace.theta, workspace.gradient, scratch)
    return value, dot(workspace.gradient, workspace.direction)


@compiled
def is_acceptable(
    length: Real, value: Real, slope: Real, value0: Real, slope0: Real, slack: Real
) -> bool:
    """Return whether a point fulfils the Wolfe conditions, exactly or up to rounding."""
    if slope < CURVATURE * slope0:
        return False
    if value - value0 <= SUFFICIENT * length * slope0:
        return True
    return bool(value <= value0 + slack and slope <= (2.0 * SUFFICIENT - 1.0) * slope0)


@compiled
def search(
    network: Network,
    descent: LbfgsLanes,
    samples: Samples,
    k: Index,
    start: Real,
    slope0: Real,
    workspace: Workspace,
    scratch: Scratch,
) -> tuple[Real, Real]:
    """Search along the direction of lane `k` from length `start` on.

    Returns:
        Length and objective of a point that fulfils the Wolfe conditions, with that point in
        `workspace`; a length of 0 if there is none.
    """
    value0 = descent.value[k]
    slack = SLACK * abs(value0)
    low, low_slope = 0.0, slope0
    high, high_slope = 0.0, 0.0
    at = start
    is_bracketed = False
    is_above = False
    width = 0.0
    for _ in range(TRIALS):
        value, slope = try_step(network, descent, samples, k, at, workspace, scratch)
        if math.isfinite(value) and is_acceptable(at, value, slope, value0, slope0, slack):
            return at, value
        if not math.isfinite(value) or value > value0 + slack:
            # Too far: the slope there says nothing of the valley between, so halve.
            high, is_bracketed, is_above = at, True, slope < 0.0 or not math.isfinite(value)
            high_slope = slope
        elif slope >= 0.0:
            high, high_slope, is_bracketed, is_above = at, slope, True, False
        else:
            low, low_slope = at, slope
        if not is_bracketed:
            at *= EXPANSION
            continue
        shrunk = high - low
        if shrunk <= 1e-15 * high:
            break
        middle = 0.5 * (low + high)
        at = middle
        if not is_above and high_slope > low_slope and (width == 0.0 or shrunk <= SHRINK * width):
            secant = (low * high_slope - high * low_slope) / (high_slope - low_slope)
            margin = 1e-3 * shrunk
            if low + margin < secant < high - margin:
                at = secant
        width = shrunk
    return 0.0, value0


@compiled
def remember(descent: LbfgsLanes, k: Index, workspace: Workspace) -> None:
    """Move lane `k` to the point in `workspace`, and store the step if it bends upwards."""
    size = descent.moves.shape[1]
    slot = descent.stored[k] % size
    move, bend = descent.moves[k, slot], descent.bends[k, slot]
    for i in range(move.size):
        move[i] = workspace.theta[i] - descent.theta[k, i]
        bend[i] = workspace.gradient[i] - descent.gradient[k, i]
        descent.theta[k, i] = workspace.theta[i]
        descent.gradient[k, i] = workspace.gradient[i]
    rise = dot(move, bend)
    if rise > 1e-14 * math.sqrt(dot(move, move) * dot(bend, bend)):
        descent.curvature[k, slot] = 1.0 / rise
        descent.stored[k] += 1


@compiled
def minimise_lanes(
    network: Network,
    descent: LbfgsLanes,
    samples: Samples,
    chosen: Integers,
    iterations: Index,
    workspace: Workspace,
    scratch: Scratch,
) -> None:
    """Take up to `iterations` steps of each of the lanes `chosen` that are `RUNNING`."""
    for k in chosen:
        if descent.evaluations[k] == 0:
            descent.value[k] = objective(
                network, descent, samples, k, descent.theta[k], descent.gradient[k], scratch
            )
        for _ in range(iterations):
            norm = math.sqrt(dot(descent.gradient[k], descent.gradient[k]))
            if not math.isfinite(descent.value[k]):
                descent.status[k] = STALLED
            elif norm <= descent.tolerance[k] * (1.0 + abs(descent.value[k])):
                descent.status[k] = CONVERGED
            if descent.status[k] != RUNNING:
                break
            slope = aim(descent, k, workspace)
            if not slope < 0.0:
                descent.stored[k] = 0
                slope = aim(descent, k, workspace)
            start = 1.0 if descent.stored[k] > 0 else min(1.0, 1.0 / norm)
            length, value = search(network, descent, samples, k, start, slope, workspace, scratch)
            if length == 0.0:
                if descent.stored[k] == 0:
                    descent.status[k] = STALLED
                    break
                # The memory may mislead: once more along the gradient itself.
                descent.stored[k] = 0
                continue
            remember(descent, k, workspace)
            descent.value[k] = value
            descent.iterations[k] += 1


def make_lbfgs_lanes(
    theta: Floats, gamma: Floats, coefficient: Floats, tolerance: float, memory: int
) -> LbfgsLanes:
    """Return lanes that start at `theta[K, P]` with an empty memory of `memory` steps."""
    lanes, size = theta.shape
    return LbfgsLanes(
        theta=theta,
        gradient=np.zeros_like(theta),
        value=np.full(lanes, np.inf),
        moves=np.zeros((lanes, memory, size)),
        bends=np.zeros((lanes, memory, size)),
        curvature=np.zeros((lanes, memory)),
        stored=np.zeros(lanes, np.int64),
        status=np.full(lanes, RUNNING, np.int64),
        iterations=np.zeros(lanes, np.int64),
        evaluations=np.zeros(lanes, np.int64),
        gamma=gamma,
        coefficient=coefficient,
        tolerance=np.full(lanes, tolerance),
    )


def make_workspace(size: int, memory: int) -> Workspace:
    """Return scratch for parameters of `size` and a memory of `memory` steps."""
    return Workspace(np.empty(size), np.empty(size), np.empty(size), np.empty(memory))
