"""One pass over memory for one step of an optimiser: gradient, moments and parameters together.

The coupled penalty gamma |theta|^2 adds 2 gamma theta to the gradient (`decay` = 2 gamma); the
decoupled one of AdamW shrinks the parameters beside the step. A penalty around another point than
the origin, gamma sum_i stretch_i (theta_i - centre_i)^2, is added by `pull` before the step, which
then has no decay of its own.

References: Kingma and Ba 2015 (Adam); Loshchilov and Hutter 2019 (AdamW); the arithmetic is that of
`torch.optim`, term by term.
"""

import math

from symstudy.kernels.jit import Floats, Real, compiled


@compiled
def pull(target: Floats, theta: Floats, centre: Floats, stretch: Floats, factor: Real) -> None:
    """Add factor stretch (theta - centre) to `target`, which may be `theta` itself."""
    for i in range(theta.size):
        target[i] += factor * (stretch[i] * (theta[i] - centre[i]))


@compiled
def sgd(theta: Floats, gradient: Floats, rate: Real, decay: Real) -> None:
    """Take the step theta -= rate (gradient + decay theta)."""
    for i in range(theta.size):
        theta[i] -= rate * (gradient[i] + decay * theta[i])


@compiled
def momentum(
    theta: Floats, velocity: Floats, gradient: Floats, rate: Real, decay: Real, beta: Real
) -> None:
    """Take the step velocity = beta velocity + g; theta -= rate velocity, g with the decay."""
    for i in range(theta.size):
        v = beta * velocity[i] + (gradient[i] + decay * theta[i])
        velocity[i] = v
        theta[i] -= rate * v


@compiled
def adam(
    theta: Floats,
    first: Floats,
    second: Floats,
    gradient: Floats,
    rate: Real,
    coupled: Real,
    shrink: Real,
    beta1: Real,
    beta2: Real,
    epsilon: Real,
    root_correction: Real,
) -> None:
    """Take a step of Adam (`shrink` 1) or AdamW (`coupled` 0).

    Args:
        theta: Parameters.
        first: Running mean of the gradient.
        second: Running mean of its square.
        gradient: Gradient of the data loss.
        rate: Learning rate over 1 - beta1^t.
        coupled: 2 gamma of Adam.
        shrink: 1 - learning rate x 2 gamma of AdamW.
        beta1: Decay of `first`.
        beta2: Decay of `second`.
        epsilon: Added to the root.
        root_correction: 1 / sqrt(1 - beta2^t).
    """
    one = theta.dtype.type(1.0)
    keep1 = one - beta1
    keep2 = one - beta2
    for i in range(theta.size):
        w = theta[i] * shrink
        g = gradient[i] + coupled * theta[i]
        m = beta1 * first[i] + keep1 * g
        v = beta2 * second[i] + keep2 * g * g
        first[i] = m
        second[i] = v
        theta[i] = w - rate * m / (math.sqrt(v) * root_correction + epsilon)
