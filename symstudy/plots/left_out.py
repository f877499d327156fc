"""Runs that a figure does not show, counted by why: failed, missing, without a finite value."""

from collections.abc import Mapping
from typing import NamedTuple

from symstudy.errors import QueryError
from symstudy.plots.source import Source

__all__ = ["LeftOut", "count_left_out"]

WORDS = {"out_of_memory": "out of memory", "error": "failed with an error"}


class LeftOut(NamedTuple):
    """Runs that are not in a figure.

    Attributes:
        counts: Number by why, largest first.
        note: What could not be counted, or nothing.
    """

    counts: Mapping[str, int]
    note: str = ""

    @property
    def words(self) -> str:
        """The counts as one phrase; empty where nothing is left out."""
        told = [f"{count:,} {why}" for why, count in self.counts.items()]
        return ", ".join([*told, *([self.note] if self.note else [])])


def count_left_out(source: Source, view: str, where: str, chosen: str) -> LeftOut:
    """Return what is not in a figure.

    Args:
        source: The results.
        view: View that it is drawn from.
        where: Condition in SQL on what counts.
        chosen: SQL of the rows that count, whose value is `value` and whose place is `place`.
    """
    counts = by_outcome(source, view, where)
    for why, count in unknown(source, view, chosen):
        counts[why] = count
    missing, note = count_missing(source, where)
    counts["missing"] = missing
    known = {why: count for why, count in counts.items() if count}
    return LeftOut(dict(sorted(known.items(), key=lambda item: -item[1])), note)


def unknown(source: Source, view: str, chosen: str) -> list[tuple[str, int]]:
    """Return how many runs that are done have no place, no value, or one that is no number.

    Of a view with several rows a run, a run counts as not recorded if it has no value at all.
    """
    rows = "*" if view == "runs" else "distinct (study, run_id)"
    inner = (
        chosen
        if view == "runs"
        else (
            f"select *, bool_or(value is not null) over (partition by study, run_id) as is_known "
            f"from ({chosen})"
        )
    )
    lacks = "value is null" if view == "runs" else "not is_known"
    row = source.df(
        f"select count({rows}) filter (where place is null), "
        f"count({rows}) filter (where place is not null and {lacks}), "
        f"count({rows}) filter (where place is not null and not isfinite(value)) from ({inner})"
    ).iloc[0]
    names = ("without a place", "not recorded", "NaN or infinite")
    return [(why, int(count)) for why, count in zip(names, row.tolist(), strict=True)]


def by_outcome(source: Source, view: str, where: str) -> dict[str, int]:
    """Return how many runs are not done, by how they ended."""
    condition = f"where ({where}\n)" if where else ""
    query = (
        "select outcome, count(distinct (study, run_id)) from (select * from {view} {condition}) "
        "where outcome <> 'done' group by outcome"
    )
    try:
        rows = source.df(query.format(view="runs", condition=condition))
    except QueryError:
        # The condition names a column of another view, where failed runs have rows too.
        rows = source.df(query.format(view=view, condition=condition))
    return {
        WORDS.get(str(outcome), str(outcome)): int(count)
        for outcome, count in rows.itertuples(index=False)
    }


def count_missing(source: Source, where: str) -> tuple[int, str]:
    """Return how many planned runs have not ended, and what is to be said of the number."""
    condition = f" where ({where}\n)" if where else ""
    query = "select count(*) from missing"
    try:
        return int(source.df(query + condition).iloc[0, 0]), ""
    except QueryError:
        # The condition is about results, which runs that are missing do not have.
        count = int(source.df(query).iloc[0, 0])
        return 0, f"{count:,} missing in the whole study" if count else ""
