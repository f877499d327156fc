"""Power laws of the rank against weight decay, on targets of known spectrum."""

from collections.abc import Callable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from symstudy.findings import Evidence, PowerLaw

__all__ = ["exact_ranks", "rank_law", "spectrum_ranks"]

Array = NDArray[np.float64]
MARGIN = 0.07
SMALLEST = 3
"""Below this rank a step is more than a fifth of the whole, and no line fits."""


def spectrum_ranks(runs: Evidence, condition: str, *, grad_ratio: float) -> Evidence:
    """Return the rank of the first layer of every converged run on the spectrum data.

    Args:
        runs: All runs of a study.
        condition: SQL that tells the networks.
        grad_ratio: Largest |gradient| / (1 + |objective|).
    """
    return (
        runs.where(
            "data = 'spectrum' and gamma > 0 and loss = 'squared_error' and input_scale = 1 and "
            + condition
        )
        .define(rank="weight_rank", three_quarters_of_dim="0.75 * input_dim")
        .converged(grad_ratio=grad_ratio)
    )


def rank_law(
    ranks: Evidence,
    exponent: Callable[..., float],
    exact: Callable[[Array, pd.DataFrame], Array],
    *,
    by: tuple[str, ...] = ("exponent",),
    value: str = "rank",
) -> PowerLaw:
    """Return the rule that a rank falls with gamma by a law of theory.

    Args:
        ranks: What `spectrum_ranks` returned.
        exponent: Exact exponent, by the columns of `by`.
        exact: Exact ranks at values of gamma, by the rows of a group.
        by: Columns whose values have a law each.
        value: Column of the rank.
    """
    return PowerLaw(
        ranks,
        value,
        along="gamma",
        by=by,
        exponent=exponent,
        within=MARGIN,
        # A rank r stands for any (A / gamma)^(1/a) between r and r + 1.
        shift=0.5,
        smallest=SMALLEST,
        largest="three_quarters_of_dim",
        exact=exact,
        draws=("amplitude", "exponent", "input_dim"),
    )


def exact_ranks(gammas: Array, runs: pd.DataFrame) -> Array:
    """Return ceil((A / gamma)^(1/a)) - 1, at most the dimension."""
    a, amplitude = float(runs["exponent"].iloc[0]), float(runs["amplitude"].iloc[0])
    ranks: Array = np.ceil((amplitude / gammas) ** (1 / a)) - 1
    return np.minimum(ranks, float(runs["input_dim"].iloc[0]))
