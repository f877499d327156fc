"""The statements that make the views: files of SQL, with the lists of columns filled in."""

import functools
import string
from collections.abc import Collection, Iterable, Mapping, Sequence
from importlib import resources
from types import MappingProxyType

from symstudy.store.tables.schema import (
    CURVE_MEASURES,
    FINAL_LAYER_MEASURES,
    HISTORY,
    PLAN,
    RENAMED,
    RUNS,
)
from symstudy.symmetry.thresholds import CURVE_THRESHOLDS

__all__ = ["VIEWS", "quoted", "view_statements"]

VIEWS = (
    "runs",
    "configurations",
    "history",
    "layers",
    "count_curve",
    "convergence",
    "cells",
    "certificates",
    "representations",
    "pairs",
    "planned",
    "missing",
)
INNER_VIEWS = (
    "runs_ended",
    "run_rows",
    "planned_runs",
    "known_cells",
    "runs_joined",
    "runs_merged",
)
"""Views of our own, which are not listed."""
TABULATED = 30
"""Degrees of freedom up to which quantiles are exact; beyond, two terms of Cornish-Fisher."""
COUNT, SPREAD, MARGIN = " count", " spread", " margin"
"""Ends of the names of what intervals are made of: with a space, as no measure is called."""
IDENTITY = ("run_id", "cell_id", "study", "seed")


def quoted(name: str) -> str:
    """Return a name as SQL takes it for nothing else: a user's key may be `order`."""
    escaped = name.replace('"', '""')
    return f'"{escaped}"'


def view_statements(
    clauses: Mapping[str, str],
    hyperparameters: Mapping[str, str],
    measures: Mapping[str, Sequence[str]],
    without_means: Collection[str] = (),
    aliases: Mapping[str, str] = MappingProxyType({}),
) -> dict[str, str]:
    """Return the statement that makes each view, by its name; what a view reads comes before it.

    Args:
        clauses: What depends on the results: what packs and cells are known by, and what follows
            the names of tables, so that each run is there once.
        hyperparameters: Of each hyperparameter of the cells at hand, its name in the views and the
            column that merged files of runs may have it in.
        measures: Names of measures and metrics that are not built in, by table.
        without_means: Those of them that are no numbers, such as truths.
        aliases: What those are called in the views that share a hyperparameter's name.
    """
    names = listed(hyperparameters)
    more = measures.get(RUNS.name, ())
    means = [*final_measures(), *(name for name in more if name not in without_means)]
    values = {
        **clauses,
        "hyperparameters": names,
        "copies": ", ".join(
            f"runs_files.{quoted(copy)} as {quoted(name)}" for name, copy in hyperparameters.items()
        ),
        "cell_hyperparameters": listed(hyperparameters, of="known_cells"),
        "known_cells": ", ".join(
            f"any_value({quoted(name)}) as {quoted(name)}" for name in (*hyperparameters, "config")
        ),
        "run_identity": listed(IDENTITY, of="runs_files"),
        "run_measures": ", ".join(
            renamed(RUNS.name, name, aliases)
            for name in (*(each.name for each in RUNS.columns), *more)
            if name not in (*IDENTITY, "pack_id")
        ),
        "plan_identity": listed(IDENTITY, of="plan_files"),
        "plan_rest": listed(
            (each.name for each in PLAN.columns if each.name not in IDENTITY), of="plan_files"
        ),
        "history_measures": ", ".join(
            renamed(HISTORY.name, name, aliases)
            for name in (
                *(each.name for each in CURVE_MEASURES),
                *measures.get(HISTORY.name, ()),
            )
        ),
        "thresholds": f"[{', '.join(map(str, CURVE_THRESHOLDS))}]",
        "moments": ", ".join(map(moments, means)),
        "margins": ", ".join(f"{margin(name)} as {quoted(name + MARGIN)}" for name in means),
        "quantiles": t_quantiles(),
        "means": ",\n    ".join(
            mean_with_interval(name, aliases.get(name, name), ends_of(name, means))
            for name in means
        ),
        "mean_names": listed(
            (f"{aliases.get(name, name)}{end}" for name in means for end in ends_of(name, means)),
            of="means",
        ),
    }
    folder = resources.files("symstudy.store.tables") / "views"
    return {
        name: string.Template((folder / f"{name}.sql").read_text(encoding="utf-8")).substitute(
            values
        )
        for name in (*INNER_VIEWS, *VIEWS)
    }


def listed(names: Iterable[str], of: str = "") -> str:
    """Return columns as SQL lists them, those of the table `of` if it is given."""
    return ", ".join(f"{of}.{quoted(name)}" if of else quoted(name) for name in names)


def renamed(table: str, name: str, aliases: Mapping[str, str]) -> str:
    """Return a column of a table as SQL selects it, by its former name too where it had one."""
    old = RENAMED.get(table, {}).get(name)
    if name in aliases:
        return f"{table}_files.{quoted(name)} as {quoted(aliases[name])}"
    if old is None:
        return f"{table}_files.{quoted(name)}"
    return f"coalesce({table}_files.{quoted(name)}, {table}_files.{quoted(old)}) as {quoted(name)}"


def final_measures() -> list[str]:
    """Return the measures of runs of which there are means over seeds."""
    known = {column.name for column in RUNS.columns}
    both = (*CURVE_MEASURES, *FINAL_LAYER_MEASURES)
    return [column.name for column in both if column.name in known]


def ends_of(name: str, means: Collection[str]) -> tuple[str, ...]:
    """Return the ends of the columns of a mean: none of its interval where others are called so."""
    has_clash = f"{name}_low" in means or f"{name}_high" in means
    return ("",) if has_clash else ("", "_low", "_high")


def moments(name: str) -> str:
    """Return SQL for the number of values of a measure, their mean and their spread."""
    # A metric of a program may be called as a word of SQL.
    of = quoted(name)
    return (
        f"count({of}) as {quoted(name + COUNT)}, avg({of}) as {of}, "
        f"stddev_samp({of}) as {quoted(name + SPREAD)}"
    )


def margin(name: str) -> str:
    """Return SQL for half the width of the 95 % t interval of the mean of a measure."""
    count = quoted(name + COUNT)
    return (
        f"(case when {count} > {TABULATED + 1} then 1.96 + 2.372 / ({count} - 1) "
        f"when {count} > 1 then quantiles[{count} - 1] end "
        f"* {quoted(name + SPREAD)} / sqrt({count}))"
    )


def mean_with_interval(name: str, shown: str, ends: Sequence[str]) -> str:
    """Return SQL for the mean of a measure and the 95 % t interval of the mean.

    Args:
        name: Column of the measure.
        shown: What it is called in the view.
        ends: Ends of the columns that are wanted.
    """
    of, around = quoted(name), quoted(name + MARGIN)
    columns = {"": of, "_low": f"{of} - {around}", "_high": f"{of} + {around}"}
    return ", ".join(f"{columns[end]} as {quoted(shown + end)}" for end in ends)


@functools.cache
def t_quantiles() -> str:
    """Return the 97.5 % quantiles of Student's t for 1 to 30 degrees of freedom, as SQL's list."""
    # What scipy.stats.t.ppf calls; to import scipy.stats takes longer than to open a store.
    from scipy.special import stdtrit

    quantiles = stdtrit(range(1, TABULATED + 1), 0.975).tolist()
    return f"[{', '.join(map(str, quantiles))}]"
