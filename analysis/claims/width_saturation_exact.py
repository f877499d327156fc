"""Width saturation where the global minimum is known in closed form.

On orthogonal inputs and non-negative targets of disjoint supports with norms A k^-a, the minimum of
|Y - W2 f(W1 X)|^2 + gamma (|W1|^2 + |W2|^2) keeps (A k^-a - gamma)_+ of each, for f linear (the
nuclear norm) and for f = ReLU (its upper bound is attained, since the singular vectors are
non-negative). So width h holds min(h, r) ranks or neuron directions, r = #{k: A k^-a > gamma}. The
exact neurons are orthogonal, so directions of ReLU neurons and ranks of the incoming weights are
the same number; the rank sums over parallel copies, none of which may be large.
"""

import numpy as np
from numpy.typing import NDArray

from symstudy.findings import Evidence, Exact, Match, claim


@claim(
    title="Width saturates at the exact rank",
    statement=(
        "Under weight decay gamma a two-layer linear or ReLU network of width h on a spectrum "
        "A k^-a keeps min(h, #{k: A k^-a > gamma}) ranks or neuron directions, whatever h."
    ),
    study="width_saturation_exact",
    reference="arXiv:2502.05300, Fig. 3 (middle); exact: soft-thresholding, nuclear norm",
)
def width_saturation_exact(runs: Evidence) -> Exact:
    """Rank and objective of certified minima are the exact ones, for linear and ReLU networks."""
    minima = (
        runs.where(
            "data = 'spectrum' and axes and optimizer = 'lbfgs' and depth = 2 and gamma > 0 "
            "and activation in ('linear', 'relu') and loss = 'squared_error' and input_scale = 1"
        )
        .converged(grad_ratio=1e-6)
        .derive(exact_count=exact_count, exact_objective=exact_objective)
    )
    return Exact(
        minima,
        "weight_rank",
        matches=(
            Match("weight_rank", "exact_count"),
            Match("objective", "exact_objective", relative=1e-6),
        ),
        along="gamma",
        over="width",
        min_places=4,
        by=("activation",),
    )


def kept_values(
    gamma: float, width: int, exponent: float, amplitude: float, input_dim: int
) -> NDArray[np.float64]:
    """Return the singular values that the minimum keeps, the largest first; some may be 0."""
    values = amplitude * np.arange(1, input_dim + 1) ** -exponent
    kept: NDArray[np.float64] = np.maximum(values - gamma, 0.0)[:width]
    return kept


def exact_count(gamma: float, width: int, exponent: float, amplitude: float, input_dim: int) -> int:
    """Return the exact rank of a run."""
    return int((kept_values(gamma, width, exponent, amplitude, input_dim) > 0).sum())


def exact_objective(
    gamma: float, width: int, exponent: float, amplitude: float, input_dim: int
) -> float:
    """Return the exact least objective of a run."""
    values = amplitude * np.arange(1, input_dim + 1) ** -exponent
    kept = kept_values(gamma, width, exponent, amplitude, input_dim)
    return float(np.square(values).sum() - np.square(kept).sum())
