"""Capacity saturates independently of width, but only under regularisation."""

import itertools
from typing import NamedTuple

import numpy as np
import pandas as pd

from symstudy.findings import (
    Figure,
    Finding,
    Interval,
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
    student_table,
)
from symstudy.store import Store

from .evidence import base_slice, read_evidence, seed_table

FLAT = 0.1
GROWING = 0.5
SPREAD = 0.10
LEVEL = 0.05
MIN_WIDTHS = 3
MIN_SEEDS = 3
TESTS = (
    SeedTest(rule=f"slope within +-{FLAT}", level=0.9, margin=FLAT, unit="d ln / d ln width"),
    SeedTest(
        rule=f"ratio of any two widths within 1 +- {SPREAD}",
        level=0.9,
        margin=SPREAD,
        unit="largest ratio of two widths - 1",
    ),
    SeedTest(rule=f"slope at least {GROWING}", level=0.9, unit="d ln / d ln width"),
)


class Measured(NamedTuple):
    """What the claim is judged by.

    Attributes:
        runs: One row a run of the base slice: gamma, width, seed, rank, distinct_neurons,
            test_loss.
        excluded: Runs left out, by why.
    """

    runs: pd.DataFrame
    excluded: tuple[tuple[str, int], ...]


def measure(db: Store) -> Measured:
    """Return ranks, distinct neurons and test losses against width and gamma."""
    evidence = read_evidence(
        db,
        "width, lr_over_batch, label_noise, rank, effective_rank, distinct_neurons, test_loss",
        "width is not null and depth > 1",
    )
    return Measured(base_slice(evidence.runs), evidence.excluded)


@claim(
    title="Capacity saturates independently of width",
    statement=(
        "Past some width, the rank of the representation, the number of distinct neurons and the "
        "test error no longer depend on the width under weight decay; without it the rank keeps "
        "growing."
    ),
    study="width_saturation",
    reference="arXiv:2502.05300, Fig. 3 (middle) and Fig. 9",
    rule=(
        "Over the upper half of the widths (at least 3), with least label noise and the largest "
        "lr/batch ratio, on no fewer than 3 seeds; runs with gamma > 0 count only with a decay "
        "budget of at least 6. At the largest gamma: the 90 % t interval over seeds of the slope "
        "of ln rank against ln width lies within +-0.1 (two one-sided tests at 5 %), so does that "
        "of distinct neurons, and so does that of the ratio of the test losses of any two widths "
        "lie within 1 +- 0.1. At gamma = 0 the lower end for the slope of rank is at least 0.5. "
        "Refuted where an interval lies wholly on the other side, corrected for the pairs of "
        "widths."
    ),
    tests=TESTS,
)
def judge(measured: Measured) -> Finding:
    """Test flatness with regularisation and growth without."""
    runs = measured.runs
    gammas = sorted(runs["gamma"].unique().tolist()) if len(runs) else []
    strongest = gammas[-1] if gammas and gammas[-1] > 0 else None
    regular = runs[runs["gamma"] == strongest] if strongest is not None else runs.iloc[:0]
    free = runs[runs["gamma"] == 0.0]
    parts = (
        judge_flat(regular, "rank", f"rank against width at gamma = {strongest}"),
        judge_flat(
            regular, "distinct_neurons", f"distinct neurons against width at gamma = {strongest}"
        ),
        judge_spread(regular, f"test loss over saturated widths at gamma = {strongest}"),
        judge_growth(free),
    )
    seeds = len(upper_table(regular, "rank"))
    first = parts[0]
    verdict = combine(parts)
    return Finding(
        verdict=verdict,
        reason=describe(parts, verdict),
        effect=first.effect,
        interval=first.interval,
        unit=first.unit,
        seeds=seeds,
        threshold=f"within +-{FLAT}",
        parts=parts,
        excluded=measured.excluded,
    )


def upper_table(runs: pd.DataFrame, value: str) -> pd.DataFrame:
    """Return `value` with a row a seed and a column for each of the upper half of the widths."""
    widths = sorted(runs["width"].unique().tolist()) if len(runs) else []
    upper = widths[-max(MIN_WIDTHS, (len(widths) + 1) // 2) :]
    table = seed_table(runs[runs["width"].isin(upper)], "width", value)
    return table if table.shape[1] >= MIN_WIDTHS else table.iloc[:0]


def judge_flat(runs: pd.DataFrame, value: str, name: str) -> Part:
    """Test that `value` does not depend on width: two one-sided tests at 5 %."""
    table = upper_table(runs, value)
    rule = f"slope within +-{FLAT}"
    return seed_part(
        name,
        seed_slopes(table),
        low=-FLAT,
        high=FLAT,
        rule=rule,
        unit="d ln / d ln width",
        min_seeds=MIN_SEEDS,
    )


def judge_spread(runs: pd.DataFrame, name: str) -> Part:
    """Test that the test loss differs little between any two of the saturated widths."""
    table = upper_table(runs, "test_loss")
    rule = f"ratio of any two widths within 1 +- {SPREAD}"
    if len(table) < MIN_SEEDS:
        return Part(name=name, verdict=Verdict.UNTESTED, rule=rule)

    # All pairs must be alike (an intersection: no correction); one unlike pair refutes (a union).
    logs = np.log(table)
    pairs = list(itertools.combinations(table.columns, 2))
    limit = np.log1p(SPREAD)
    tests = [
        seed_part(f"{a} / {b}", logs[a] - logs[b], low=-limit, high=limit, rule=rule)
        for a, b in pairs
    ]
    unlike = [
        min(1.0, part.p_value * len(pairs))
        for part in tests
        if part.verdict is Verdict.REFUTED and part.p_value is not None
    ]
    verdict, p_value = Verdict.INCONCLUSIVE, None
    if all(part.verdict is Verdict.SUPPORTED for part in tests):
        verdict, p_value = Verdict.SUPPORTED, max(part.p_value or 0.0 for part in tests)
    elif min(unlike, default=1.0) <= LEVEL:
        verdict, p_value = Verdict.REFUTED, min(unlike)
    worst = max(tests, key=lambda part: abs(part.effect or 0.0))
    assert worst.effect is not None, "enough seeds"
    assert worst.interval is not None, "enough seeds"
    ends = sorted(np.expm1(np.sign(worst.effect) * np.array(worst.interval[:2])).tolist())
    return Part(
        name=name,
        verdict=verdict,
        rule=rule,
        effect=float(np.expm1(abs(worst.effect))),
        interval=Interval(ends[0], ends[1], level=0.9),
        unit="largest ratio of two widths - 1",
        p_value=p_value,
    )


def judge_growth(runs: pd.DataFrame) -> Part:
    """Test that the rank keeps growing with width where nothing regularises."""
    table = upper_table(runs, "rank")
    name = "rank against width at gamma = 0"
    rule = f"slope at least {GROWING}"
    return seed_part(
        name,
        seed_slopes(table),
        low=GROWING,
        rule=rule,
        unit="d ln / d ln width",
        min_seeds=MIN_SEEDS,
    )


def describe(parts: tuple[Part, ...], verdict: Verdict) -> str:
    """Return a sentence on what decided."""
    against = [part for part in parts if part.verdict is not Verdict.SUPPORTED]
    if verdict is Verdict.UNTESTED:
        return "No width sweep with regularisation and enough seeds."
    if not against:
        return (
            "Rank, neurons and test loss are flat in width with weight decay; rank grows without."
        )
    told = [
        f"{part.name}: {part.verdict.label}"
        + (f" ({part.effect:.3g} {part.interval})" if part.effect is not None else "")
        for part in against
    ]
    return "; ".join(told) + "."


def draw(measured: Measured) -> Figure:
    """Draw rank, distinct neurons and test loss against width, a line for each gamma."""
    import matplotlib.pyplot as plt

    runs = measured.runs
    gammas = sorted(runs["gamma"].unique().tolist())
    widths = sorted(runs["width"].unique().tolist())
    colors = color_ramp(len(gammas))
    panels = (
        ("rank", "rank of the representation"),
        ("distinct_neurons", "distinct neurons a layer"),
        ("test_loss", "test loss"),
    )
    canvas, axes = plt.subplots(1, 3, figsize=(11.0, 3.6), layout="constrained")
    drawn = []
    for axis, (value, label) in zip(axes, panels, strict=True):
        for gamma, color in zip(gammas, colors, strict=True):
            line = student_table(runs[runs["gamma"] == gamma], "width", value)
            axis.errorbar(
                line["width"],
                line["mean"],
                yerr=error_bars(line["low"], line["mean"], line["high"]),
                fmt="o-",
                capsize=2,
                color=color,
                label=f"{gamma:g}",
            )
            drawn.append(line.assign(panel=value, gamma=gamma))
        if value != "test_loss":
            axis.plot(widths, widths, color="0.6", linestyle=":", linewidth=1.0, label="= width")
        axis.set(xscale="log", yscale="log", xlabel="width", ylabel=label)
        log_ticks(axis, widths)
    axes[0].set_title("Saturation with width")
    legend_beside(axes[2], "gamma", explained=axes[0])
    return Figure(
        canvas,
        pd.concat(drawn),
        "Mean over hidden layers and seeds, with 95 % t intervals over seeds; the dotted line is "
        "the width itself.",
    )
