"""A measure against a column, a line for each value of another, with the interval over seeds."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from symstudy.explore.panels.base import (
    DONE,
    PanelAnswer,
    Source,
    averaged_note,
    finite,
    is_log,
    left_out_note,
    text_of,
    uneven_note,
)
from symstudy.explore.view import RequestError, View, where
from symstudy.statistics.fits import fit_power_law
from symstudy.store import quoted

__all__ = ["FITS", "answer", "with_laws"]

FITS = {"power": False, "power+floor": True}
"""Laws that can be fitted, and whether they have an offset."""
MOST_POINTS = 5000
"""Points of means; with more lines than can be told apart nothing is seen."""
MOST_SEED_POINTS = 4000
"""Points of single seeds that are drawn beside their means."""
MOST_LINES = 24
LEAST_RATIO = 4.0
"""Values that are nearer together than this are shown on a linear axis."""
COLUMNS = ("line", "x", "mean", "low", "high", "seeds", "runs")


def answer(source: Source, view: View, asked: Mapping[str, Any]) -> PanelAnswer:
    """Return means of `measure` over seeds at each `x`, a line for each value of `by`.

    The interval is Student's t over seeds: a seed counts once, with the mean of its runs.

    Raises:
        RequestError: If a column has too many values, or there is no such law.
    """
    x, measure = view.column(asked.get("x")), view.number(asked.get("measure"))
    by = text_of(asked, "by")
    lines = view.column(by) if by else None
    sql = means_sql(view, x.name, by, measure.name)
    found = source.ask(sql, MOST_POINTS)
    if not found.is_all:
        raise RequestError(
            f"this panel must have up to {MOST_POINTS:,} points, but {x.label} has more values. "
            "Filter it, or look at it in the panel of any two columns."
        )
    rows = [with_interval(row) for row in found.rows]
    keys = list(dict.fromkeys(row[0] for row in rows))
    notes = averaged_note(source, view, (x.name, *([lines.name] if lines else [])))
    notes += uneven_note(row[6] / row[5] for row in rows)
    notes += left_out_note(source, view, measure.name)
    if len(keys) > MOST_LINES:
        label = lines.label if lines else ""
        notes.append(
            f"The first {MOST_LINES} of {len(keys)} values of {label} are drawn, all are in the "
            f"table: filter {label} to see others."
        )
    xs = [row[1] for row in rows]
    means = [row[2] for row in rows]
    more = {
        "seeds": seed_points(source, view, x.name, by, measure.name, rows),
        "laws": [],
        "lines": keys[:MOST_LINES],
        "x_form": form_of(x.kind, xs),
        "is_log": is_log(means),
    }
    return PanelAnswer(sql, COLUMNS, rows, notes, more)


def with_laws(answer: PanelAnswer, form: object) -> PanelAnswer:
    """Return an answer with the fitted law of each line.

    Args:
        answer: Of this panel.
        form: One of `FITS`; none for no law.

    Raises:
        RequestError: If there is no such law.
    """
    laws, told = fit_lines(answer.rows, form)
    more = {**answer.more, "laws": laws}
    return answer._replace(notes=[*answer.notes, *told], more=more)


def per_seed_sql(view: View, x: str, by: str | None, measure: str) -> str:
    """Return SQL for the mean of each seed at each place."""
    line = quoted(by) if by else "null"
    return (
        f"select {line} as line, {quoted(x)} as x, study, seed, "
        f"avg({quoted(measure)}) as value, count(*) as num\n"
        f"  from runs where {where(view, DONE, finite(measure))} group by all"
    )


def means_sql(view: View, x: str, by: str | None, measure: str) -> str:
    """Return SQL for the mean, standard deviation and number of seeds at each place."""
    return (
        f"with per_seed as (\n  {per_seed_sql(view, x, by, measure)})\n"
        "select line, x, avg(value) as mean, stddev_samp(value) as deviation, count(*) as seeds,\n"
        "  sum(num) as runs\n"
        "from per_seed group by line, x order by line nulls last, x nulls last"
    )


def with_interval(row: Sequence[Any]) -> tuple[Any, ...]:
    """Return a mean with its 95 % t interval; none of a single seed."""
    from scipy.special import stdtrit

    line, x, mean, deviation, seeds, runs = row
    if seeds < 2 or deviation is None or not math.isfinite(deviation):
        return line, x, mean, None, None, seeds, runs
    margin = float(stdtrit(seeds - 1, 0.975)) * deviation / math.sqrt(seeds)
    return line, x, mean, mean - margin, mean + margin, seeds, runs


def seed_points(
    source: Source, view: View, x: str, by: str | None, measure: str, rows: Sequence[Sequence[Any]]
) -> list[tuple[Any, ...]]:
    """Return line, x, study, seed and value of each seed; nothing where they are too many."""
    if sum(row[5] for row in rows) > MOST_SEED_POINTS:
        return []
    sql = per_seed_sql(view, x, by, measure)
    found = source.ask(f"select line, x, study, seed, value from ({sql})", MOST_SEED_POINTS)
    return found.rows if found.is_all else []


def form_of(kind: str, values: Sequence[Any]) -> str:
    """Return the form of the horizontal axis: `log`, `linear`, or `categories`.

    Values that would want a logarithmic axis but for a 0 are categories, so that 0 has a place.
    """
    numbers = [value for value in values if isinstance(value, int | float)]
    if kind != "number" or len(numbers) < len(values) or not numbers:
        return "categories"
    if is_geometric(numbers):
        return "log"
    return "categories" if min(numbers) == 0 and is_geometric(numbers[1:]) else "linear"


def is_geometric(values: Sequence[float]) -> bool:
    """Return whether positive values are nearer to equal ratios than to equal distances."""
    places = np.unique(np.array(values, float))
    if places.size == 0 or places[0] <= 0 or places[-1] < LEAST_RATIO * places[0]:
        return False
    if places.size == 2:
        return True

    def unevenness(gaps: np.ndarray) -> float:
        return float(gaps.std() / gaps.mean())

    return unevenness(np.diff(np.log(places))) < unevenness(np.diff(places))


def fit_lines(
    rows: Sequence[Sequence[Any]], form: object
) -> tuple[list[dict[str, Any]], list[str]]:
    """Return the fitted law of each line, to be drawn, and what is said of those without one.

    Raises:
        RequestError: If there is no such law.
    """
    if form in (None, "", "none"):
        return [], []
    if form not in FITS:
        raise RequestError(f"fit must be one of {', '.join(FITS)}, but got {form!r}.")
    laws, told = [], []
    for line in list(dict.fromkeys(row[0] for row in rows))[:MOST_LINES]:
        points = [(row[1], row[2]) for row in rows if row[0] == line]
        numbers = [
            (float(x), float(y))
            for x, y in points
            if isinstance(x, int | float) and x > 0 and y > 0
        ]
        if len(numbers) < (3 if FITS[str(form)] else 2):
            told.append(f"No law at {line}: it has {len(numbers)} positive points.")
            continue
        laws.append({"line": line, **law_of(numbers, with_offset=FITS[str(form)])})
    return laws, told


def law_of(points: Sequence[tuple[float, float]], *, with_offset: bool) -> dict[str, Any]:
    """Return a power law through points, as values and as text."""
    xs, ys = (np.array(part) for part in zip(*points, strict=True))
    law = fit_power_law(xs, ys, with_offset=with_offset)
    places = np.geomspace(xs.min(), xs.max(), 60)
    offset = f"{law.offset:.3g} + " if with_offset else ""
    return {
        "points": list(zip(places.tolist(), law.predict(places).tolist(), strict=True)),
        "text": f"{offset}{law.amplitude:.3g} x^{law.exponent:.3g}",
        "exponent": law.exponent,
        "offset": law.offset,
        "held_out": law.held_out,
    }
