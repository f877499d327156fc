"""The packed trainer of the CPU: lane after lane, many steps each, without leaving the caches.

All lanes of a pack are trained by one call. A lane's parameters, moments and gradient stay in the
first caches while it takes its steps; nothing of a lane is touched by another, so its numbers
cannot depend on its mates, their number or their order, bit for bit.
"""

from typing import Any, NamedTuple

import numpy as np

from symstudy.kernels.clipping import clip_to_norm
from symstudy.kernels.jit import Floats, Index, Integers, Real, compiled, compiled_inline
from symstudy.kernels.passes import AnyNetwork, AnyScratch, lane_pass
from symstudy.kernels.steps import LaneNumbers

LOSS_LIMIT = 1e12
"""A lane whose loss passes this, or is not a number, has diverged."""

Step = Any
"""A compiled step of an optimiser (`symstudy.kernels.steps.KernelStep.compiled`)."""


class Lanes(NamedTuple):
    """State and hyperparameters of the lanes; K lanes, P parameters, S steps of a block.

    Attributes:
        theta: Parameters `[K, P]`.
        first: Velocity or first moment `[K, P]`; `[K, 0]` where the optimiser has none.
        second: Second moment `[K, P]`, or `[K, 0]`.
        is_decoupled: Whether the optimiser applies the penalty beside its step.
        rate: Learning rate `[K, S]`.
        stop: Where stretches of parameters end whose rates have one factor `[K, R]`.
        factor: Factor on the rate of each of these stretches, by the width rules of muP `[K, R]`.
        decay: 2 gamma `[K]`.
        centre: Where the penalty of a pulled lane has its minimum `[K, P]`; `[K, 0]` where no lane
            is pulled.
        stretch: Factor on the penalty of each parameter of a pulled lane `[K, P]`, or `[K, 0]`.
        is_pulled: 1 where the penalty is gamma sum stretch (theta - centre)^2, 0 where it is
            gamma |theta|^2 `[K]`.
        beta1: Momentum or beta1 `[K]`.
        beta2: beta2 `[K]`.
        epsilon: epsilon of Adam `[K]`.
        extra: A further number of the optimiser's own `[K]`.
        coefficient: a of the polynomial activation `[K]`.
        sigma: Label noise drawn at each step `[K]`.
        clip: Norm that the gradient of the data loss is scaled down to `[K]`; 0 for any.
        step: Steps taken before this block.
        diverged: Step at which the lane diverged, or -1 `[K]`; written.
    """

    theta: Floats
    first: Floats
    second: Floats
    is_decoupled: bool
    rate: Floats
    stop: Integers
    factor: Floats
    decay: Floats
    centre: Floats
    stretch: Floats
    is_pulled: Integers
    beta1: Floats
    beta2: Floats
    epsilon: Floats
    extra: Floats
    coefficient: Floats
    sigma: Floats
    clip: Floats
    step: int
    diverged: Integers


class Batches(NamedTuple):
    """Data of a block; lanes name the group they read, so lanes that share a seed share memory.

    Attributes:
        x: Inputs `[groups, n, d]`.
        y: Targets `[groups, n, outputs]`.
        rows: Which samples each step takes `[groups, S, B]`, int32; `[groups, 1, B]` for all steps.
        noise: Label noise of each step `[groups, S, B, columns]`, or `[1, 1, 1, 1]` for none.
        noise_kind: See `symstudy.kernels.losses`.
        lane_x: Group of `x` of each lane `[K]`.
        lane_y: Group of `y` of each lane `[K]`.
        lane_rows: Group of `rows` of each lane `[K]`.
        lane_noise: Group of `noise` of each lane `[K]`.
    """

    x: Floats
    y: Floats
    rows: Integers
    noise: Floats
    noise_kind: int
    lane_x: Integers
    lane_y: Integers
    lane_rows: Integers
    lane_noise: Integers


class Samples(NamedTuple):
    """A split that lanes are surveyed on.

    Attributes:
        x: Inputs `[groups, n, d]`.
        y: Targets `[groups, n, outputs]`.
        lane_x: Group of `x` of each lane `[K]`.
        lane_y: Group of `y` of each lane `[K]`.
        rows: 0 .. n - 1, int32.
        noise: `[1, 1]`; an unused placeholder for label noise.
    """

    x: Floats
    y: Floats
    lane_x: Integers
    lane_y: Integers
    rows: Integers
    noise: Floats


@compiled
def pull(target: Floats, theta: Floats, centre: Floats, stretch: Floats, factor: Real) -> None:
    """Add factor stretch (theta - centre) to `target`, which may be `theta` itself."""
    for i in range(theta.size):
        target[i] += factor * (stretch[i] * (theta[i] - centre[i]))


@compiled_inline
def update(lanes: Lanes, k: Index, s: Index, gradient: Floats, step: Step) -> None:
    """Move lane `k` by its step `s` of the block.

    The coupled penalty gamma |theta|^2 adds 2 gamma theta to the gradient (`decay` = 2 gamma); a
    decoupled one shrinks the parameters beside the step. A penalty around another point than the
    origin, gamma sum_i stretch_i (theta_i - centre_i)^2, is added by `pull` before the step, which
    then has no decay of its own. A factor on the rate is one on the whole of a coupled gradient,
    and leaves a decoupled decay as it is.
    """
    theta = lanes.theta[k]
    rate = lanes.rate[k, s]
    kind = lanes.rate.dtype.type
    decay = lanes.decay[k]
    if lanes.is_pulled[k] != 0:
        # One more pass for these lanes; the others take the step as if there were none.
        if lanes.is_decoupled:
            pull(theta, theta, lanes.centre[k], lanes.stretch[k], -rate * decay)
        else:
            pull(gradient, theta, lanes.centre[k], lanes.stretch[k], decay)
        decay = kind(0.0)
    first, second = lanes.first[k], lanes.second[k]
    start = 0
    for r in range(lanes.stop.shape[1]):
        stop = lanes.stop[k, r]
        numbers = LaneNumbers(
            rate * lanes.factor[k, r],
            kind(0.0) if lanes.is_decoupled else decay,
            kind(1.0) - rate * decay if lanes.is_decoupled else kind(1.0),
            lanes.beta1[k],
            lanes.beta2[k],
            lanes.epsilon[k],
            lanes.extra[k],
            lanes.step + s + 1,
        )
        # A moment that is not kept has no items in any stretch.
        step(
            theta[start:stop],
            first[start:stop],
            second[start:stop],
            gradient[start:stop],
            numbers,
        )
        start = stop


@compiled
def update_lanes(lanes: Lanes, chosen: Integers, s: Index, gradient: Floats, step: Step) -> None:
    """Move the lanes `chosen` by their step `s` of the block, by their rows of `gradient[K, P]`.

    The penalty of pulled lanes is added to their rows of `gradient`.
    """
    for k in chosen:
        update(lanes, k, s, gradient[k], step)


@compiled
def train_lanes(
    network: AnyNetwork,
    lanes: Lanes,
    batches: Batches,
    chosen: Integers,
    scratch: AnyScratch,
    gradient: Floats,
    step: Step,
) -> None:
    """Train the lanes `chosen` through all steps of a block.

    A lane that diverges stops where it is, with its step in `lanes.diverged`.
    """
    for k in chosen:
        x = batches.x[batches.lane_x[k]]
        y = batches.y[batches.lane_y[k]]
        rows = batches.rows[batches.lane_rows[k]]
        noise = batches.noise[batches.lane_noise[k]]
        last_rows = rows.shape[0] - 1
        last_noise = noise.shape[0] - 1
        for s in range(lanes.rate.shape[1]):
            loss, _ = lane_pass(
                network,
                lanes.theta[k],
                lanes.coefficient[k],
                x,
                y,
                rows[min(s, last_rows)],
                batches.noise_kind,
                lanes.sigma[k],
                noise[min(s, last_noise)],
                gradient,
                scratch,
            )
            if not loss < LOSS_LIMIT:
                lanes.diverged[k] = lanes.step + s
                break
            if lanes.clip[k] > 0:
                clip_to_norm(gradient, lanes.clip[k])
            update(lanes, k, s, gradient, step)


@compiled
def survey_lanes(
    network: AnyNetwork,
    theta: Floats,
    coefficient: Floats,
    samples: Samples,
    chosen: Integers,
    scratch: AnyScratch,
    loss: Floats,
    accuracy: Floats,
    gradient: Floats,
) -> None:
    """Fill `loss` of the lanes `chosen` over all samples, and `gradient` or else `accuracy`.

    Args:
        network: The layers.
        theta: Parameters `[K, P]`.
        coefficient: a of the polynomial activation `[K]`.
        samples: What the lanes read.
        chosen: Lanes.
        scratch: Of one thread.
        loss: Written, float64 `[K]`.
        accuracy: Written, float64 `[K]`, where `gradient` is empty.
        gradient: `[K, P]`, written with the gradient of the data loss; or `[K, 0]`.
    """
    for k in chosen:
        loss[k], hits = lane_pass(
            network,
            theta[k],
            coefficient[k],
            samples.x[samples.lane_x[k]],
            samples.y[samples.lane_y[k]],
            samples.rows,
            np.int64(0),
            coefficient[k],
            samples.noise,
            gradient[k],
            scratch,
        )
        if gradient.shape[1] == 0:
            accuracy[k] = hits / samples.rows.size
