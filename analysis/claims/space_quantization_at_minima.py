"""Space quantization at certified minima: the setting in which the theorem is a theorem.

Each run is the best of several L-BFGS minima in float64. Tested are the merge inequality, the
saturation with width, the fall of the count with weight decay, and the conjecture proper, that the
smallest distance does not shrink as weight decay grows. What counts as a neuron follows the
activation's symmetry: vectors for tanh and swish, directions for ReLU, ranks for linear layers.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd

from symstudy.findings import (
    Figure,
    Finding,
    Part,
    SeedTest,
    Verdict,
    claim,
    color_ramp,
    combine,
    error_bars,
    legend_beside,
    log_ticks,
    seed_part,
    seed_slopes,
    student_interval,
)
from symstudy.store import Store

from ..shared.evidence import converged, count_correlation, resampled_correlation, seed_table

MAX_GRAD_RATIO = 1e-6
MERGE_TOLERANCE = 1e-9
FLAT = 0.05
SAME_OBJECTIVE = 0.01
MONOTONE = -0.9
MIN_SEEDS = 3
MIN_GAMMAS = 5
DECIDING = ("tanh", "silu")


class Measured(NamedTuple):
    """What the claim is judged by.

    Attributes:
        runs: One row a certified minimum: activation, gamma, width, seed, count, min_distance,
            objective, merge_gain, atoms.
        excluded: Runs left out, by why.
    """

    runs: pd.DataFrame
    excluded: tuple[tuple[str, int], ...]


def measure(db: Store) -> Measured:
    """Return counts, distances and objectives of the minima that are certified."""
    frame = db.df(
        """
        select coalesce(activation, 'linear') as activation, gamma, width, seed, objective,
               min_distance, merge_gain, samples * output_dim + 1 as atoms,
               case when max_norm < 1e-4 then 0 else case coalesce(activation, 'linear')
                   when 'relu' then distinct_directions when 'linear' then weight_rank
                   else distinct_neurons end end as count,
               coalesce(grad_ratio, 1) as grad_ratio, outcome
        from runs
        where optimizer = 'lbfgs' and depth = 2 and gamma > 0
        order by all
        """
    )
    return Measured(*converged(frame, MAX_GRAD_RATIO, by="activation"))


@claim(
    title="Neurons keep a quantized distance at minima",
    statement=(
        "At global minima under weight decay, no pair of neurons is better merged, their number "
        "saturates with width and falls with gamma, and the smallest distance of non-identical "
        "neurons does not shrink as gamma grows."
    ),
    study="space_quantization_at_minima",
    reference="arXiv:2502.05300, Conjecture 1 and Theorem 4",
    rule=(
        "On minima with a gradient of at most 1e-6 of 1 + objective, over at least 5 values of "
        "gamma and 3 seeds; for each activation: (a) merging any two neurons lowers the objective "
        "by at most 1e-9 of it in every run, (c) over widths of at least twice the count the 90 % "
        "t interval of the slope of ln count against ln width lies within +-0.05 and the "
        "objectives of a seed agree to 1 %, at every gamma with two such widths, (d) Spearman's "
        "correlation of gamma and the mean count over seeds is at most -0.9 at the largest width, "
        "refuted where its 95 % bootstrap interval over seeds lies above, (e) the slope of "
        "ln(smallest distance) against ln gamma at the largest width is at least 0 by its 95 % t "
        "interval. (a), (c) and (d) decide for every activation; (e) decides for tanh and swish "
        "and is reported for ReLU and linear networks, where raw distances mean nothing. All must "
        "hold."
    ),
    tests=(
        SeedTest(
            rule=f"no merge gains more than {MERGE_TOLERANCE:g} of the objective", by_run=True
        ),
        SeedTest(
            rule=f"slope of ln count within +-{FLAT}, objectives within {SAME_OBJECTIVE:.0%}",
            level=0.9,
            margin=FLAT,
            unit="d ln count / d ln width",
        ),
        SeedTest(
            rule="slope of ln distance against ln gamma at least 0",
            unit="d ln distance / d ln gamma",
        ),
    ),
)
def judge(measured: Measured) -> Finding:
    """Test the parts for each activation."""
    runs = measured.runs
    parts: list[Part] = []
    for name, rows in runs.groupby("activation"):
        widest = rows[rows["width"] == rows["width"].max()]
        parts.append(judge_merges(str(name), rows))
        parts.append(judge_width(str(name), rows))
        parts.append(judge_count(str(name), widest))
        parts.append(judge_distance(str(name), widest))
        parts.append(report_atoms(str(name), rows))
    separations = [part for part in parts if part.name.endswith("(e)") and part.decides]
    told = min(separations, key=lambda part: part.effect or 0.0, default=None)
    return Finding(
        verdict=combine(tuple(parts)),
        reason=describe(parts),
        effect=told.effect if told else None,
        interval=told.interval if told else None,
        unit="d ln distance / d ln gamma, the least of tanh and swish",
        seeds=int(runs["seed"].nunique()) if len(runs) else 0,
        threshold=">= 0",
        parts=tuple(parts),
        excluded=measured.excluded,
    )


def judge_merges(name: str, runs: pd.DataFrame) -> Part:
    """Test the merge inequality: a violation proves that a point is no global minimum."""
    rule = f"no merge gains more than {MERGE_TOLERANCE:g} of the objective"
    gains = runs["merge_gain"].dropna()
    if gains.empty:
        return Part(name=f"{name}: merge inequality (a)", verdict=Verdict.UNTESTED, rule=rule)
    worst = float(gains.max())
    return Part(
        name=f"{name}: merge inequality (a), {len(gains)} minima",
        # A violation says that L-BFGS missed the minimum, not that the theorem fails.
        verdict=Verdict.SUPPORTED if worst <= MERGE_TOLERANCE else Verdict.INCONCLUSIVE,
        rule=rule,
        effect=worst,
        unit="largest gain over the objective",
    )


def judge_width(name: str, runs: pd.DataFrame) -> Part:
    """Test that count and objective do not depend on the width once it is twice the count."""
    rule = f"slope of ln count within +-{FLAT}, objectives within {SAME_OBJECTIVE:.0%}"
    title = f"{name}: saturation with width (c)"
    slopes: list[float] = []
    spreads: list[float] = []
    whole = True
    for _, rows in runs.groupby("gamma"):
        largest = rows[rows["width"] == rows["width"].max()]["count"].max()
        wide = rows[(rows["width"] >= 2 * largest) & (rows["count"] > 0)]
        table = seed_table(wide, "width", "count") if len(wide) else pd.DataFrame()
        if table.shape[0] < MIN_SEEDS or table.shape[1] < 2:
            continue
        values = seed_slopes(table)
        interval = student_interval(values, 0.9)
        whole = whole and max(-interval.low, interval.high) <= FLAT
        slopes.append(float(np.abs(values.mean())))
        objectives = seed_table(wide, "width", "objective")
        spreads.append(float((objectives.max(axis=1) / objectives.min(axis=1) - 1).max()))
    if not slopes:
        return Part(name=title, verdict=Verdict.INCONCLUSIVE, rule=rule)
    same = max(spreads) <= SAME_OBJECTIVE
    verdict = Verdict.SUPPORTED if whole and same else Verdict.INCONCLUSIVE
    if max(slopes) > 0.5:
        verdict = Verdict.REFUTED
    return Part(
        name=f"{title}, {len(slopes)} gammas, objectives within {max(spreads):.2%}",
        verdict=verdict,
        rule=rule,
        effect=max(slopes),
        unit="largest |d ln count / d ln width|",
    )


def judge_count(name: str, runs: pd.DataFrame) -> Part:
    """Test that the count falls as gamma grows."""
    title = f"{name}: count against gamma (d)"
    rule = f"Spearman's correlation of gamma and the mean count at most {MONOTONE}"
    table = seed_table(runs, "gamma", "count")
    if len(table) < MIN_SEEDS or table.shape[1] < MIN_GAMMAS:
        return Part(name=title, verdict=Verdict.INCONCLUSIVE, rule=rule)
    effect = count_correlation(table)
    interval, p_value = resampled_correlation(table, MONOTONE)
    verdict = Verdict.SUPPORTED if effect <= MONOTONE else Verdict.INCONCLUSIVE
    if interval.low > MONOTONE:
        verdict = Verdict.REFUTED
    return Part(
        name=title,
        verdict=verdict,
        rule=rule,
        effect=effect,
        interval=interval,
        unit="Spearman's correlation",
        p_value=None if verdict is Verdict.INCONCLUSIVE else p_value,
    )


def judge_distance(name: str, runs: pd.DataFrame) -> Part:
    """Test the conjecture proper: the smallest distance does not shrink as gamma grows."""
    title = f"{name}: smallest distance against gamma (e)"
    rule = "slope of ln distance against ln gamma at least 0"
    decides = name in DECIDING
    close = runs[(runs["min_distance"] > 0) & (runs["count"] > 1)]
    table = close.pivot_table(index="seed", columns="gamma", values="min_distance")
    table = table.dropna(axis="columns", how="any")
    if len(table) < MIN_SEEDS or table.shape[1] < 3:
        return Part(name=title, verdict=Verdict.INCONCLUSIVE, rule=rule, decides=decides)
    return seed_part(
        title,
        seed_slopes(table),
        low=0,
        level=0.95,
        rule=rule,
        unit="d ln distance / d ln gamma",
        decides=decides,
    )


def report_atoms(name: str, runs: pd.DataFrame) -> Part:
    """Report the rival explanation: convex duality alone allows n outputs + 1 distinct neurons."""
    share = float((runs["count"] / runs["atoms"]).max())
    return Part(
        name=f"{name}: count over the n_out n + 1 that convex duality allows",
        verdict=Verdict.INCONCLUSIVE,
        rule="reported, not decided: saturation alone does not prove merging",
        effect=share,
        unit="largest share",
        decides=False,
    )


def describe(parts: list[Part]) -> str:
    """Return which parts decided, and how."""
    if not parts:
        return "No certified minimum."
    told = {
        verdict: [
            part.name.split(",")[0] for part in parts if part.decides and part.verdict is verdict
        ]
        for verdict in (Verdict.REFUTED, Verdict.INCONCLUSIVE, Verdict.SUPPORTED)
    }
    return (
        "; ".join(
            f"{verdict.label}: {', '.join(names)}" for verdict, names in told.items() if names
        )
        + "."
    )


def draw(measured: Measured) -> Figure:
    """Draw counts and smallest distances against gamma, and counts against width."""
    import matplotlib.pyplot as plt

    runs = measured.runs
    names = sorted(runs["activation"].unique().tolist())
    colors = dict(zip(names, color_ramp(len(names)), strict=True))
    canvas, axes = plt.subplots(1, 3, figsize=(11.5, 3.7), layout="constrained")
    widest = runs[runs["width"] == runs.groupby("activation")["width"].transform("max")]
    middle = sorted(runs["gamma"].unique().tolist())[:2][-1]
    panels = (
        (axes[0], widest, "gamma", "count", "distinct neurons, directions or ranks"),
        (axes[1], widest, "gamma", "min_distance", "smallest distance of neurons"),
        (
            axes[2],
            runs[runs["gamma"] == middle],
            "width",
            "count",
            f"count at gamma = {middle:.3g}",
        ),
    )
    drawn = []
    for axis, frame, x, value, label in panels:
        for name in names:
            rows = []
            for place, group in frame[frame["activation"] == name].groupby(x):
                values = group[value].dropna()
                values = values[values > 0]
                if values.empty:
                    continue
                interval = student_interval(values)
                rows.append((place, values.mean(), interval.low, interval.high, len(values)))
            if not rows:
                continue
            line = pd.DataFrame(rows, columns=[x, "mean", "low", "high", "seeds"])
            bars = error_bars(line["low"], line["mean"], line["high"])
            bars = np.minimum(bars, 0.9 * line["mean"].to_numpy())
            axis.errorbar(
                line[x],
                line["mean"],
                yerr=bars,
                fmt="o-",
                capsize=2,
                color=colors[name],
                label=name,
            )
            drawn.append(line.assign(panel=label, activation=name))
        axis.set(xscale="log", yscale="log", ylabel=label)
        axis.set_xlabel("width" if x == "width" else "weight decay gamma")
        log_ticks(axis, sorted(runs[x].unique().tolist()))
        if value == "count":
            log_ticks(axis, [1, 2, 3, 5, 7, 10, 15, 20, 30, 50], "y")
    legend_beside(axes[2], "activation", explained=axes[0])
    return Figure(
        canvas,
        pd.concat(drawn),
        "Best of several certified minima, mean over seeds with 95 % t intervals; the largest "
        "width in the first two panels. Counted are vectors for tanh and swish, directions for "
        "ReLU, ranks for linear networks.",
    )
