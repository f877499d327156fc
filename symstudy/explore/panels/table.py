"""The runs as a table, a page at a time."""

from collections.abc import Mapping
from typing import Any

from symstudy.explore.panels.base import PanelAnswer, Source, count_text
from symstudy.explore.view import RequestError, View, conditions, where
from symstudy.store import quoted

__all__ = ["MOST_ROWS", "answer"]

MOST_ROWS = 200
"""Rows of a page."""
MOST_COLUMNS = 40


def answer(source: Source, view: View, asked: Mapping[str, Any]) -> PanelAnswer:
    """Return the runs from `start` on, up to `count` of them, with `columns`, in the order `order`.

    Raises:
        RequestError: If a number or a name is none.
    """
    listed = asked.get("columns")
    names = listed if isinstance(listed, list) else []
    if len(names) > MOST_COLUMNS:
        raise RequestError(f"a table must have up to {MOST_COLUMNS} columns, but got {len(names)}.")
    columns = [view.column(name).name for name in names]
    shown = list(dict.fromkeys(["study", "run_id", "seed", "outcome", *columns]))
    start, count = number(asked, "start", 0), min(number(asked, "count", 50), MOST_ROWS)
    order = asked.get("order")
    first = f"{quoted(view.column(order).name)} " if order else ""
    direction = ("desc " if asked.get("falls") else "asc ") + "nulls last, " if first else ""
    sql = (
        f'select {", ".join(map(quoted, shown))}, "pack_id" from runs where {where(view)}\n'
        f"order by {first}{direction}study, run_id limit {count} offset {start}"
    )
    total = source.coded.total(conditions(view))
    rows = source.ask(sql, MOST_ROWS).rows
    notes = []
    if total > count:
        notes.append(
            f"{count_text(total)} in all; a page shows up to {MOST_ROWS}. For all of them type: "
            "symstudy query RESULTS SQL -o runs.parquet"
        )
    return PanelAnswer(sql, [*shown, "pack_id"], rows, notes, {"total": total, "start": start})


def number(asked: Mapping[str, Any], key: str, default: int) -> int:
    """Return a number of rows that a request names.

    Raises:
        RequestError: If it is none.
    """
    value = asked.get(key, default)
    if type(value) is not int or not 0 <= value < 2**53:
        raise RequestError(f"{key} must be a number of rows, but got {value!r}.")
    return value
