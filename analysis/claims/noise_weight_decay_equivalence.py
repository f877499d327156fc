"""Gradient noise acts on a symmetric state as weight decay does: gamma and T v add.

A network u w x on targets y = x has its symmetric state at u = w = 0. Linearised there, a step of
SGD multiplies u + w by 1 - 2 lr gamma + 2 lr b, where b is the mean of x^2 over the batch. The
state attracts where E ln|1 - 2 lr gamma + 2 lr b| < 0. To first order in lr that is
gamma + T v > m, with m and v the mean and the variance of x^2 and T = lr / batch size; for Gaussian
x of variance q, m = q and v = 2 q^2.
"""

import numpy as np
from numpy.typing import NDArray

from symstudy.findings import All, Bound, Evidence, claim

from ..shared.critical_lines import crossing, growth_rates, line_through

Array = NDArray[np.float64]

ONE_NEURON = """
    data = 'identity' and input_dim = 1 and width = 1 and depth = 2 and activation is null
    and samples = 0 and label_noise = 0 and optimizer = 'sgd' and momentum = 0
    and schedule = 'constant' and loss = 'squared_error' and dtype = 'float64'
"""


@claim(
    title="Gradient noise adds to weight decay",
    statement=(
        "SGD is attracted to the symmetric state of a rescaling symmetry where gamma + T v exceeds "
        "the mean m of the signal: noise of variance v at temperature T = lr / batch size acts as "
        "a weight decay of T v."
    ),
    study="noise_weight_decay_equivalence",
    reference="arXiv:2502.05300, regularisation by noise; exact: Lyapunov exponent, in the file",
)
def noise_weight_decay_equivalence(runs: Evidence) -> All:
    """The critical gamma falls with T by v, from m, at every batch size."""
    lines = (
        growth_rates(runs, ONE_NEURON)
        .define(power="input_scale ** 2")
        .per("batch_size", "power", "temperature", gamma_c=critical_gamma)
        .per("batch_size", slope=relative_slope, end=relative_end)
    )
    by = ("batch_size",)
    slope, end = "slope of the critical line over v", "critical line at T = 0 over m"
    return All(
        Bound(lines, "slope", at_least=-1.1, at_most=-0.9, by=by, name=slope),
        Bound(lines, "end", at_least=0.98, at_most=1.02, by=by, name=end),
    )


def critical_gamma(gamma: Array, rate: Array) -> float:
    """Return where the growth rate of a seed changes sign."""
    return crossing(gamma, rate)


def relative_slope(temperature: Array, gamma_c: Array, power: Array) -> float:
    """Return d gamma_c / d T over the variance of x^2."""
    return line_through(temperature, gamma_c)[0] / float(2 * power[0] ** 2)


def relative_end(temperature: Array, gamma_c: Array, power: Array) -> float:
    """Return the critical gamma without noise over the mean of x^2."""
    return line_through(temperature, gamma_c)[1] / float(power[0])
