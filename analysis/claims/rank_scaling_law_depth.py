"""Rank against weight decay in linear networks of three and more layers.

With D layers a singular value s of the target that is learned as t at a balanced critical point has
s = t + gamma t^((2-D)/D). For D >= 3 such a point is stable above the least s for which there is
one, which is proportional to gamma^(D/(2D-2)) (see `depth_gap`). Of targets with singular values
A k^-a a network that starts from weights of ordinary size keeps those above, so its rank falls as
gamma^(-D/(2a(D-1))): with -1/a at D = 2 and half of it for very deep networks.
"""

import numpy as np
import pandas as pd

from symstudy.findings import Evidence, PowerLaw, claim
from symstudy.theory.closed_forms import rank_slope, spinodal

from ..shared.rank_laws import Array, rank_law, spectrum_ranks


@claim(
    title="Rank falls with weight decay by a law of the depth",
    statement=(
        "In a linear network of D >= 3 layers on a target with singular values A k^-a, the rank "
        "that training keeps falls with the weight decay as gamma^(-D/(2a(D-1)))."
    ),
    study="rank_scaling_law_depth",
    reference="arXiv:2502.05300, adaptive capacity; exact: Schatten-2/D quasi-norm, in the file",
)
def rank_scaling_law_depth(runs: Evidence) -> PowerLaw:
    """The exponent of the first layer's rank is that of the depth, for every spectrum."""
    networks = "depth >= 3 and activation is null and not coalesce(axes, false)"
    ranks = spectrum_ranks(runs, networks, grad_ratio=1e-6)
    return rank_law(ranks, exact_slope, exact_deep_ranks, by=("depth", "exponent"))


def exact_slope(depth: float, exponent: float) -> float:
    """Return d ln rank / d ln gamma: -D / (2 a (D - 1))."""
    return rank_slope(int(depth), exponent)


def exact_deep_ranks(gammas: Array, runs: pd.DataFrame) -> Array:
    """Return how many singular values are learned at each gamma."""
    depth, a = int(runs["depth"].iloc[0]), float(runs["exponent"].iloc[0])
    modes = runs["amplitude"].iloc[0] * np.arange(1.0, runs["input_dim"].iloc[0] + 1) ** -a
    limits = np.array([spinodal(depth, float(mode)) for mode in modes])
    counts: Array = (limits > gammas[:, None]).sum(axis=1).astype(float)
    return counts
