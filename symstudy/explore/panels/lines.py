"""A measure against a column, a line for each value of another, with the interval over seeds."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from symstudy.explore.packed import Chosen, Rows, Some
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
from symstudy.explore.view import RequestError, View, conditions, where
from symstudy.statistics.scaling_forms import FORMS
from symstudy.statistics.scaling_laws import ScalingFit, fit_scaling
from symstudy.store import quoted
from symstudy.store.tables.grouped import OverSeeds, SeedMeans

__all__ = ["answer", "with_laws"]

MOST_POINTS = 5000
"""Points of means; with more lines than can be told apart nothing is seen."""
MOST_SEED_POINTS = 4000
"""Points of single seeds that are drawn beside their means."""
MOST_LINES = 24
LEAST_RATIO = 4.0
"""Values that are nearer together than this are shown on a linear axis."""


class Points(NamedTuple):
    """Points of means over seeds.

    Attributes:
        line: The line of each.
        x: Where each stands.
        over: What each is.
    """

    line: Chosen
    x: Chosen
    over: OverSeeds


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
    own = source.coded.seed_means(
        [quoted(name) for name in (by, x.name) if name],
        quoted(measure.name),
        conditions(view, DONE, finite(measure.name)),
    )
    found = points_of(own, by) if own else asked_points(source.ask(sql, MOST_POINTS + 1).rows)
    if len(found.x.at) > MOST_POINTS:
        raise RequestError(
            f"this panel must have up to {MOST_POINTS:,} points, but {x.label} has more values. "
            "Filter it, or look at it in the panel of any two columns."
        )
    rows = with_intervals(found)
    keys = distinct_of(found.line)
    notes = averaged_note(source, view, (x.name, *([lines.name] if lines else [])))
    notes += uneven_note(found.over.runs, found.over.seeds)
    notes += left_out_note(source, view, measure.name)
    if len(keys) > MOST_LINES:
        label = lines.label if lines else ""
        notes.append(
            f"The first {MOST_LINES} of {len(keys)} values of {label} are drawn, all are in the "
            f"table: filter {label} to see others."
        )
    more = {
        "seeds": seed_points(own, by) if own else [],
        "laws": [],
        "lines": keys[:MOST_LINES],
        "x_form": form_of(x.kind, distinct_of(found.x)),
        "is_log": is_log(found.over.mean),
    }
    return PanelAnswer(sql, COLUMNS, rows, notes, more)


def with_laws(answer: PanelAnswer, form: object) -> PanelAnswer:
    """Return an answer with the fitted law of each line.

    Args:
        answer: Of this panel.
        form: Name of a form of `symstudy fit`; none for no law.

    Raises:
        RequestError: If there is no such law.
    """
    laws, told = fit_lines(answer, form)
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


def points_of(means: SeedMeans, by: str | None) -> Points:
    """Return the points of the panel."""
    *line, x = map(Chosen, means.groups.ats, means.groups.values)
    nothing = Chosen(np.zeros(len(means.groups), np.uint8), (None,))
    return Points(line[0] if by else nothing, x, means.over_seeds())


def asked_points(rows: Sequence[tuple[Any, ...]]) -> Points:
    """Return the points that the panel's query gives."""
    lines, xs, *numbers = zip(*rows, strict=True) if rows else ((),) * 6
    over = OverSeeds(*(np.array([math.nan if n is None else n for n in each]) for each in numbers))
    return Points(chosen_of(lines), chosen_of(xs), over)


def chosen_of(values: Sequence[Any]) -> Chosen:
    """Return values as places among those that differ."""
    places = {value: at for at, value in enumerate(dict.fromkeys(values))}
    return Chosen(np.array([places[value] for value in values], np.int64), tuple(places))


def distinct_of(column: Chosen) -> list[Any]:
    """Return the values that a column has, in their order."""
    return [column.choices[at] for at in np.unique(column.at).tolist()]


def with_intervals(points: Points) -> Rows:
    """Return means with their 95 % t intervals; none of a single seed."""
    from scipy.special import stdtrit

    mean, deviation, seeds, runs = points.over
    with np.errstate(all="ignore"):
        has = (seeds > 1) & np.isfinite(deviation)
        # Few numbers of seeds differ, and a quantile takes longer than all the rest.
        counts, at = np.unique(seeds, return_inverse=True)
        margin = stdtrit(counts - 1.0, 0.975)[at] * deviation / np.sqrt(seeds)
        ends = mean - margin, mean + margin
    all_there = np.ones(len(mean), bool)
    numbers = (Some(mean, all_there), *(Some(end, has) for end in ends))
    return Rows(points.line, points.x, *numbers, Some(seeds, all_there), Some(runs, all_there))


def seed_points(means: SeedMeans, by: str | None) -> list[tuple[Any, ...]]:
    """Return line, x, study, seed and value of each seed; nothing where they are too many."""
    places = np.argwhere(means.runs)
    if len(places) > MOST_SEED_POINTS:
        return []
    keys = [key if by else (None, *key) for key in means.groups.keys]
    return [(*keys[at], *means.seeds[seed], float(means.means[at, seed])) for at, seed in places]


def form_of(kind: str, values: Sequence[Any]) -> str:
    """Return the form of the horizontal axis: `log`, `linear`, or `categories`.

    Values that would want a logarithmic axis but for a 0 are categories, so that 0 has a place.
    """
    numbers = [value for value in values if isinstance(value, int | float)]
    if kind != "number" or len(numbers) < len(values) or not numbers:
        return "categories"
    if is_geometric(numbers):
        return "log"
    positive = [number for number in numbers if number > 0]
    return "categories" if min(numbers) == 0 and is_geometric(positive) else "linear"


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


def fit_lines(answer: PanelAnswer, form: object) -> tuple[list[dict[str, Any]], list[str]]:
    """Return the fitted law of each line, to be drawn, and what is said of those without one.

    Raises:
        RequestError: If there is no such law.
    """
    if form in (None, "", "none"):
        return [], []
    if form not in FORMS:
        raise RequestError(f"fit must be one of {', '.join(FORMS)}, but got {form!r}.")
    fewest = FORMS[str(form)].fewest
    values, laws, told = values_of(answer), [], []
    for line in answer.more["lines"]:
        own = values[[each == line for each in values["line"]]]
        places = own["place"].nunique()
        if places < fewest:
            told.append(f"No law at {line}: it has {places} positive points.")
            continue
        laws.append({"line": line, **law_of(own, str(form))})
    return laws, told


def values_of(answer: PanelAnswer) -> pd.DataFrame:
    """Return line, place, unit, count and value of what laws are fitted to.

    These are the values of seeds; where they are too many to be had, the means over seeds. Places
    whose mean is not positive have none.
    """
    seeds = answer.more["seeds"]
    rows = (
        [(line, x, f"{study}/{seed}", 1, value) for line, x, study, seed, value in seeds]
        if seeds
        else [(line, x, "mean", seeds_, mean) for line, x, mean, _, _, seeds_, _ in answer.rows]
    )
    has_law = {
        (line, x)
        for line, x, mean, *_ in answer.rows
        if isinstance(x, int | float) and x > 0 and mean > 0
    }
    table = pd.DataFrame(rows, columns=["line", "place", "unit", "count", "value"], dtype=object)
    kept = table[[pair in has_law for pair in zip(table["line"], table["place"], strict=True)]]
    return kept.astype({"place": float, "count": int, "value": float})


def law_of(points: pd.DataFrame, form: str) -> dict[str, Any]:
    """Return a power law through the values of seeds, as `symstudy fit` finds it."""
    fit = fit_scaling(points, form)
    places = np.geomspace(points["place"].min(), points["place"].max(), 60)
    drawn = fit.law.predict(places)
    return {
        "points": list(zip(places.tolist(), drawn.tolist(), strict=True)),
        "text": law_text(fit),
        **fit.law.parameters,
        "interval": [end if math.isfinite(end) else None for end in fit.intervals["exponent"][:2]],
        "interval_rests_on": fit.source,
    }


def law_text(fit: ScalingFit) -> str:
    """Return a law with the interval of its exponent, as in `0.1 + 2 x^-1 [-1.1, -0.9]`."""
    numbers = {name: f"{value:.3g}" for name, value in fit.law.parameters.items()}
    floor = f"{numbers['floor']} + " if "floor" in numbers else ""
    base = f"(x/{numbers['break_at']})" if "break_at" in numbers else "x"
    interval = fit.intervals["exponent"]
    known = f" {interval}" if math.isfinite(interval.low) and math.isfinite(interval.high) else ""
    after = f", then ^{numbers['exponent_after']}" if "exponent_after" in numbers else ""
    return f"{floor}{numbers['amplitude']} {base}^{numbers['exponent']}{known}{after}"
