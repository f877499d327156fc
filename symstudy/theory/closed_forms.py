"""Exact laws of linear networks and of noise near zero, as functions of numbers; no torch.

A network of D linear layers on white inputs minimises |W_D ... W_1 - S|^2 + gamma sum |W_i|^2. At a
balanced critical point a singular value sigma of S is learned as the s that solves
sigma = s + gamma s^((2 - D) / D).
"""

import functools

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, stats

__all__ = [
    "critical_gamma_of_chi_square",
    "critical_gamma_of_mode",
    "escape_time",
    "learned_value",
    "mode_half_time",
    "rank_slope",
    "smallest_learned_value",
    "spinodal",
]

QUANTILES = 20_001
"""Evenly spaced quantiles that an expectation over a continuous distribution is the mean over."""


def spinodal(depth: int, sigma: float) -> float:
    """Return the gamma at which the learned value of `sigma` loses its stable point.

    (sigma (D - 2) / (2 D - 2))^((2 D - 2) / D) D / (D - 2) for D >= 3 layers; sigma for two.

    References:
        arXiv:2502.05300, quantized capacity; derived from the equation of the critical points.
    """
    if depth == 2:
        return sigma
    learned = sigma * (depth - 2) / (2 * depth - 2)
    power = (2 * depth - 2) / depth
    return float(learned**power * depth / (depth - 2))


def smallest_learned_value(depth: int, gamma: float | NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the smallest singular value that is stable at `gamma`.

    (gamma (D - 2) / D)^(D / (2 D - 2)), the s at which s + gamma s^((2 - D) / D) is least; 0 for
    two layers.
    """
    gammas = np.asarray(gamma, float)
    return np.asarray((gammas * (depth - 2) / depth) ** (depth / (2 * depth - 2)))


def learned_value(depth: int, gamma: float, sigma: float) -> float:
    """Return the learned value s of `sigma`, on the branch that large starts end on.

    The larger root of sigma = s + gamma s^((2 - D) / D); 0 from the spinodal on.
    """
    if gamma >= spinodal(depth, sigma):
        return 0.0
    if depth == 2 or gamma == 0.0:
        return sigma - gamma if depth == 2 else sigma

    def excess(s: float) -> float:
        return float(s + gamma * s ** ((2.0 - depth) / depth) - sigma)

    lowest = sigma * (depth - 2) / (2 * depth - 2)
    return float(optimize.brentq(excess, max(lowest, float(np.finfo(float).tiny)), sigma))


def rank_slope(depth: int, exponent: float) -> float:
    """Return d ln rank / d ln gamma of D layers on singular values A k^-a: -D / (2 a (D - 1)).

    Singular values above a floor proportional to gamma^(D / (2 D - 2)) are kept.
    """
    return -depth / (2 * exponent * (depth - 1))


def escape_time(depth: int, start: float, sigma: float) -> float:
    """Return the time lr times steps at which an aligned mode passes half of `sigma`.

    From weights of size w_0: ln(sigma / w_0^2 - 1) / (4 sigma) for two layers, exactly; to leading
    order w_0^(2 - D) / (2 sigma (D - 2)) for D >= 3.

    References:
        Saxe, McClelland and Ganguli 2014, arXiv:1312.6120, for two layers.
    """
    if depth == 2:
        return float(np.log(sigma / start**2 - 1.0) / (4.0 * sigma))
    return float(start ** (2.0 - depth) / (2.0 * sigma * (depth - 2.0)))


def mode_half_time(start: float, sigma: float, gamma: float = 0.0) -> float:
    """Return the time lr times steps at which a mode of two layers passes half of its end.

    ds/dt = 4 s (sigma - gamma - s) from s_0 gives ln((sigma - gamma) / s_0 - 1) /
    (4 (sigma - gamma)).

    Args:
        start: Initial value s_0 of the mode, a product of two weights.
        sigma: Singular value of the target.
        gamma: Coefficient of the squared norm, below sigma.
    """
    end = sigma - gamma
    return float(np.log(end / start - 1.0) / (4.0 * end))


def critical_gamma_of_mode(strength: float, dim: int, batch: int, temperature: float) -> float:
    """Return the gamma at which E ln|1 - 2 lr gamma + 2 lr b| = 0, b = s d n / B.

    n is binomial, of B draws of chance 1 / d: how often the mode's input is in a batch of inputs
    that lie along d axes. To first order in T it is s - T (d - 1) s^2.

    Args:
        strength: s of the mode.
        dim: d, the number of axes.
        batch: B.
        temperature: T = lr / B.

    References:
        Furstenberg and Kesten 1960, for numbers.
    """
    counts = np.arange(batch + 1)
    chances = stats.binom.pmf(counts, batch, 1 / dim)
    first_order = strength - temperature * (dim - 1) * strength**2
    low = first_order - 0.3 * strength
    return root_of(chances, strength * dim * counts / batch, temperature * batch, low, strength)


@functools.cache
def critical_gamma_of_chi_square(batch: int, temperature: float, power: float) -> float:
    """Return the gamma at which E ln|1 - 2 lr gamma + 2 lr b| = 0, b = m chi^2_B / B.

    b is the mean over a batch of squares of normal numbers of variance m. To first order in T it is
    m - 2 m^2 T. The expectation is the mean over evenly spaced quantiles.

    Args:
        batch: B.
        temperature: T = lr / B.
        power: m.
    """
    levels = (np.arange(QUANTILES) + 0.5) / QUANTILES
    draws = stats.gamma.ppf(levels, batch / 2, scale=2 * power / batch)
    shares = np.full(QUANTILES, 1.0 / QUANTILES)
    low = power - 2 * power**2 * temperature - 0.5 * power
    return root_of(shares, draws, temperature * batch, low, power)


def root_of(
    chances: NDArray[np.float64], draws: NDArray[np.float64], lr: float, low: float, high: float
) -> float:
    """Return the gamma in [low, high] at which the mean of ln|1 - 2 lr gamma + 2 lr b| is 0.

    By Jensen the mean is at most 0 at gamma = E b, so that is where to end.
    """

    def exponent(gamma: float) -> float:
        return float(chances @ np.log(np.abs(1 - 2 * lr * gamma + 2 * lr * draws)))

    return float(optimize.brentq(exponent, low, high))
