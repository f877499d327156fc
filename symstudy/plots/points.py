"""Means over seeds along an axis, aggregated in SQL; never over other axes unless asked to.

However many runs there are, what leaves the database is a row a place and line.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from symstudy.errors import QueryError
from symstudy.plots.left_out import LeftOut, count_left_out
from symstudy.plots.source import Columns, Source, has_numbers, resolve

__all__ = [
    "Points",
    "Question",
    "Selection",
    "chosen_sql",
    "keys_of",
    "read_points",
    "read_units",
    "select",
    "values_of",
]

LEVEL = 0.95
MOST_POINTS = 5000
"""Points of a figure; more cannot be told apart."""
MOST_NAMED = 4
"""Axes that an error names."""
MOST_UNITS = 200
"""Seeds that are left out one after the other for an interval; of more, groups are."""
PROBED = ("history", "layers", "count_curve")
"""Views that have a row a run and probe, or several."""
WITHIN = ("step", "layer", "threshold")
"""Columns that tell rows of one run apart."""
STEPPED = "step"


@dataclass(frozen=True, kw_only=True)
class Question:
    """What a figure of a value along an axis is asked to show.

    Attributes:
        x: Column or key of the horizontal axis.
        y: Column or key of the value.
        by: Columns or keys whose values make a line (or a panel) each.
        average: Columns or keys over whose values the mean is taken, on purpose.
        where: Condition in SQL on what counts; all that is done if empty.
    """

    x: str
    y: str
    by: tuple[str, ...] = ()
    average: tuple[str, ...] = ()
    where: str = ""


class Selection(NamedTuple):
    """A question whose columns have been found.

    Attributes:
        columns: The view, with its columns.
        x: Column of the horizontal axis.
        y: Column of the value.
        by: Columns whose values make a line each.
        average: Columns that the mean is taken over.
        where: Condition in SQL.
    """

    columns: Columns
    x: str
    y: str
    by: tuple[str, ...]
    average: tuple[str, ...]
    where: str

    @property
    def view(self) -> str:
        """The view."""
        return self.columns.view

    @property
    def is_last_step(self) -> bool:
        """Whether only the last probe of each run counts."""
        return self.view in PROBED and STEPPED not in (self.x, *self.by, *self.average)

    @property
    def has_numeric_x(self) -> bool:
        """Whether the horizontal axis is of numbers."""
        return has_numbers(self.columns, self.x) and not self.columns.kinds[self.x].startswith("BO")


class Points(NamedTuple):
    """Means over seeds at each place of each line.

    Attributes:
        selection: What was asked.
        frame: A row a point: place, by_0, by_1, ... (values of the columns of `by`), mean, low and
            high (t interval of 95 %; NaN below two seeds), seeds and runs. Ordered by line and
            place.
        left_out: What is not in it.
        query: The SQL.
    """

    selection: Selection
    frame: pd.DataFrame
    left_out: LeftOut
    query: str


def select(source: Source, question: Question) -> Selection:
    """Return a question with its columns found.

    Raises:
        UnknownNameError: If there is no such column.
        QueryError: If no view has all of them, or the value is no number.
    """
    named = [
        ("--x", question.x),
        ("--y", question.y),
        *(("--by", name) for name in question.by),
        *(("--average", name) for name in question.average),
    ]
    columns, (x, y, *others) = resolve(source, named)
    if not has_numbers(columns, y):
        raise QueryError(
            f"--y must be a column of numbers, but {y!r} holds {columns.kinds[y].lower()}. "
            f"Type it as --x or --by."
        )
    by, average = others[: len(question.by)], others[len(question.by) :]
    by = [name for name in dict.fromkeys(by) if name != x]
    return Selection(columns, x, y, tuple(by), tuple(average), question.where.strip())


def chosen_sql(selection: Selection, values: Sequence[tuple[str, str]]) -> str:
    """Return SQL for the rows that count: runs that are done, where the condition holds.

    Args:
        selection: What was asked.
        values: Expressions, each with its alias; identity and seed are there besides.
    """
    listed = ", ".join(f"{expression} as {alias}" for expression, alias in values)
    inner = f"select * from {selection.view}"
    if selection.where:
        inner += f" where ({selection.where}\n)"
    last = ""
    if selection.is_last_step:
        last = " qualify step = max(step) over (partition by study, run_id)"
    return (
        f"select study, run_id, cell_id, seed, {listed} from (select * from ({inner}) "
        f"where outcome = 'done'{last})"
    )


def values_of(source: Source, selection: Selection) -> list[tuple[str, str]]:
    """Return the expressions of a selection's columns with their aliases."""
    return [
        (source.quoted(selection.x), "place"),
        (f"{source.quoted(selection.y)}::double", "value"),
        *((source.quoted(name), f"by_{place}") for place, name in enumerate(selection.by)),
    ]


def keys_of(selection: Selection) -> list[str]:
    """Return the columns of points that say where a point is and of which line."""
    return ["place", *(f"by_{place}" for place in range(len(selection.by)))]


def read_points(source: Source, selection: Selection) -> Points:
    """Return means over seeds at each place.

    Raises:
        QueryError: If a mean would be over something else than seeds that is not named, or there
            are no runs, or more places than a figure can show.
    """
    keys = keys_of(selection)
    chosen = chosen_sql(selection, values_of(source, selection))
    order = ", ".join([*keys[1:], "place"])
    query = (
        f"with chosen as ({chosen}),\n"
        "units as (select "
        f"{', '.join(keys)}, seed, avg(value) as value, count(*) as rows_,\n"
        "  min(study || ' ' || cell_id) as first_, max(study || ' ' || cell_id) as last_\n"
        "  from chosen where place is not null and isfinite(value) group by all)\n"
        f"select {', '.join(keys)}, avg(value) as mean, stddev_samp(value) as spread,\n"
        "  count(*) as seeds, sum(rows_) as runs, max(rows_) as most_,\n"
        "  min(first_) <> max(last_) as is_mixed\n"
        f"from units group by all order by {order} limit {MOST_POINTS + 1}"
    )
    frame = source.df(query)
    left_out = count_left_out(source, selection.view, selection.where, chosen)
    if frame.empty:
        raise QueryError(
            f"a figure must have runs to show, but none has {selection.x} and a finite "
            f"{selection.y}{where_words(selection)}: {left_out.words or 'no run is done'}."
        )
    if len(frame) > MOST_POINTS:
        raise QueryError(
            f"a figure must have at most {MOST_POINTS} points, but {selection.x}"
            f"{''.join(f' and {name}' for name in selection.by)} have more. Choose some with "
            "--where, or show the cells with: symstudy plot parallel RESULTS --color "
            f"{selection.y}"
        )
    refuse_mixture(source, selection, frame)
    return Points(selection, finish(frame, selection), left_out, query)


def read_units(source: Source, points: Points) -> pd.DataFrame:
    """Return the value of each seed at each place, for intervals of what is fitted.

    With more than `MOST_UNITS` seeds, each unit is a group of them.

    Returns:
        With the columns of `keys_of`, unit, count (seeds) and value (their mean).
    """
    selection = points.selection
    is_grouped = int(points.frame["seeds"].max()) > MOST_UNITS
    unit = f"seed % {MOST_UNITS}" if is_grouped else "seed"
    keys = ", ".join(keys_of(selection))
    chosen = chosen_sql(selection, values_of(source, selection))
    return source.df(
        f"select {keys}, {unit} as unit, count(*) as count, avg(value) as value from "
        f"(select {keys}, seed, avg(value) as value from ({chosen}) "
        "where place is not null and isfinite(value) group by all) group by all order by all"
    )


def where_words(selection: Selection) -> str:
    """Return the condition as the end of a sentence."""
    return f" where {selection.where}" if selection.where else ""


def finish(frame: pd.DataFrame, selection: Selection) -> pd.DataFrame:
    """Return points with their t intervals, under the names of their columns."""
    from scipy import stats

    seeds = frame["seeds"].to_numpy(int)
    quantile = stats.t.ppf(0.5 + LEVEL / 2, np.maximum(seeds - 1, 1))
    margin = np.where(
        seeds > 1, quantile * frame["spread"].to_numpy(float) / np.sqrt(seeds), math.nan
    )
    frame = frame.assign(low=frame["mean"] - margin, high=frame["mean"] + margin)
    kept = keys_of(selection)
    return frame[[*kept, "mean", "low", "high", "seeds", "runs"]]


def refuse_mixture(source: Source, selection: Selection, frame: pd.DataFrame) -> None:
    """Raise if a mean would be over something else than seeds that was not named.

    Raises:
        QueryError: If so; it says which axes vary, and what to type.
    """
    is_one = ~frame["is_mixed"].fillna(value=False).astype(bool) & (frame["most_"] == 1)
    if is_one.all():
        return
    # What is averaged over on purpose is held fixed, to see whether anything varies beside it.
    inner = selection._replace(by=(*selection.by, *selection.average), average=())
    others = varying(source, inner) if has_mixture(source, inner) else []
    if not others:
        return
    counts = ", ".join(f"{name} ({count} values)" for name, count in others)
    first = others[0][0]
    raise QueryError(
        f"a mean must be over seeds alone, but at one {selection.x} "
        f"{'also ' if inner.by else ''}{counts} vary. Type --by {first}, or --where "
        f'"{first} = ..." for one value, or --average {first} to take the mean over them and have '
        f"the figure say so; a panel for each: symstudy plot grid RESULTS --x {selection.x} --y "
        f"{selection.y} --facet {first}"
    )


def varying(source: Source, selection: Selection) -> list[tuple[str, int]]:
    """Return which columns vary at one point, and how many values each has there at most.

    What is swept comes first; else any hyperparameter, or the study; else the cells themselves.
    """
    known = selection.columns.kinds
    hyper = [each.name for each in source.hyperparameters if each.name in known]
    swept = [name for name in source.swept if name in known]
    inside = [n for n in WITHIN if n in known and not (n == STEPPED and selection.is_last_step)]
    fixed = {selection.x, *selection.by}
    # What follows from something swept says nothing new, but studies may differ in nothing swept.
    for names in ((*swept, *inside), (*hyper, "study"), ("cell_id",)):
        candidates = [name for name in dict.fromkeys(names) if name not in fixed]
        differ = "min({0}) is distinct from max({0}) or count({0}) not in (0, count(*))"
        found = [
            name
            for name, is_found in over_points(source, selection, candidates, differ)
            if is_found
        ]
        if found:
            counts = over_points(source, selection, found[:MOST_NAMED], "count(distinct {0})")
            return [(name, int(count)) for name, count in counts]
    return []


def has_mixture(source: Source, selection: Selection) -> bool:
    """Return whether a seed has several rows at one point, or a point several cells."""
    keys = ", ".join(keys_of(selection))
    cell = "study || ' ' || cell_id"
    row = source.df(
        "select bool_or(seeds <> rows_ or is_mixed) from ("
        f"select {keys}, count(distinct seed) as seeds, count(*) as rows_, "
        f"min({cell}) <> max({cell}) as is_mixed "
        f"from ({chosen_sql(selection, values_of(source, selection))}) "
        "where place is not null and isfinite(value) group by all)"
    )
    return bool(row.iloc[0, 0])


def over_points(
    source: Source, selection: Selection, names: Sequence[str], formula: str
) -> list[tuple[str, Any]]:
    """Return for each column the largest value of a formula, as `max({0})`, over all points."""
    if not names:
        return []
    places = range(len(names))
    values = [
        *values_of(source, selection),
        *((source.quoted(name), f"c_{place}") for place, name in enumerate(names)),
    ]
    keys = ", ".join(keys_of(selection))
    each = ", ".join(f"{formula.format(f'c_{place}')} as n_{place}" for place in places)
    most = ", ".join(f"max(n_{place}) as n_{place}" for place in places)
    row = source.df(
        f"select {most} from (select {keys}, {each} from ({chosen_sql(selection, values)}) "
        "where place is not null and isfinite(value) group by all)"
    ).iloc[0]
    return [(name, row[f"n_{place}"]) for place, name in enumerate(names)]
