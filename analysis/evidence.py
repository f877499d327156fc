"""Which runs are evidence, and by which slice of a study a claim is judged.

A count of neurons means little while neurons without a signal have not had the time to shrink:
their norm falls by exp(-B_wd), so runs with a decay budget below 6 (a quarter of a percent left)
are left out. Adam's step has no such budget; its runs count as they are.
"""

from typing import NamedTuple

import pandas as pd

from symstudy.store import Store

__all__ = ["MIN_BUDGET", "Evidence", "base_slice", "read_evidence", "seed_table"]

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


def base_slice(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the runs with the least label noise and the largest learning rate over batch size.

    Where a study varies these too, its other claims are judged here: least noise, and the noise
    temperature at which regularisation has acted longest.
    """
    if runs.empty:
        return runs
    quiet = runs[runs["label_noise"] == runs["label_noise"].min()]
    return quiet[quiet["lr_over_batch"] == quiet["lr_over_batch"].max()]


def seed_table(runs: pd.DataFrame, axis: str, value: str) -> pd.DataFrame:
    """Return `value`, a row a seed and a column a place on `axis`; only seeds with all places."""
    table = runs.pivot_table(index="seed", columns=axis, values=value)
    return table.dropna()
