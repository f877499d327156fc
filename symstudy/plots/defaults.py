"""Figures of a study that has no claims: what is swept against the main measures."""

from typing import NamedTuple

from symstudy.errors import QueryError, UnknownNameError
from symstudy.plots.pairs import pair_measures
from symstudy.plots.plot import Plot
from symstudy.plots.plotter import Plots
from symstudy.plots.source import Columns, has_numbers, read_columns

__all__ = ["DEFAULT", "default_plots"]

DEFAULT = "default-"
"""What names of default figures begin with."""
MAIN = ("test_loss", "test_accuracy", "train_loss", "mean_rank", "mean_distinct_neurons")
"""Measures that are shown first, where a study has them."""
SPARE = (
    *(
        "seed",
        "steps_done",
        "history_rows",
        "layers_rows",
        "representations_rows",
        "certificates_rows",
        "num_parameters",
        "seconds",
    ),
    *("iterations", "merges", "objective", "trivial_loss", "trivial_accuracy"),
)
"""Numbers of runs that are no result."""
MOST_MEASURES = 3
MOST_LINES = 8
MOST_PANELS = 9
MOST_PLACES = 40


class Axis(NamedTuple):
    """Something that is swept.

    Attributes:
        name: Column.
        levels: Number of its values.
        is_number: Whether it is of numbers.
    """

    name: str
    levels: int
    is_number: bool


def default_plots(plots: Plots) -> list[Plot]:
    """Return figures of what is swept against the main measures, each with its name.

    Empty where nothing is swept, or no run is done. What would need a mean over other axes than
    seeds is not drawn. Pairs of runs that were compared have a figure a measure.
    """
    source = plots.source
    (runs,) = [columns for columns in read_columns(source) if columns.view == "runs"]
    axes = swept_axes(plots, runs)
    made = []
    for measure in measures_of(plots, runs):
        try:
            plot = draw_measure(plots, measure, axes)
        except (QueryError, UnknownNameError):
            # Such as more lines than a figure can show: the kinds of `symstudy plot` say why.
            continue
        if plot is not None:
            made.append(plot.renamed(f"{DEFAULT}{measure}"))
    return [*made, *pair_plots(plots)]


def pair_plots(plots: Plots) -> list[Plot]:
    """Return the figures of pairs of runs; none where none were compared."""
    made = []
    for measure in pair_measures(plots.source)[:MOST_MEASURES]:
        try:
            made.append(plots.pairs(y=measure).renamed(f"{DEFAULT}pairs_{measure}"))
        except QueryError:
            # Too many kinds of pairs, say: `symstudy plot pairs` says why.
            continue
    return made


def swept_axes(plots: Plots, runs: Columns) -> list[Axis]:
    """Return what varies among the runs that are done, numbers with most values first."""
    source = plots.source
    names = [name for name in source.swept if name in runs.kinds]
    if not names:
        return []
    counts = source.df(
        "select "
        + ", ".join(f"count(distinct {source.quoted(name)})" for name in names)
        + " from runs where outcome = 'done'"
    ).iloc[0]
    axes = [
        Axis(name, int(count), has_numbers(runs, name))
        for name, count in zip(names, counts, strict=True)
    ]
    varying = [axis for axis in axes if axis.levels > 1]
    return sorted(varying, key=lambda axis: (not axis.is_number, -axis.levels))


def measures_of(plots: Plots, runs: Columns) -> list[str]:
    """Return the measures that are drawn: the main ones, or what programs report."""
    source = plots.source
    hyper = {each.name for each in source.hyperparameters}
    numbers = [
        name
        for name in runs.kinds
        if has_numbers(runs, name) and name not in hyper and name not in SPARE
    ]
    counted = [name for name in (*MAIN, *numbers) if name in numbers]
    distinct = list(dict.fromkeys(counted))
    known = source.df(
        "select "
        + ", ".join(f"count({source.quoted(name)})" for name in distinct)
        + " from runs where outcome = 'done'"
    ).iloc[0]
    recorded = [name for name, count in zip(distinct, known, strict=True) if count]
    main = [name for name in recorded if name in MAIN]
    own = [name for name in source.metrics if name in recorded]
    return [*main, *own][:MOST_MEASURES]


def draw_measure(plots: Plots, measure: str, axes: list[Axis]) -> Plot | None:
    """Return the figure of one measure: a line and a panel for what is swept besides."""
    if not axes:
        return None
    first, *others = axes
    if first.levels > MOST_PLACES and len(axes) > 1:
        return plots.parallel(color=measure)
    by = [axis for axis in others if axis.levels <= MOST_LINES][:1]
    facet = [axis for axis in others if axis not in by]
    panels = 1
    for axis in facet:
        panels *= axis.levels
    if panels > MOST_PANELS:
        return plots.parallel(color=measure)
    names = tuple(axis.name for axis in by)
    if not facet:
        fit = None if first.is_number else "none"
        return plots.scaling(x=first.name, y=measure, by=names, fit=fit)
    return plots.grid(x=first.name, y=measure, by=names, facet=tuple(axis.name for axis in facet))
