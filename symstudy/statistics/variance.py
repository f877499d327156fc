"""Shares of the variance in a two-way table."""

import numpy as np
import pandas as pd

__all__ = ["variance_shares"]


def variance_shares(rows: pd.DataFrame, value: str, first: str, second: str) -> pd.DataFrame:
    """Return for each seed which shares of the variance of ln value two axes explain.

    The sum of squares of a full two-way table is that of the means along one axis, of those along
    the other, and of what is left. A seed without a whole table of positive values, or whose values
    are all the same, is left out.

    Args:
        rows: A row a seed and cell, or several, of which the mean is taken.
        value: Column of the values.
        first: Column of one axis.
        second: Column of the other.

    Returns:
        A row a seed: columns `first`, `second` and `rest`; they sum to 1.

    References:
        Fisher 1925, ch. 7 (analysis of variance).
    """
    shares = {}
    cells = rows[first].nunique() * rows[second].nunique()
    for seed, group in rows[rows[value] > 0].groupby("seed"):
        logs = np.log(group.pivot_table(index=first, columns=second, values=value))
        if logs.size < cells or logs.isna().to_numpy().any():
            continue
        centred = logs.to_numpy(float) - logs.to_numpy(float).mean()
        total = float((centred**2).mean())
        if total == 0:
            continue
        of_first = float((centred.mean(axis=1) ** 2).mean()) / total
        of_second = float((centred.mean(axis=0) ** 2).mean()) / total
        shares[seed] = (of_first, of_second, 1.0 - of_first - of_second)
    table = pd.DataFrame.from_dict(shares, orient="index", columns=[first, second, "rest"])
    return table.rename_axis("seed")
