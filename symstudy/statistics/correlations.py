"""Rank correlations of values with the places of a sweep."""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

__all__ = ["rank_correlations", "spearman"]

Array = NDArray[np.float64]


def rank_correlations(places: ArrayLike, values: ArrayLike) -> Array:
    """Return Spearman's correlation of `places` with `values` along their last axis; 0 if flat."""
    x = stats.rankdata(np.asarray(places, float))
    y = stats.rankdata(np.asarray(values, float), axis=-1)
    x = x - x.mean()
    y = y - y.mean(axis=-1, keepdims=True)
    size = np.sqrt((x @ x) * (y * y).sum(axis=-1))
    correlations: Array = np.asarray((y @ x) / np.where(size > 0, size, 1.0))
    return correlations


def spearman(x: ArrayLike, y: ArrayLike) -> float:
    """Return Spearman's rank correlation; NaN below three points, 0 where y is constant."""
    xs, ys = np.asarray(x, float), np.asarray(y, float)
    keep = np.isfinite(xs) & np.isfinite(ys)
    xs, ys = xs[keep], ys[keep]
    if len(xs) < 3 or len(set(xs.tolist())) < 2:
        return float("nan")
    if len(set(ys.tolist())) < 2:
        return 0.0
    # Pearson's correlation of the ranks; scipy's own function takes ten times as long.
    return float(np.corrcoef(stats.rankdata(xs), stats.rankdata(ys))[0, 1])
