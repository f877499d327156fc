"""What a study has lost, in sentences: which rows or files, and what makes them again."""

import shlex
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

import pyarrow as pa

from symstudy.store.files.folder import StudyFolder
from symstudy.store.tables.connection import Store
from symstudy.store.tables.pairs_record import read_pair_loss
from symstudy.store.tables.plan_record import read_plan_loss

__all__ = ["Losses", "find_losses"]

SHOWN = 3
"""Packs that a sentence names."""


class Losses(NamedTuple):
    """What a study has lost.

    Attributes:
        lost: What is lost, a sentence each, with what to do about it.
        untold: What cannot be told, since an older version did not record it, a sentence each.
    """

    lost: list[str]
    untold: list[str]


def find_losses(folder: StudyFolder, store: Store, incomplete: pa.Table) -> Losses:
    """Return what a study has lost, and what of it cannot be told.

    Args:
        folder: Of the study.
        store: Access to it alone.
        incomplete: What `incomplete_runs` returns.

    Raises:
        StoreError: If the results cannot be read.
    """
    again = run_again(folder)
    lost = list(lost_rows(incomplete, again))
    untold = list(untold_rows(store))
    plan = read_plan_loss(folder)
    if plan.asked:
        lost.append(
            f"{plan.asked} runs that the last launch asked for are in no plan: a file of plan/ is "
            f"lost. {again}: they are planned again"
        )
    if plan.others:
        what = f"{plan.others} runs that its launches planned are in no plan"
        if plan.is_recorded:
            lost.append(f"{what}: a file of plan/ is lost. {again}: they are planned again")
        else:
            untold.append(f"{what}: they were dropped, or a file of plan/ is lost")
    pairs = read_pair_loss(folder, store, set(incomplete["run_id"].to_pylist()))
    if pairs.pairs:
        lost.append(
            f"{pairs.pairs} pairs of runs are in no file of pairs/, or a run of each has kept "
            f"nothing to compare. {again}: they are compared again"
        )
    if pairs.partial:
        lost.append(
            f"{pairs.partial} pairs of runs lack rows of pairs/, or have some twice. {again}: they "
            "are compared again"
        )
    if not pairs.is_recorded:
        untold.append(
            "how many pairs of runs were compared was not recorded: a pair that is deleted as a "
            f"whole is not told. {again}: it is recorded, and what is missing compared"
        )
    return Losses(lost, untold)


def run_again(folder: StudyFolder) -> str:
    """Return what to type so that what can be made again is made again."""
    values = folder.read_study()
    source, preset = values.get("source"), values.get("preset")
    if not source:
        return "Run the study again"
    command = f"symstudy run {shlex.quote(source)}"
    command += f" --preset {shlex.quote(preset)}" if preset else ""
    return f"Run the study again (`{command}`, with the options it had)"


def lost_rows(incomplete: pa.Table, again: str) -> Iterator[str]:
    """Yield a sentence on the packs that lack rows of each table, or have some twice."""
    packs: dict[str, Counter[str]] = {}
    for row in incomplete.to_pylist():
        for table in row["tables"]:
            packs.setdefault(table, Counter())[row["pack_id"]] += 1
    for table, counts in packs.items():
        names = ", ".join([*list(counts)[:SHOWN], *(["..."] if len(counts) > SHOWN else [])])
        yield (
            f"{counts.total()} runs of {len(counts)} packs ({names}) lack rows of {table}, or have "
            f"some twice. {again}: they are trained again"
        )


def untold_rows(store: Store) -> Iterator[str]:
    """Yield what the rows of runs do not say, since an older version wrote them."""
    ((runs, without_history, without_certificates),) = store.sql(
        "select count(*), count(*) filter (history_rows is null), "
        "count(*) filter (certificates_rows is null) from run_rows"
    ).rows
    if without_history:
        yield (
            f"{without_history} of {runs} runs do not say how many rows of history and layers they "
            "have: they are held against others of their pack, and what all of a pack have lost "
            "is not told"
        )
    if without_certificates:
        yield (
            f"{without_certificates} of {runs} runs do not say how many certificates they have: "
            "one that is deleted is not told"
        )
