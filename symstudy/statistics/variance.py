"""Shares of the variance in a two-way table."""

import numpy as np
import pandas as pd

from symstudy.statistics.intervals import TIED

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
    known = rows[rows[value] > 0]
    table = known.pivot_table(index="seed", columns=[first, second], values=value).dropna()
    shape = rows[first].nunique(), rows[second].nunique()
    if table.empty or table.shape[1] < shape[0] * shape[1]:
        return empty_shares(first, second)
    logs = np.log(table.to_numpy(float)).reshape(-1, *shape)
    centred = logs - logs.mean(axis=(1, 2), keepdims=True)
    total = (centred**2).mean(axis=(1, 2))
    # Values that are equal to rounding have a variance of round-off.
    differs = np.ptp(logs, axis=(1, 2)) > TIED
    of_first = (centred.mean(axis=2) ** 2).mean(axis=1)[differs] / total[differs]
    of_second = (centred.mean(axis=1) ** 2).mean(axis=1)[differs] / total[differs]
    shares = {first: of_first, second: of_second, "rest": 1.0 - of_first - of_second}
    return pd.DataFrame(shares, index=table.index[differs])


def empty_shares(first: str, second: str) -> pd.DataFrame:
    """Return the shares of no seed."""
    return pd.DataFrame(columns=[first, second, "rest"], dtype=float).rename_axis("seed")
