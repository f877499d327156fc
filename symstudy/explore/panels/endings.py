"""How runs ended, by study, outcome and reason; what is planned and has not ended is missing."""

import shlex
from collections.abc import Mapping
from typing import Any

from symstudy.explore.panels.base import PanelAnswer, Source, missing_view
from symstudy.explore.view import View, literal, where

__all__ = ["answer"]

MOST_REASONS = 500


def answer(source: Source, view: View, asked: Mapping[str, Any]) -> PanelAnswer:
    """Return the number of runs of each study by how they ended, with what to type for each."""
    del asked
    sql = (
        "select study, outcome, coalesce(\"reason\", '') as reason, count(*) as runs from runs\n"
        f"where {where(view)} group by all order by study, runs desc, outcome, reason"
    )
    found = source.ask(sql, MOST_REASONS)
    rows = list(found.rows)
    planned = missing_view(view)
    if planned is not None:
        rows += source.rows(
            "select study, 'missing', '', count(*) from missing "
            f"where {where(planned)} group by study order by study"
        )
    notes = []
    if not found.is_all:
        notes.append(f"Reasons beyond the first {MOST_REASONS} are left out: use the SQL box.")
    remedies = [remedy(*row[:3]) for row in rows]
    return PanelAnswer(sql, ("study", "outcome", "reason", "runs"), rows, notes, {"type": remedies})


def remedy(study: str, outcome: str, reason: str) -> str:
    """Return the line to type for runs that ended in one way; empty where there is none."""
    if outcome in {"done", "stopped"}:
        return ""
    if outcome == "missing":
        return "symstudy run STUDY.toml"
    conditions = f"study = {literal(study)} and outcome = {literal(outcome)}"
    if reason:
        conditions += f" and reason = {literal(reason)}"
    return f"symstudy retry RESULTS --where {shlex.quote(conditions)}"
