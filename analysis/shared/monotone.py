"""Whether a count goes up or down along a sweep: one rule for every claim that says so.

The estimate is Spearman's correlation of the places and the mean over seeds. Whether it could be
chance is asked of the seeds: the values of a seed are shuffled among its places, which is what no
dependence means where cells of one seed share teacher, data and initialisation, and the mean over
seeds of each seed's own correlation is compared. Three places can be told apart so, where the
correlation of three means is +-1 once in three.
"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import optimize, stats

from symstudy.findings import Interval, Part, Verdict

from .evidence import count_correlation

__all__ = ["ALPHA", "LEAST", "judge_monotone", "seed_correlations", "shuffled_within_seeds"]

LEAST = 0.9
"""Spearman's correlation that a sweep has to reach, in the claimed direction."""
ALPHA = 0.05
MIN_SEEDS = 3
MIN_PLACES = 3
DRAWS = 10_000
ROUND_OFF = 1e-9

Array = NDArray[np.float64]


def judge_monotone(
    name: str,
    table: pd.DataFrame,
    *,
    sign: int = 1,
    least: float = LEAST,
    decides: bool = True,
    min_seeds: int = MIN_SEEDS,
) -> Part:
    """Test that the mean over seeds goes one way along the columns of `table`.

    Supported where Spearman's correlation reaches `least` in the claimed direction and a shuffle
    within seeds does as well in at most 5 % of the draws. Refuted where it does not, and data about
    the nearest monotone means would go the claimed way as little in at most 5 %, or where nothing
    changes along the sweep in any seed. A dependence too weak for the seeds is inconclusive.

    Args:
        name: What is tested.
        table: A row a seed and a column a place of the sweep, whole.
        sign: 1 where values are claimed to grow with the place, -1 where to fall.
        least: Correlation that has to be reached.
        decides: Whether the claim's verdict rests on it.
        min_seeds: With fewer seeds, or fewer than 3 places, the part is untested.
    """
    rule = f"Spearman's correlation {'at least' if sign > 0 else 'at most'} {sign * least:g}"
    unit = "Spearman's correlation"
    if len(table) < min_seeds or table.shape[1] < MIN_PLACES:
        return Part(name=name, verdict=Verdict.UNTESTED, rule=rule, unit=unit, decides=decides)
    effect = count_correlation(table)
    verdict, p_value = Verdict.INCONCLUSIVE, None
    if sign * effect >= least - ROUND_OFF:
        by_chance = shuffled_within_seeds(table, sign)
        if by_chance <= ALPHA:
            verdict, p_value = Verdict.SUPPORTED, by_chance
    elif not np.ptp(table.to_numpy(float), axis=1).any():
        verdict = Verdict.REFUTED
    else:
        if_monotone = monotone_does_worse(table, sign)
        if if_monotone <= ALPHA:
            verdict, p_value = Verdict.REFUTED, if_monotone
    low, high = np.quantile(resampled_correlations(table), [0.025, 0.975]).tolist()
    return Part(
        name=name,
        verdict=verdict,
        rule=rule,
        effect=effect,
        interval=Interval(low, high),
        unit=unit,
        decides=decides,
        p_value=p_value,
    )


def seed_correlations(table: pd.DataFrame) -> Array:
    """Return for each row of `table` Spearman's correlation with the columns; 0 if it is flat."""
    return rank_correlations(table.columns.to_numpy(float), table.to_numpy(float))


def rank_correlations(places: Array, values: Array) -> Array:
    """Return Spearman's correlation of `places` with `values` along their last axis."""
    x = stats.rankdata(places)
    y = stats.rankdata(values, axis=-1)
    x = x - x.mean()
    y = y - y.mean(axis=-1, keepdims=True)
    size = np.sqrt((x @ x) * (y * y).sum(axis=-1))
    correlations: Array = (y @ x) / np.where(size > 0, size, 1.0)
    return correlations


def resampled_correlations(table: pd.DataFrame) -> Array:
    """Return Spearman's correlation of the means, for seeds drawn with replacement."""
    values = table.to_numpy(float)
    rows = np.random.default_rng(0).integers(len(values), size=(DRAWS, len(values)))
    # Means of the same seeds in another order differ by round-off, which must not break a tie.
    means = values[np.sort(rows, axis=1)].mean(axis=1).round(9)
    return rank_correlations(table.columns.to_numpy(float), means)


def shuffled_within_seeds(table: pd.DataFrame, sign: int) -> float:
    """Return how often shuffled values go the way of `sign` at least as much; never 0.

    References:
        Phipson and Smyth 2010: (b + 1) / (m + 1), so that no p-value is zero.
    """
    values = table.to_numpy(float)
    places = table.columns.to_numpy(float)
    observed = sign * rank_correlations(places, values).mean()
    drawn = np.random.default_rng(0)
    shuffled = drawn.permuted(np.broadcast_to(values, (DRAWS, *values.shape)), axis=2)
    means = sign * rank_correlations(places, shuffled).mean(axis=1)
    return float((np.sum(means >= observed - ROUND_OFF) + 1) / (DRAWS + 1))


def monotone_does_worse(table: pd.DataFrame, sign: int) -> float:
    """Return how often data about monotone means go the way of `sign` as little; never 0.

    The nearest monotone means (Barlow et al. 1972) are what the claim would have to be. About them
    lie the residuals of the seeds, drawn with replacement and widened for the means that were
    taken, in two ways: as they are, and shuffled among places that the monotone means make equal,
    which nothing can tell apart. The second sees a step the wrong way between places without any
    residual. The smaller chance counts twice (Bonferroni).
    """
    values = table.to_numpy(float)
    places = table.columns.to_numpy(float)
    count = len(values)
    fit = optimize.isotonic_regression(values.mean(axis=0), increasing=sign > 0).x
    observed = sign * rank_correlations(places, values).mean()
    widened = np.sqrt(count / (count - 1))
    rows = np.random.default_rng(0).integers(count, size=(DRAWS, count))
    shuffled = ((values - fit) * widened)[rows]
    for level in np.unique(fit):
        block = fit == level
        shuffled[:, :, block] = np.random.default_rng(1).permuted(shuffled[:, :, block], axis=2)
    plain = ((values - values.mean(axis=0)) * widened)[rows]
    chances = []
    for residuals in (plain, shuffled):
        # Rounded: equal means plus nothing are equal.
        likely = sign * rank_correlations(places, (fit + residuals).round(9)).mean(axis=1)
        chances.append(float((np.sum(likely <= observed + ROUND_OFF) + 1) / (DRAWS + 1)))
    return min(1.0, 2 * min(chances))
