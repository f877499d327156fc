"""What each panel of the page shows, worked out by SQL: one module a panel.

A panel is a function from what is looked at, and what the page asks for, to an answer; the page
draws answers and knows nothing of statistics. Every answer has the SQL that it came from, which
`symstudy query` runs as it stands.
"""

from collections.abc import Callable, Mapping
from typing import Any

from symstudy.errors import unknown_name
from symstudy.explore.panels import (
    endings,
    grid,
    histogram,
    lines,
    parallel,
    scatter,
    table,
)
from symstudy.explore.panels.base import PanelAnswer, Source
from symstudy.explore.view import RequestError, View

__all__ = ["PANELS", "PanelAnswer", "Source", "answer_panel", "finish_panel"]

Panel = Callable[[Source, View, Mapping[str, Any]], PanelAnswer]

PANELS: dict[str, Panel] = {
    "histogram": histogram.answer,
    "grid": grid.answer,
    "lines": lines.answer,
    "scatter": scatter.answer,
    "parallel": parallel.answer,
    "endings": endings.answer,
    "table": table.answer,
}


def answer_panel(source: Source, view: View, asked: Mapping[str, Any]) -> PanelAnswer:
    """Return what a panel shows.

    Args:
        source: Where the rows are.
        view: What is looked at.
        asked: What the page asks for: `panel`, and what that panel takes.

    Raises:
        RequestError: If there is no such panel, or it takes something else.
    """
    name = asked.get("panel")
    if not isinstance(name, str) or name not in PANELS:
        raise RequestError(str(unknown_name("panel", str(name), list(PANELS))))
    return PANELS[name](source, view, asked)


def finish_panel(answer: PanelAnswer, asked: Mapping[str, Any]) -> PanelAnswer:
    """Return an answer with what takes long and needs no rows any more: fitted laws.

    Raises:
        RequestError: If there is no such law.
    """
    return lines.with_laws(answer, asked.get("fit")) if asked.get("panel") == "lines" else answer
