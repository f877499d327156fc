"""What panels share: where rows come from, what an answer is, and what is said of averages."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from symstudy.explore.packed import LEAST_ROWS, pack_rows
from symstudy.explore.view import RequestError, View, conditions, literal, where
from symstudy.store import quoted
from symstudy.store.tables.answers import FirstRows
from symstudy.store.tables.coded import CodedRuns
from symstudy.store.tables.loaded import LoadedRuns

__all__ = [
    "DONE",
    "ENDED",
    "PanelAnswer",
    "Source",
    "averaged_note",
    "count_text",
    "finite",
    "is_log",
    "left_out_note",
    "missing_view",
    "uneven_note",
]

DONE = "outcome = 'done'"
ENDED = "case outcome when 'done' then 0 when 'stopped' then 1 else 2 end"
"""SQL for how a run ended: 0 for done, 1 for stopped early, 2 for failed."""
MOST_ANSWERS = 200
"""Queries whose answers are kept."""
LOG_RATIO = 30.0
"""Positive values that are further apart than this are shown on a logarithmic axis."""


class PanelAnswer(NamedTuple):
    """What a panel shows.

    Attributes:
        sql: The query that gives `rows`.
        columns: Names of the columns.
        rows: The rows: what is drawn, and what `as a table` shows.
        notes: What a reader must know of what is left out or averaged.
        more: What else the panel draws.
    """

    sql: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    notes: Sequence[str] = ()
    more: Mapping[str, Any] = {}  # never written to

    def to_json(self) -> dict[str, Any]:
        """Return the answer as JSON values; many rows are packed."""
        values = {**self._asdict(), "more": dict(self.more)}
        if len(self.rows) < LEAST_ROWS:
            return {**values, "rows": list(self.rows)}
        return {**values, "rows": [], "packed": pack_rows(self.rows)}


class Source(NamedTuple):
    """Where panels take rows from.

    Attributes:
        runs: The rows in memory.
        coded: The same rows, to be counted quickly.
        domains: Values and ranges of columns in some studies, once they are worked out.
        answers: Rows of the latest queries, by query.
    """

    runs: LoadedRuns
    coded: CodedRuns
    domains: dict[tuple[Any, ...], tuple[Any, ...] | None]
    answers: dict[str, Sequence[tuple[Any, ...]]]

    @classmethod
    def of(cls, runs: LoadedRuns) -> "Source":
        """Return a source that has answered nothing yet."""
        return cls(runs, CodedRuns(runs), {}, {})

    def ask(self, sql: str, most_rows: int) -> FirstRows:
        """Return the first rows of the answer to a query."""
        return self.runs.ask(sql, most_rows)

    def rows(self, sql: str) -> Sequence[tuple[Any, ...]]:
        """Return all rows of the answer to a query; panels that ask the same share it."""
        return self.kept(sql, lambda: self.runs.rows(sql))

    def counts(self, sql: str, by: Sequence[str], held: Sequence[str]) -> Sequence[tuple[Any, ...]]:
        """Return the rows of a query that counts runs in groups.

        Args:
            sql: The query: the values of `by`, and `count(*)`, of the runs for which `held` holds.
            by: What it groups by.
            held: Its conditions.
        """

        def count() -> list[tuple[Any, ...]]:
            found = self.coded.counts(by, held)
            return self.runs.rows(sql) if found is None else found

        return self.kept(sql, count)

    def kept(
        self, sql: str, answer: Callable[[], Sequence[tuple[Any, ...]]]
    ) -> Sequence[tuple[Any, ...]]:
        """Return the rows of a query, which are worked out if they are not known."""
        if sql not in self.answers:
            while len(self.answers) >= MOST_ANSWERS:
                del self.answers[next(iter(self.answers))]
            self.answers[sql] = answer()
        return self.answers[sql]


def averaged_note(source: Source, view: View, but: Sequence[str]) -> list[str]:
    """Return the sentence about what a mean is taken over besides seeds; nothing if over nothing.

    Args:
        source: Where the rows are.
        view: What is looked at.
        but: Columns that are shown.
    """
    names = [name for name in view.varying if name not in but]
    if not names:
        return []
    counts = {name: distinct(source, view, name) for name in names}
    over = [
        f"{view.columns[name].label} ({count} values)"
        for name, count in counts.items()
        if count > 1
    ]
    if not over:
        return []
    said = f"Means are taken over {', '.join(over)} as well as seeds"
    return [f"{said}: filter to one value, or show it as an axis."]


def distinct(source: Source, view: View, name: str) -> int:
    """Return the number of values of a column among the runs of a view that are done."""
    value = quoted(name)
    found = source.coded.counts([value], conditions(view, DONE))
    if found is not None:
        return len(found)
    sql = f"select count(distinct {value}) + max(({value} is null)::int) from runs"
    return source.rows(f"{sql} where {where(view, DONE)}")[0][0] or 0


def uneven_note(runs: Iterable[int], seeds: Iterable[int]) -> list[str]:
    """Return the sentence about means of different settings; nothing where all are of the same.

    Args:
        runs: Number of runs at each point.
        seeds: Number of seeds at each point.
    """
    each, many = (
        part if isinstance(part, np.ndarray) else np.fromiter(part, float) for part in (runs, seeds)
    )
    counts = np.unique(np.round(each[many > 0] / many[many > 0], 6))
    if counts.size < 2:
        return []
    said = f"Points are means of different settings, {counts[0]:g} to {counts[-1]:g} runs a seed"
    return [f"{said}, since runs failed, are missing or filtered out: compare them with care."]


def left_out_note(source: Source, view: View, measure: str) -> list[str]:
    """Return the sentences about runs that have ended and are in no mean."""
    ending = (
        f"case when not ({DONE}) then 0 when {quoted(measure)} is null then 1 "
        f"when not {finite(measure)} then 2 else 3 end"
    )
    sql = f"select {ending}, count(*) from runs where {where(view)} group by 1"
    counts = dict(source.counts(sql, [ending], conditions(view)))
    label = view.columns[measure].label
    said = (
        "not done (stopped early or failed)",
        f"without {label}",
        f"whose {label} is NaN or infinite",
    )
    parts = [f"{count_text(counts[at])} {what}" for at, what in enumerate(said) if at in counts]
    return [f"Left out: {'; '.join(parts)}."] if parts else []


def count_text(count: int) -> str:
    """Return a number of runs in words."""
    return f"{count:,} run{'' if count == 1 else 's'}"


def finite(name: str) -> str:
    """Return SQL that holds where a column of numbers has a finite value."""
    return f"isfinite({quoted(name)}::double)"


def is_log(values: np.ndarray) -> bool:
    """Return whether numbers are shown on a logarithmic axis: all positive and far apart."""
    return bool(values.size and 0 < LOG_RATIO * values.min() < values.max())


def missing_view(view: View) -> View | None:
    """Return the view of planned runs that have not ended; None if it holds none of them.

    They have hyperparameters and nothing else, so a filter on a measure leaves them out.
    """
    known = {"study", "seed", "cell_id", "run_id"}
    for condition in view.conditions:
        column = view.columns[condition.column]
        if column.name == "outcome":
            if "missing" not in (condition.values or ()):
                return None
        elif column.role != "hyperparameter" and column.name not in known:
            return None
    return view.without("outcome")


def text_of(asked: Mapping[str, Any], key: str) -> str | None:
    """Return an optional text of a request.

    Raises:
        RequestError: If it is something else.
    """
    value = asked.get(key)
    if value is not None and not isinstance(value, str):
        raise RequestError(f"{key} must be a text, but got {literal(str(value))}.")
    return value or None
