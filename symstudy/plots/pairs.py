"""Runs compared in pairs: a measure of two representations by layer, against permuted chance."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import pandas as pd

from symstudy.errors import QueryError, unknown_name
from symstudy.plots.figures import Figure, error_bars
from symstudy.plots.labels import NBSP, name_label, value_label
from symstudy.plots.lines import MARKERS, hues_of, legend_of
from symstudy.plots.page import page_note, panel_axes
from symstudy.plots.plot import Plot, make_plot
from symstudy.plots.points import LEVEL
from symstudy.plots.source import Source

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["FIRST_MEASURE", "pair_measures", "plot_pairs"]

PERMUTED = "_permuted"
FIRST_MEASURE = "cka"
MOST_KINDS = 8
"""Kinds of pairs of a figure; more cannot be told apart."""
UNITS = 2
"""Seeds that an interval needs."""


class Kind(NamedTuple):
    """Pairs of the same two settings.

    Attributes:
        name: What a legend calls them, such as `width = 16 : 32`.
        points: A row a layer: layer, mean, low, high, permuted, p, seeds and pairs.
    """

    name: str
    points: pd.DataFrame


def pair_measures(source: Source) -> list[str]:
    """Return the measures that pairs of runs were compared by; empty where none were."""
    try:
        columns = list(source.df("from (describe pairs)")["column_name"])
    except QueryError:
        return []
    found = [name for name in columns if f"{name}{PERMUTED}" in columns]
    if not found:
        return []
    counts = ", ".join(f"count({source.quoted(name)})" for name in found)
    known = source.df(f"select {counts} from pairs where is_last").iloc[0]
    return [name for name, count in zip(found, known, strict=True) if count]


def plot_pairs(source: Source, y: str | None = None, *, where: str = "") -> Plot:
    """Draw a measure of pairs of runs by layer, with what permuted samples give.

    Layers of the same number are compared, at the last probe of both runs. Where the runs of each
    pair have one seed, the mean is over seeds, with its t interval; where pairs are of different
    seeds they share runs, and the range over pairs is drawn, which is no interval.

    Args:
        source: The results.
        y: Measure, such as `cka`; the first that was recorded if None.
        where: Condition in SQL on the view `pairs`.

    Raises:
        UnknownNameError: If there is no such measure.
        QueryError: If no pairs were compared, or they are of too many kinds.
    """
    measures = pair_measures(source)
    if not measures:
        raise QueryError(
            "a figure of pairs must have pairs of runs that were compared, but there are none. "
            'Write [pairs] into the study file, as in between = ["train.replica"], and run it.'
        )
    if y is None:
        y = FIRST_MEASURE if FIRST_MEASURE in measures else measures[0]
    if y not in measures:
        raise unknown_name("--y", y, measures)
    query, names = pairs_sql(source, y, where)
    frame = source.df(query)
    if frame.empty:
        raise QueryError(
            f"a figure of pairs must have pairs to show, but none of runs that are done has a "
            f"finite {y} at layers of the same number{f' where {where}' if where else ''}."
        )
    is_paired = bool((frame["seed_a"] == frame["seed_b"]).all())
    kinds = kinds_of(frame, names, is_paired=is_paired)
    if len(kinds) > MOST_KINDS:
        raise QueryError(
            f"a figure of pairs must have at most {MOST_KINDS} kinds of pairs, but there are "
            f"{len(kinds)}, such as {kinds[0].name}. Choose some with --where."
        )
    told = sentences(kinds, where, is_paired=is_paired)
    figure = draw_kinds(kinds, y, told)
    return make_plot("pairs", figure, source, {"y": y, "where": where}, queries=[query])


def pairs_sql(source: Source, measure: str, where: str) -> tuple[str, dict[str, tuple[str, str]]]:
    """Return SQL for the pairs of runs that are done, and the columns of what varies.

    Returns:
        The SQL, with the columns study, run_a, run_b, seed_a, seed_b, layer, value, permuted and p;
        and for each column that is swept, its names for the first run and for the second.
    """
    swept = [name for name in dict.fromkeys(source.swept) if name != "seed"]
    names = {name: (f"a_{place}", f"b_{place}") for place, name in enumerate(swept)}
    settings = "".join(
        f", a.{source.quoted(name)} as {first}, b.{source.quoted(name)} as {second}"
        for name, (first, second) in names.items()
    )
    condition = f" where ({where}\n)" if where else ""
    value, permuted, chance = (
        source.quoted(name) for name in (measure, f"{measure}{PERMUTED}", f"{measure}_p")
    )
    query = (
        f"with compared as (select * from pairs{condition})\n"
        "select compared.study, run_a, run_b, a.seed as seed_a, b.seed as seed_b, "
        f"layer_a as layer, compared.{value}::double as value, "
        f"compared.{permuted}::double as permuted, compared.{chance}::double as p{settings}\n"
        "from compared\n"
        "join runs as a on a.study = compared.study and a.run_id = run_a\n"
        "join runs as b on b.study = compared.study and b.run_id = run_b\n"
        f"where is_last and layer_a = layer_b and isfinite(compared.{value}::double)\n"
        "  and a.outcome = 'done' and b.outcome = 'done'\n"
        "order by all"
    )
    return query, names


def kinds_of(
    frame: pd.DataFrame, names: Mapping[str, tuple[str, str]], *, is_paired: bool
) -> list[Kind]:
    """Return the pairs of each two settings, with their means by layer."""
    keys = ["study", *(column for both in names.values() for column in both)]
    groups = list(frame.groupby(keys, dropna=False, sort=True))
    settings = [dict(zip(keys, values, strict=True)) for values, _ in groups]
    told = {
        name: both
        for name, both in names.items()
        if len({tuple(str(setting[column]) for column in both) for setting in settings}) > 1
    } or {
        name: both
        for name, both in names.items()
        if any(str(setting[both[0]]) != str(setting[both[1]]) for setting in settings)
    }
    has_studies = len({setting["study"] for setting in settings}) > 1
    return [
        Kind(kind_name(setting, told, has_studies=has_studies), by_layer(rows, is_paired=is_paired))
        for setting, (_, rows) in zip(settings, groups, strict=True)
    ]


def kind_name(
    setting: Mapping[str, Any], told: Mapping[str, tuple[str, str]], *, has_studies: bool
) -> str:
    """Return what a legend calls pairs: values that both have, or those of one and the other."""
    parts = [str(setting["study"])] if has_studies else []
    for name, (first, second) in told.items():
        one, other = value_label(setting[first]), value_label(setting[second])
        values = one if one == other else f"{one}{NBSP}:{NBSP}{other}"
        parts.append(f"{name_label(name, is_axis=False)}{NBSP}={NBSP}{values}")
    return ", ".join(parts)


def by_layer(rows: pd.DataFrame, *, is_paired: bool) -> pd.DataFrame:
    """Return means by layer: over seeds with t intervals, or over pairs with their range."""
    from scipy import stats

    found = []
    for layer, at in rows.groupby("layer", sort=True):
        values = at.groupby("seed_a")["value"].mean() if is_paired else at["value"]
        mean, low, high = float(values.mean()), float(values.min()), float(values.max())
        if is_paired:
            count = len(values)
            margin = math.nan
            if count >= UNITS:
                quantile = float(stats.t.ppf(0.5 + LEVEL / 2, count - 1))
                margin = quantile * float(values.std()) / math.sqrt(count)
            low, high = mean - margin, mean + margin
        found.append(
            {
                "layer": layer,
                "mean": mean,
                "low": low,
                "high": high,
                "permuted": float(at["permuted"].mean()),
                "largest_p": float(at["p"].max()),
                "seeds": int(pd.concat([at["seed_a"], at["seed_b"]]).nunique()),
                "pairs": len(at),
            }
        )
    return pd.DataFrame(found)


def sentences(kinds: Sequence[Kind], where: str, *, is_paired: bool) -> list[str]:
    """Return what is said of the figure."""
    every = pd.concat([kind.points for kind in kinds])
    chance = "Chance is not shown: nothing was permuted ([pairs] draws = 0)."
    if every["permuted"].notna().any():
        largest = float(every["largest_p"].max())
        chance = (
            f"Dashed: the mean with permuted samples, which is chance. Largest p: {largest:.2g}."
        )
    seeds = every["seeds"]
    least, most = int(seeds.min()), int(seeds.max())
    count = str(least) if least == most else f"{least} to {most}"
    means = f"Means over {count} seeds with 95 % t intervals."
    if most < UNITS:
        means = "One seed a point, so no intervals."
    if not is_paired:
        means = (
            f"Means over pairs of {count} seeds. Such pairs share runs, so the bars are the range "
            "over pairs and no interval."
        )
    return [
        "The same layer of both runs is compared, at their last probe.",
        means,
        chance,
        f"Where {where}." if where else "",
    ]


def draw_kinds(kinds: Sequence[Kind], measure: str, told: Sequence[str]) -> Figure:
    """Draw a line for each kind of pairs, and its chance dashed."""
    from matplotlib.ticker import MaxNLocator

    canvas, (axis,) = panel_axes(1)
    hues = hues_of([kind.name for kind in kinds])
    for place, (kind, hue) in enumerate(zip(kinds, hues, strict=True)):
        draw_kind(axis, kind, hue, MARKERS[place % len(MARKERS)], is_alone=len(kinds) == 1)
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axis.set(xlabel="layer", ylabel=name_label(measure))
    axis.margins(x=0.08)
    legend_of([axis])
    plain = [sentence.replace("$", "\\$") for sentence in told]
    page_note(canvas, plain)
    drawn = pd.concat(
        [kind.points.assign(kind=kind.name.replace(NBSP, " ")) for kind in kinds], ignore_index=True
    )
    front = drawn[["kind", *(name for name in drawn if name != "kind")]]
    caption = " ".join([f"{measure} of pairs of runs by layer.", *(s for s in told if s)])
    return Figure(canvas, front.assign(panel=measure), caption)


def draw_kind(axes: "Axes", kind: Kind, hue: Any, marker: str, *, is_alone: bool) -> None:
    """Draw the means of one kind by layer, and below them what permuted samples give."""
    points = kind.points
    axes.errorbar(
        points["layer"],
        points["mean"],
        yerr=error_bars(points["low"], points["mean"], points["high"]),
        marker=marker,
        linestyle="-",
        color=hue,
        label=kind.name,
    )
    if points["permuted"].isna().all():
        return
    axes.plot(
        points["layer"],
        points["permuted"],
        linestyle="--",
        color="0.5" if is_alone else hue,
        label="permuted samples" if is_alone else None,
    )
