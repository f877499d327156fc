"""Rank against weight decay in a two-layer linear network: an exactly solvable scaling law.

For a linear target with singular values A k^-a on white inputs, the global minimum of
|W2 W1 - S|^2 + gamma (|W1|^2 + |W2|^2) keeps s_k = (A k^-a - gamma)_+, so its rank is
ceil((A / gamma)^(1/a)) - 1 and falls as gamma^(-1/a).
"""

from symstudy.findings import Evidence, PowerLaw, claim

from ..shared.rank_laws import exact_ranks, rank_law, spectrum_ranks


@claim(
    title="Rank falls with weight decay by the exact power law",
    statement=(
        "In a two-layer linear network on a target with singular values A k^-a, the rank that "
        "training keeps falls with the weight decay as gamma^(-1/a)."
    ),
    study="rank_scaling_law",
    reference="arXiv:2502.05300, adaptive capacity; exact: singular value soft-thresholding",
)
def rank_scaling_law(runs: Evidence) -> PowerLaw:
    """The exponent of the first layer's rank is -1/a for every spectrum."""
    ranks = spectrum_ranks(runs, "depth = 2 and activation is null", grad_ratio=1e-5)
    return rank_law(ranks, exact_slope, exact_ranks)


def exact_slope(exponent: float) -> float:
    """Return d ln rank / d ln gamma: -1 / a."""
    return -1.0 / exponent
