"""Space quantization: non-identical neurons keep a distance that does not shrink with weight decay.

The conjecture says that in a layer with permutation symmetry two neurons that are not identical are
at least c gamma apart, with one c for all gamma. Together with the norm bound it limits the number
of distinct neurons, whatever the width. Its literal form is the separation; the count is what
follows.
"""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from symstudy.findings import (
    PALETTE,
    Figure,
    Finding,
    Part,
    SeedTest,
    Verdict,
    claim,
    color_ramp,
    combine,
    draw_heat_map,
    error_bars,
    legend_beside,
    seed_part,
    seed_slopes,
    student_interval,
)
from symstudy.store import Store

from ..shared.evidence import (
    base_slice,
    count_correlation,
    read_evidence,
    resampled_correlation,
    seed_table,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MONOTONE = -0.9
MIN_GAMMAS = 6
MIN_SEEDS = 3
ROUND_OFF = 1e-6


class Measured(NamedTuple):
    """What the claim is judged by.

    Attributes:
        runs: One row a run: gamma, lr_over_batch, width, label_noise, seed, distinct_neurons,
            min_distance, squared_norm, and per layer the worst excess over the count bound.
        curve: One row a run and threshold: gamma, seed, threshold, distinct_neurons, over the base
            slice.
        excluded: Runs left out, by why.
    """

    runs: pd.DataFrame
    curve: pd.DataFrame
    excluded: tuple[tuple[str, int], ...]


def measure(db: Store) -> Measured:
    """Return counts and distances of neurons against everything that the study varies."""
    evidence = read_evidence(
        db,
        "run_id, width, lr_over_batch, label_noise, distinct_neurons, min_distance, squared_norm",
        "depth > 1 and gamma > 0",
    )
    bound = db.df(
        """
        select run_id, max(distinct_neurons - 1 - 2 * squared_norm / min_distance ** 2) as excess
        from layers
        where is_final and min_distance is not null and distinct_neurons > 1
        group by run_id
        """
    )
    curve = db.df(
        """
        select run_id, threshold, avg(distinct_neurons) as distinct_neurons
        from count_curve
        where is_final
        group by all
        """
    )
    runs = evidence.runs.merge(bound, on="run_id", how="left")
    base = base_slice(runs)
    widest = base[base["width"] == base["width"].max()] if len(base) else base
    columns = widest[["run_id", "gamma", "seed"]]
    return Measured(runs, columns.merge(curve, on="run_id"), evidence.excluded)


@claim(
    title="Neurons keep a quantized distance",
    statement=(
        "Under weight decay non-identical neurons are at least c gamma apart, with one c for all "
        "gamma, so that the number of distinct neurons is bounded and falls as gamma grows."
    ),
    study="space_quantization",
    reference="arXiv:2502.05300, Conjecture 1 and Theorem 4",
    rule=(
        "At the largest width and lr/batch ratio and the least label noise, over at least 6 "
        "values of gamma and 3 seeds, on runs with a decay budget of at least 6; all three must "
        "hold. Separation: the slope of ln(smallest distance between non-identical neurons) "
        "against ln gamma is at least 0: supported if its 95 % t interval over seeds is, refuted "
        "if the interval lies below 0. Count: Spearman's correlation of gamma and the mean number "
        "of distinct neurons is at most -0.9 by its 95 % bootstrap interval over seeds, at the "
        "threshold 0.02, and negative at most other thresholds. Integrity: no run has more than 1 "
        "+ 2 sum |w|^2 / r^2 distinct neurons, which holds for any points at pairwise distance r."
    ),
    tests=(
        SeedTest(
            rule="slope of ln distance against ln gamma at least 0",
            unit="d ln distance / d ln gamma",
        ),
        SeedTest(rule="no run exceeds the bound", by_run=True),
    ),
)
def judge(measured: Measured) -> Finding:
    """Test separation, count and integrity; report how the count depends on the other axes."""
    base = base_slice(measured.runs)
    widest = base[base["width"] == base["width"].max()] if len(base) else base
    separation = judge_separation(widest)
    parts = (
        separation,
        judge_count(widest, measured.curve),
        judge_integrity(measured.runs),
        *report_axes(measured.runs, base),
    )
    verdict = combine(parts)
    return Finding(
        verdict=verdict,
        reason=describe(parts, verdict),
        effect=separation.effect,
        interval=separation.interval,
        unit=separation.unit,
        seeds=widest["seed"].nunique() if len(widest) else 0,
        threshold=">= 0",
        parts=parts,
        excluded=measured.excluded,
    )


def judge_separation(runs: pd.DataFrame) -> Part:
    """Test that the smallest distance does not shrink as gamma grows."""
    name = "smallest distance against gamma"
    rule = "slope of ln distance against ln gamma at least 0"
    close = runs[runs["min_distance"] > 0]
    table = close.pivot_table(index="seed", columns="gamma", values="min_distance")
    # A layer whose living neurons are all identical has no distance; its gamma is left out.
    table = table.dropna(axis="columns", how="any")
    if len(table) < MIN_SEEDS or table.shape[1] < MIN_GAMMAS - 1:
        verdict = Verdict.UNTESTED if runs.empty else Verdict.INCONCLUSIVE
        return Part(name=name, verdict=verdict, rule=rule)

    return seed_part(
        name,
        seed_slopes(table),
        low=0,
        level=0.95,
        rule=rule,
        unit="d ln distance / d ln gamma",
    )


def judge_count(runs: pd.DataFrame, curve: pd.DataFrame) -> Part:
    """Test that the number of distinct neurons falls as gamma grows, whatever the threshold."""
    name = "distinct neurons against gamma"
    rule = f"Spearman's correlation at most {MONOTONE}"
    table = seed_table(runs, "gamma", "distinct_neurons")
    if len(table) < MIN_SEEDS or table.shape[1] < MIN_GAMMAS:
        verdict = Verdict.UNTESTED if runs.empty else Verdict.INCONCLUSIVE
        return Part(name=name, verdict=verdict, rule=rule)
    correlation = count_correlation(table)
    interval, p_value = resampled_correlation(table, MONOTONE)
    signs = [
        count_correlation(seed_table(rows, "gamma", "distinct_neurons")) < 0
        for _, rows in curve.groupby("threshold")
    ]
    is_robust = sum(signs) > len(signs) / 2
    if interval.high <= MONOTONE and is_robust:
        verdict = Verdict.SUPPORTED
    elif interval.low > MONOTONE:
        verdict = Verdict.REFUTED
    else:
        verdict = Verdict.INCONCLUSIVE
    return Part(
        name=f"{name} ({sum(signs)} of {len(signs)} thresholds agree in sign)",
        verdict=verdict,
        rule=rule,
        effect=correlation,
        interval=interval,
        unit="Spearman's correlation",
        p_value=None if verdict is Verdict.INCONCLUSIVE else p_value,
    )


def judge_integrity(runs: pd.DataFrame) -> Part:
    """Check the count bound that holds for any points at a pairwise distance."""
    name = "distinct neurons within 1 + 2 sum |w|^2 / r^2"
    rule = "no run exceeds the bound"
    excess = runs["excess"].dropna() if len(runs) else pd.Series(dtype=float)
    if excess.empty:
        return Part(name=name, verdict=Verdict.UNTESTED, rule=rule)
    worst = float(excess.max())
    verdict = Verdict.SUPPORTED if worst <= ROUND_OFF else Verdict.REFUTED
    return Part(
        name=name, verdict=verdict, rule=rule, effect=worst, unit="largest excess over the bound"
    )


def report_axes(runs: pd.DataFrame, base: pd.DataFrame) -> list[Part]:
    """Report, without deciding, how counts and distances depend on the other axes."""
    parts: list[Part] = []
    if len(runs) == 0:
        return parts
    quiet = runs[runs["label_noise"] == runs["label_noise"].min()]
    widest = quiet[quiet["width"] == quiet["width"].max()]
    for name, frame, axis, value in (
        ("distinct neurons against lr/batch", widest, "lr_over_batch", "distinct_neurons"),
        ("smallest distance against lr/batch", widest, "lr_over_batch", "min_distance"),
        ("distinct neurons against width", base, "width", "distinct_neurons"),
    ):
        places = sorted(frame[axis].unique().tolist())
        if len(places) < 2:
            continue
        # Only values of gamma that are evidence at every place: otherwise the mean compares unlike
        # runs.
        whole = frame.groupby("gamma")[axis].transform("nunique") == len(places)
        table = seed_table(frame[whole & (frame[value] > 0)], axis, value)
        if len(table) < MIN_SEEDS:
            continue

        slopes = seed_slopes(table)
        parts.append(
            Part(
                name=name,
                verdict=Verdict.INCONCLUSIVE,
                rule="reported, not decided",
                effect=float(slopes.mean()),
                interval=student_interval(slopes),
                unit="d ln / d ln",
                decides=False,
            )
        )
    parts.extend(report_noise(runs))
    return parts


def report_noise(runs: pd.DataFrame) -> list[Part]:
    """Report by how much label noise changes the count, at the largest width and lr/batch ratio."""
    levels = sorted(runs["label_noise"].unique().tolist())
    if len(levels) < 2:
        return []
    frame = runs[
        (runs["width"] == runs["width"].max())
        & (runs["lr_over_batch"] == runs["lr_over_batch"].max())
    ]
    table = seed_table(frame, "label_noise", "distinct_neurons")
    if len(table) < MIN_SEEDS or table.shape[1] < 2:
        return []
    change = np.log(table[levels[-1]] / table[levels[0]])
    interval = student_interval(change)
    return [
        Part(
            name=f"distinct neurons at label noise {levels[-1]:g} over {levels[0]:g}",
            verdict=Verdict.INCONCLUSIVE,
            rule="reported, not decided",
            effect=float(change.mean()),
            interval=interval,
            unit="ln ratio",
            decides=False,
        )
    ]


def describe(parts: tuple[Part, ...], verdict: Verdict) -> str:
    """Return a sentence on what decided."""
    if verdict is Verdict.UNTESTED:
        return "No sweep of gamma whose runs have a decay budget of at least 6."
    told = [
        f"{part.name}: {part.verdict.label}"
        + (f" ({part.effect:.3g} {part.interval})" if part.interval is not None else "")
        for part in parts
        if part.decides
    ]
    return "; ".join(told) + "."


def draw(measured: Measured) -> Figure:
    """Draw counts and distances against gamma, the count by threshold, and its map."""
    import matplotlib.pyplot as plt

    canvas, axes = plt.subplots(2, 2, figsize=(11.0, 7.2), layout="constrained")
    base = base_slice(measured.runs)
    drawn = [
        draw_lines(axes[0, 0], base, "distinct_neurons", "distinct neurons a layer"),
        draw_lines(axes[0, 1], base, "min_distance", "smallest distance of neurons"),
        draw_thresholds(axes[1, 0], measured.curve),
        draw_map(axes[1, 1], measured.runs),
    ]
    legend_beside(axes[0, 1], "width")
    axes[0, 0].set_title("Distinct neurons against weight decay")
    axes[0, 1].set_title("Separation against weight decay")
    return Figure(
        canvas,
        pd.concat(drawn),
        "Runs with a decay budget of at least 6; means over hidden layers and seeds with 95 % t "
        "intervals over seeds. Lower left: the count by the threshold below which two neurons are "
        "one, relative to the largest neuron; the claim is judged at 0.02. Lower right: mean "
        "count at the largest width without label noise.",
    )


def draw_lines(axes: "Axes", base: pd.DataFrame, value: str, label: str) -> pd.DataFrame:
    """Draw `value` against gamma, a line a width."""
    rows = []
    widths = sorted(base["width"].unique().tolist())
    for width, color in zip(widths, color_ramp(len(widths)), strict=True):
        line = []
        for gamma, group in base[base["width"] == width].groupby("gamma"):
            values = group[value].dropna()
            if values.empty:
                continue
            interval = student_interval(values)
            line.append(
                {
                    "panel": value,
                    "width": width,
                    "gamma": gamma,
                    "mean": values.mean(),
                    "low": interval.low,
                    "high": interval.high,
                    "seeds": len(values),
                }
            )
        frame = pd.DataFrame(line)
        if frame.empty:
            continue
        axes.errorbar(
            frame["gamma"],
            frame["mean"],
            yerr=np.minimum(
                error_bars(frame["low"], frame["mean"], frame["high"]),
                0.9 * frame["mean"].to_numpy(),
            ),
            fmt="o-",
            capsize=2,
            color=color,
            label=f"{width:g}",
        )
        rows.append(frame)
    axes.set(xscale="log", yscale="log", xlabel="weight decay gamma", ylabel=label)
    return pd.concat(rows) if rows else pd.DataFrame()


def draw_thresholds(axes: "Axes", curve: pd.DataFrame) -> pd.DataFrame:
    """Draw the count against the threshold, a line a gamma."""
    table = curve.groupby(["gamma", "threshold"], as_index=False)["distinct_neurons"].mean()
    gammas = sorted(table["gamma"].unique().tolist())
    for gamma, color in zip(gammas, color_ramp(len(gammas)), strict=True):
        line = table[table["gamma"] == gamma]
        axes.plot(
            line["threshold"], line["distinct_neurons"], "o-", color=color, label=f"{gamma:.3g}"
        )
    axes.axvline(0.02, color=PALETTE[3], linewidth=1.0, linestyle="--")
    axes.set(xscale="log", yscale="log", xlabel="threshold relative to the largest neuron")
    axes.set_ylabel("distinct neurons a layer")
    axes.set_title("Sensitivity to the threshold (dashed: judged)")
    legend_beside(axes, "gamma")
    return table.assign(panel="threshold")


def draw_map(axes: "Axes", runs: pd.DataFrame) -> pd.DataFrame:
    """Draw the mean count over gamma and lr/batch."""
    quiet = runs[runs["label_noise"] == runs["label_noise"].min()]
    widest = quiet[quiet["width"] == quiet["width"].max()]
    table = widest.groupby(["gamma", "lr_over_batch"], as_index=False)["distinct_neurons"].mean()
    draw_heat_map(
        axes,
        table,
        x="gamma",
        y="lr_over_batch",
        value="distinct_neurons",
        label="distinct neurons a layer",
    )
    axes.set(xlabel="weight decay gamma", ylabel="lr / batch")
    axes.set_title("Distinct neurons over decay and noise temperature")
    return table.assign(panel="map")
