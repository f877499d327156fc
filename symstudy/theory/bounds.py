"""How many distinct neurons regularisation allows: separation, packing, and estimates of both.

Theorem 4 of arXiv:2502.05300 in the form used here. The loss l of N neurons of d numbers each is
unchanged by swapping them, and L = l + gamma |W|^2 is at a global minimum. For a pair at distance D
let W^m have both neurons replaced by their mean. The penalty of W^m is lower by gamma D^2 / 2, so
L(W) <= L(W^m) needs l(W^m) - l(W) >= gamma D^2 / 2. If merging never raises the loss by more than
K D^(2 + kappa), the smoothness hypothesis, then every pair with D > 0 has

    D >= r = (gamma_eff / (2 K))^(1 / kappa),

gamma_eff = gamma, plus T times a constant where SGD's noise adds to it. A third derivative bounded
by rho gives kappa = 1, K = rho / (12 sqrt 2); a fourth one gives kappa = 2, K = rho / 96, for the
swap makes the loss even in the difference of the pair. Comparing with W = 0 gives gamma sum |w_i|^2
<= E0 = l(0). Points at least r apart with a bounded sum of squares can only be so many.

Linear and positively homogeneous neurons are outside: splitting one costs nothing, so no separation
holds between raw neurons, and ranks or directions are what is bounded.
"""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from symstudy.errors import unknown_name

__all__ = [
    "BOUNDS",
    "Smoothness",
    "bound_exponent",
    "estimate_smoothness",
    "neuron_bound",
    "separation",
]

BOUNDS = ("naive", "alpha", "alpha_unscaled", "dimension_free", "finite_dimension")
"""The bounds on the number of distinct neurons that `neuron_bound` knows."""

ROUND_OFF = 1e-13
"""Differences of the loss below this share of the largest are rounding."""
HUBER = 1.345
"""Residuals beyond so many deviations count less: 95% efficiency for normal ones (Huber 1964)."""


class Smoothness(NamedTuple):
    """How merging pairs of neurons changes the loss: |l(W) - l(W^m)| ~ K D^(2 + kappa).

    Attributes:
        kappa: Slope of ln |l(W) - l(W^m)| against ln D, less 2.
        kappa_error: Standard error of the slope; pairs that share a neuron are not independent, so
            it is too small.
        K: exp of the intercept: what a typical pair has.
        K_bound: Smallest K with l(W^m) - l(W) <= K D^(2 + kappa) for all pairs at this kappa; 0 if
            no merge raises the loss.
        pairs: Pairs above rounding that the fit rests on.
    """

    kappa: float
    kappa_error: float
    K: float
    K_bound: float
    pairs: int


def separation(gamma_eff: float, K: float, kappa: float) -> float:
    """Return r = (gamma_eff / (2 K))^(1 / kappa), the least distance of non-identical neurons.

    Args:
        gamma_eff: Penalty with the noise's share, above 0; in units of loss / weight^2.
        K: Constant of the hypothesis, above 0; in units of loss / weight^(2 + kappa).
        kappa: Its exponent, above 0.

    Raises:
        ValueError: If an argument is out of range.

    References:
        arXiv:2502.05300, Eqs. 32-34; attained by two neurons of loss -K min(D, c)^(2 + kappa).
    """
    require_positive(gamma_eff=gamma_eff, K=K, kappa=kappa)
    return float((gamma_eff / (2.0 * K)) ** (1.0 / kappa))


def neuron_bound(  # noqa: PLR0913  # the constants of the bound, by the names that the paper gives them
    kind: str,
    gamma: float,
    K: float,
    kappa: float,
    E0: float,
    d: int = 1,
    alpha: float = 1.0,
    C: float = 1.0,
    *,
    gamma_eff: float | None = None,
) -> float:
    """Return a bound on N*, the distinct neurons of a global minimum, a zero one included.

    With r the `separation` and E0 / gamma >= sum |w_i|^2:

    * `naive`: (1 + 2 R / r)^d, R^2 = E0 / gamma. Balls of radius r / 2 around the neurons are
      disjoint and lie in a ball of radius R + r / 2; compare volumes. Grows as
      gamma^-(d/2 + d/kappa).
    * `alpha`: assumes |w_i|^2 <= C N^-alpha / gamma, so R shrinks with N >= N*. Where 2 R >= r,
      1 + 2 R / r <= 4 R / r, so N*^(1 + alpha d / 2) <= (4 sqrt(C / gamma) / r)^d; otherwise
      N* < 2^d. The bound is the larger of the two. Exponent (1/2 + 1/kappa) 2 d / (2 + alpha d).
    * `alpha_unscaled`: the same for |w_i|^2 <= C N^-alpha, without 1 / gamma. Exponent
      2 d / (kappa (2 + alpha d)).
    * `dimension_free`: 1 + 2 E0 / (gamma r^2). With one representative a cluster,
      N* (N* - 1) r^2 / 2 <= sum_{i<j} |w_i - w_j|^2 = N* sum |w_i|^2 - |sum w_i|^2
      <= N* E0 / gamma. Needs no assumption on single norms and no dimension, and a regular simplex
      around 0 attains it. Exponent 1 + 2 / kappa: 3 for kappa = 1.
    * `finite_dimension`: at least half of the neurons lie outside of the radius rho with
      (1 + 2 rho / r)^d = N* / 2, so (N* / 2) rho^2 <= E0 / gamma; if N* >= 2^(d+1) then
      rho >= (r / 4) (N* / 2)^(1/d), and N* <= (32 2^(2/d) E0 / (gamma r^2))^(d / (d + 2)). The
      bound is the larger of this and 2^(d+1). Exponent (1 + 2/kappa) d / (d + 2): that of `alpha`
      at alpha = 1, so equal shares of the norm need not be assumed.

    Args:
        kind: One of `BOUNDS`.
        gamma: Coefficient of the squared norm, above 0.
        K: See `separation`.
        kappa: See `separation`.
        E0: Loss at W = 0, at least 0.
        d: Numbers of a neuron, at least 1; `dimension_free` does not read it.
        alpha: Exponent of the assumption of `alpha` and `alpha_unscaled`, at least 0.
        C: Its constant, above 0.
        gamma_eff: What sets the separation; gamma if not given.

    Returns:
        A number that is at least 1; infinite where the power overflows.

    Raises:
        ValueError: If an argument is out of range.
        UnknownNameError: If there is no such bound.

    References:
        arXiv:2502.05300, Theorem 4, Eqs. 35-38, with constants derived here; `dimension_free` and
        `finite_dimension` are derived here.
    """
    if kind not in BOUNDS:
        raise unknown_name("`kind`", kind, BOUNDS)
    require_positive(gamma=gamma, C=C)
    if not E0 >= 0:
        raise ValueError(f"`E0` must be at least 0, but got {E0!r}. Shift the loss by its minimum.")
    if d < 1:
        raise ValueError(f"`d` must be at least 1, but got {d!r}. Count the numbers of a neuron.")
    if not alpha >= 0:
        raise ValueError(f"`alpha` must be at least 0, but got {alpha!r}. Use 0 for no scaling.")
    r = separation(gamma if gamma_eff is None else gamma_eff, K, kappa)
    budget = E0 / gamma
    if kind == "dimension_free":
        return 1.0 + 2.0 * budget / r**2
    if kind == "naive":
        return power(1.0 + 2.0 * math.sqrt(budget) / r, float(d))
    if kind == "finite_dimension":
        tail = power(32.0 * 2.0 ** (2.0 / d) * budget / r**2, d / (d + 2.0))
        return max(power(2.0, d + 1.0), tail)
    assert kind in {"alpha", "alpha_unscaled"}, f"no such bound: {kind}"
    radius = math.sqrt(C / gamma) if kind == "alpha" else math.sqrt(C)
    return max(power(2.0, float(d)), power(4.0 * radius / r, 2.0 * d / (2.0 + alpha * d)))


def bound_exponent(kind: str, kappa: float, d: int = 1, alpha: float = 1.0) -> float:
    """Return p such that the bound `kind` grows as gamma^-p for small gamma.

    Raises:
        ValueError: If kappa is not positive.
        UnknownNameError: If there is no such bound.
    """
    require_positive(kappa=kappa)
    exponents: dict[str, float] = {
        "naive": d / 2 + d / kappa,
        "alpha": (0.5 + 1 / kappa) * 2 * d / (2 + alpha * d),
        "alpha_unscaled": 2 * d / (kappa * (2 + alpha * d)),
        "dimension_free": 1 + 2 / kappa,
        "finite_dimension": (1 + 2 / kappa) * d / (d + 2),
    }
    if kind not in exponents:
        raise unknown_name("`kind`", kind, BOUNDS)
    return exponents[kind]


def estimate_smoothness(
    distances_Q: Float[np.ndarray, " pairs"], differences_Q: Float[np.ndarray, " pairs"]
) -> Smoothness:
    """Return kappa and K of a layer from merging each of its pairs of neurons.

    The line ln |l(W) - l(W^m)| = ln K + (2 + kappa) ln D is fitted by iteratively reweighted least
    squares with Huber's weights, so single pairs whose change happens to vanish do not tilt it.

    Args:
        distances_Q: D = |w_i - w_j| of the pairs, as
            `symstudy.training.engines.merging` finds them.
        differences_Q: l(W) - l(W^m), without the penalty.

    Raises:
        ValueError: If fewer than three pairs of different distances are above rounding.

    References:
        arXiv:2502.05300, the hypothesis of Theorem 4 (Eq. 26); the estimate is ours.
    """
    changes_Q = np.abs(differences_Q)
    floor = ROUND_OFF * changes_Q.max(initial=0.0)
    kept_Q = np.isfinite(changes_Q) & (distances_Q > 0) & (changes_Q > floor)
    x_Q, y_Q = np.log(distances_Q[kept_Q]), np.log(changes_Q[kept_Q])
    if len(np.unique(x_Q)) < 3:
        raise ValueError(
            "`distances_Q` must hold at least three different distances with a change of the loss, "
            f"but got {len(np.unique(x_Q))}. Take a wider layer, or one that is not fully merged."
        )
    weights_Q = np.ones_like(x_Q)
    slope = intercept = spread = 0.0
    for _ in range(100):
        before = slope, intercept
        centre = np.average(x_Q, weights=weights_Q)
        spread = float((weights_Q * (x_Q - centre) ** 2).sum())
        slope = float((weights_Q * (x_Q - centre) * y_Q).sum() / spread)
        intercept = float(np.average(y_Q - slope * x_Q, weights=weights_Q))
        residuals_Q = y_Q - intercept - slope * x_Q
        weights_Q = huber_weights(residuals_Q)
        if abs(slope - before[0]) + abs(intercept - before[1]) < 1e-12 * (1 + abs(slope)):
            break
    degrees = max(len(x_Q) - 2, 1)
    deviation = math.sqrt(float((weights_Q * residuals_Q**2).sum()) / degrees)
    rises_Q = -differences_Q[kept_Q] / distances_Q[kept_Q] ** slope
    return Smoothness(
        kappa=slope - 2.0,
        kappa_error=deviation / math.sqrt(spread),
        K=math.exp(intercept),
        K_bound=max(0.0, float(rises_Q.max())),
        pairs=len(x_Q),
    )


def huber_weights(residuals_Q: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return 1 for residuals within `HUBER` robust deviations, and less beyond."""
    size_Q = np.abs(residuals_Q)
    limit = HUBER * float(np.median(size_Q)) / 0.6745
    # An exact line has residuals of rounding only, which all count alike.
    if limit < 1e-12:
        return np.ones_like(size_Q)
    return limit / np.maximum(size_Q, limit)


def power(base: float, exponent: float) -> float:
    """Return base^exponent, infinite where that overflows."""
    try:
        return math.pow(base, exponent)
    except OverflowError:
        return math.inf


def require_positive(**values: float) -> None:
    """Raise ValueError naming the first of `values` that is not a positive finite number."""
    for name, value in values.items():
        if not (value > 0 and math.isfinite(value)):
            raise ValueError(f"`{name}` must be a finite number above 0, but got {value!r}.")
