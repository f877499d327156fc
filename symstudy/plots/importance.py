"""Which hyperparameters matter for a value: PED-ANOVA over runs, counted in SQL."""

from typing import NamedTuple

import pandas as pd

from symstudy.errors import QueryError
from symstudy.plots.captions import left_out_sentence, runs_words
from symstudy.plots.figures import PALETTE, Figure
from symstudy.plots.labels import name_label
from symstudy.plots.left_out import LeftOut, count_left_out
from symstudy.plots.page import page_note, panel_axes
from symstudy.plots.plot import Plot, make_plot
from symstudy.plots.points import Question, Selection, chosen_sql, select
from symstudy.plots.source import Source, has_numbers
from symstudy.statistics.importance import ped_importance

__all__ = ["plot_importance"]

BINS = 20
"""Bins of equal count that the values of a number fall in, where it has more values than that."""
BEST = ("lowest", "highest")


class Counted(NamedTuple):
    """What an importance is made of.

    Attributes:
        frame: A row a hyperparameter: column, share (of the sum), divergence, by_chance.
        runs: Number of runs.
        best: Number of the best among them.
        queries: The SQL.
    """

    frame: pd.DataFrame
    runs: int
    best: int
    queries: list[str]


def plot_importance(
    source: Source,
    y: str,
    columns: tuple[str, ...] = (),
    *,
    where: str = "",
    best: str = "lowest",
    quantile: float = 0.1,
) -> Plot:
    """Draw how much each hyperparameter matters for whether a run is among the best.

    Args:
        source: The results.
        y: Column or key of the value.
        columns: Hyperparameters; what is swept if empty.
        where: Condition in SQL on what counts.
        best: Whether the `lowest` values are the best, or the `highest`.
        quantile: Share of the runs that are the best.

    Raises:
        UnknownNameError: If there is no such column.
        QueryError: If nothing is swept, nothing varies, or an option is wrong.
    """
    names = columns or source.swept
    if not names:
        raise QueryError(
            "importance must be of hyperparameters that vary, but the studies sweep none. Name "
            "them, as in --x lr --x width."
        )
    if best not in BEST or not 0.0 < quantile < 1.0:
        raise QueryError(
            f"--best must be {' or '.join(BEST)} and --quantile between 0 and 1, but got {best!r} "
            f"and {quantile}. Type --best lowest --quantile 0.1."
        )
    selection = select(source, Question(x=names[0], y=y, by=tuple(names), where=where))
    wanted = tuple(dict.fromkeys((selection.x, *selection.by)))
    values = [(f"{source.quoted(selection.y)}::double", "value")]
    values += [(source.quoted(name), f"c_{place}") for place, name in enumerate(wanted)]
    chosen = chosen_sql(selection, values)
    counted = count_values(source, selection, wanted, chosen, (best, quantile))
    left_out = count_left_out(
        source, selection.view, selection.where, f"select *, 0 as place from ({chosen})"
    )
    told = (f"the {best} {quantile:.0%} of {selection.y}", where)
    figure = draw_importance(counted, left_out, told)
    options = {"y": y, "x": "", "columns": list(wanted), "where": where, "best": best}
    return make_plot(
        "importance", figure, source, {**options, "quantile": quantile}, queries=counted.queries
    )


def count_values(
    source: Source,
    selection: Selection,
    names: tuple[str, ...],
    chosen: str,
    wanted: tuple[str, float],
) -> Counted:
    """Return the importance of each hyperparameter.

    Raises:
        QueryError: If no run has a finite value, or nothing varies among them.
    """
    best, quantile = wanted
    compare = "<=" if best == "lowest" else ">="
    share = quantile if best == "lowest" else 1.0 - quantile
    finite = f"select * from ({chosen}) where isfinite(value)"
    limit = f"(select quantile_cont(value, {share}) from ({finite}))"
    queries, rows = [], []
    runs = num_best = 0
    for place, name in enumerate(names):
        column = f"c_{place}"
        level = column
        if has_numbers(selection.columns, name):
            # Equal values stay in one bin.
            level = (
                f"case when (select count(distinct {column}) from ({finite})) > {BINS} then "
                f"floor({BINS} * percent_rank() over (order by {column}) * (1 - 1e-9)) "
                f"else {column} end"
            )
        query = (
            f"select level, count(*) as every, count(*) filter (where is_best) as best from "
            f"(select {level} as level, value {compare} {limit} as is_best from ({finite})) "
            "group by level"
        )
        counts = source.df(query)
        queries.append(query)
        if counts.empty:
            raise QueryError(
                f"importance must be of runs that are done, but none has {selection.y}."
            )
        found = ped_importance(counts["every"], counts["best"])
        runs, num_best = int(counts["every"].sum()), int(counts["best"].sum())
        rows.append((name, found.divergence, found.by_chance))
    frame = pd.DataFrame(rows, columns=["column", "divergence", "by_chance"])
    total = float(frame["divergence"].sum())
    if num_best == runs or total == 0.0:
        raise QueryError(
            f"importance must be of hyperparameters and a value that vary, but among the "
            f"{runs_words(runs)} that count {' and '.join(names)} or {selection.y} do not. Name "
            "others, as in --x lr --x width, or ask for more runs with --where."
        )
    frame = frame.assign(share=frame["divergence"] / total, chance=frame["by_chance"] / total)
    return Counted(frame.sort_values("share"), runs, num_best, queries)


def draw_importance(counted: Counted, left_out: LeftOut, told: tuple[str, str]) -> Figure:
    """Draw a bar a hyperparameter, and where chance alone would put its end."""
    frame = counted.frame
    canvas, (axis,) = panel_axes(1, height=min(0.9, 0.16 + 0.075 * len(frame)))
    places = range(len(frame))
    axis.barh(places, frame["share"], color=PALETTE[0], height=0.62)
    axis.plot(
        frame["chance"], places, linestyle="none", marker="|", markersize=9, color="0.15",
        label="by chance",
    )  # fmt: skip
    axis.set_yticks(list(places), [name_label(name) for name in frame["column"]])
    axis.set(xlabel="share of importance (PED-ANOVA)", xlim=(0, None))
    axis.grid(visible=False, axis="y")
    best, where = told
    shares = f"{counted.best:,} of {runs_words(counted.runs)}"
    sentences = [
        f"How differently {best} are spread over the values: {shares}.",
        "Strokes: what is expected if the hyperparameter does not matter.",
        f"Where {where}." if where else "",
        left_out_sentence(left_out),
    ]
    plain = [sentence.replace("$", "\\$") for sentence in sentences]
    page_note(canvas, plain)
    return Figure(canvas, frame.assign(panel="importance"), " ".join(s for s in sentences if s))
