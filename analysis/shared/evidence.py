"""Which runs are evidence, and by which slice of a study a claim is judged.

A count of neurons means little while neurons without a signal have not had the time to shrink:
their norm falls by exp(-B_wd), so runs with a decay budget below 6 (a quarter of a percent left)
are left out. Adam's step has no such budget; its runs count as they are.
"""

from typing import NamedTuple

import pandas as pd

from symstudy.findings import spearman
from symstudy.store import Store

__all__ = [
    "MIN_BUDGET",
    "Evidence",
    "base_slice",
    "converged",
    "count_correlation",
    "read_evidence",
    "seed_table",
]

MIN_BUDGET = 6.0


class Evidence(NamedTuple):
    """The runs that a claim may use.

    Attributes:
        runs: One row a run.
        excluded: Runs left out, by why.
    """

    runs: pd.DataFrame
    excluded: tuple[tuple[str, int], ...]


def read_evidence(db: Store, columns: str, where: str = "true") -> Evidence:
    """Return the finished runs, without those that regularisation has not had the time to act on.

    Args:
        db: The study.
        columns: Columns of `runs` to read, beside seed, gamma and decay_budget.
        where: A condition on `runs`.
    """
    frame = db.df(
        # Columns and condition are written in the files of claims; the connection is read-only.
        f"""
        select seed, gamma, decay_budget, outcome, {columns}
        from runs
        where {where}
        order by all
        """
    )
    failed = frame["outcome"] != "done"
    early = (frame["gamma"] > 0) & (frame["decay_budget"] < MIN_BUDGET) & ~failed
    excluded = []
    if failed.any():
        excluded.append(("did not end as planned", int(failed.sum())))
    if early.any():
        excluded.append((f"decay budget below {MIN_BUDGET:g}", int(early.sum())))
    kept = frame[~failed & ~early].drop(columns="outcome")
    return Evidence(kept.reset_index(drop=True), tuple(excluded))


def converged(frame: pd.DataFrame, max_grad_ratio: float, by: str | None = None) -> Evidence:
    """Return the runs that ended as planned where the gradient of the objective is small.

    Args:
        frame: One row a run, with outcome and grad_ratio.
        max_grad_ratio: Largest |gradient| / (1 + |objective|); without one a run does not count.
        by: Column whose value is told of the runs left out, if any.
    """
    failed = frame["outcome"] != "done"
    moving = ~failed & ~(frame["grad_ratio"] <= max_grad_ratio)
    excluded = []
    if failed.any():
        excluded.append(("did not end as planned", int(failed.sum())))
    why = f"gradient above {max_grad_ratio:g} of 1 + objective"
    if by is not None:
        excluded += [(f"{name}: {why}", len(rows)) for name, rows in frame[moving].groupby(by)]
    elif moving.any():
        excluded.append((why, int(moving.sum())))
    kept = frame[~failed & ~moving].drop(columns=["outcome", "grad_ratio"])
    return Evidence(kept.reset_index(drop=True), tuple(excluded))


def base_slice(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the runs with the least label noise and the largest learning rate over batch size.

    Where a study varies these too, its other claims are judged here: least noise, and the noise
    temperature at which regularisation has acted longest.
    """
    if runs.empty:
        return runs
    noise = runs["label_noise"].fillna(0.0)  # null where the data have no labels
    quiet = runs[noise == noise.min()]
    return quiet[quiet["lr_over_batch"] == quiet["lr_over_batch"].max()]


def seed_table(runs: pd.DataFrame, axis: str, value: str) -> pd.DataFrame:
    """Return `value`, a row a seed and a column a place on `axis`; only seeds with all places."""
    table = runs.pivot_table(index="seed", columns=axis, values=value)
    return table.dropna()


def count_correlation(table: pd.DataFrame) -> float:
    """Return Spearman's correlation of the columns and the mean over the rows (seeds)."""
    return spearman(table.columns.to_numpy(float), table.to_numpy().mean(axis=0))
