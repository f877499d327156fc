"""ReLU directions against weight decay: the power law of the rank in a nonlinear network.

On orthogonal inputs, with targets y_k >= 0 of disjoint supports and norms A k^-a, the minimum of
|Y - A relu(W X)|^2 + gamma |theta|^2 has one neuron direction for each norm above gamma: the
objective is at least that of the nuclear norm, and attains it because the singular vectors of Y are
not negative. So the number of directions is ceil((A / gamma)^(1/a)) - 1, at any width. They are
orthogonal there, so that it is the rank of the incoming weights. The count of directions above 0.02
of the strongest is reported beside.
"""

from symstudy.findings import All, Evidence, Reported, claim

from ..shared.rank_laws import exact_ranks, rank_law, spectrum_ranks
from .rank_scaling_law import exact_slope


@claim(
    title="ReLU directions fall with weight decay by the exact power law",
    statement=(
        "A two-layer ReLU network on orthogonal inputs and targets of disjoint supports with norms "
        "A k^-a keeps a number of neuron directions that falls as gamma^(-1/a)."
    ),
    study="rank_scaling_law_relu",
    reference="arXiv:2502.05300, adaptive capacity; exact: nuclear norm, in the file",
)
def rank_scaling_law_relu(runs: Evidence) -> All:
    """The exponent of the rank of the incoming weights is -1/a for every spectrum."""
    networks = "depth = 2 and activation = 'relu' and axes"
    ranks = spectrum_ranks(runs, networks, grad_ratio=1e-6)
    return All(
        rank_law(ranks, exact_slope, exact_ranks),
        Reported(rank_law(ranks, exact_slope, exact_ranks, value="distinct_directions")),
    )
