"""How runs ended, by study, outcome and reason; what is planned and has not ended is missing."""

import shlex
from collections.abc import Mapping
from typing import Any

from symstudy.explore.panels.base import PanelAnswer, Source, missing_view
from symstudy.explore.view import View, conditions, literal, where
from symstudy.store import quoted

__all__ = ["answer"]

MOST_REASONS = 500
REASON = "coalesce(\"reason\", '')"


def answer(source: Source, view: View, asked: Mapping[str, Any]) -> PanelAnswer:
    """Return the number of runs of each study by how they ended, with what to type for each."""
    del asked
    sql = (
        f"select study, outcome, {REASON} as reason, count(*) as runs from runs\n"
        f"where {where(view)} group by all order by study, runs desc, outcome, reason"
    )
    by = [*map(quoted, ("study", "outcome")), REASON]
    every = source.counts(sql, by, conditions(view))
    rows = sorted(every, key=lambda row: (row[0], -row[3], row[1], row[2]))[:MOST_REASONS]
    planned = missing_view(view)
    if planned is not None:
        rows += source.rows(
            "select study, 'missing', '', count(*) from missing "
            f"where {where(planned)} group by study order by study"
        )
    notes = []
    if len(every) > MOST_REASONS:
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
    return f"symstudy retry RESULTS --where {shell_text(conditions)}"


def shell_text(text: str) -> str:
    """Return a text as a shell reads it; between double quotes where these say the same."""
    return shlex.quote(text) if set(text) & set('"$`\\!') else f'"{text}"'
