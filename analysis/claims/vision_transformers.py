"""Networks of two sizes that solve one task break about as many symmetries, not in proportion."""

import dataclasses
from collections.abc import Sequence
from pathlib import PurePath
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from symstudy.findings import (
    PALETTE,
    Figure,
    Finding,
    Interval,
    Part,
    SeedTest,
    Verdict,
    bootstrap,
    claim,
    combine,
    error_bars,
    permutation_p,
    seed_part,
    student_interval,
)
from symstudy.store import Store

from ..shared.evidence import base_slice, read_evidence, seed_table

SIMILAR = 1.15
"""Ratio of breaking up to which two networks count as alike."""
EQUAL_ACCURACY = 0.015
PROPORTIONAL = 0.01
"""By how much of it the ratio at random weights may differ from that of the capacities."""
MIN_LAYERS = 3
UNIT = "ratio, large over small"
HELD = "ratio of breaking, held against that of the directions"
AT_RANDOM = "ratio of breaking at random weights"
REPORTED = {
    "query_key": "breaking, query-key alone",
    "value_output": "breaking, value-output alone",
    "common": "breaking, one threshold for all heads",
    "spread": "effective rank",
}
"""What is told beside the verdict, by column of the layers."""

Array = NDArray[np.float64]


class Measured(NamedTuple):
    """What the claim is judged by.

    Attributes:
        layers: One row an attention layer of a run that counts: size (small or large), name,
            state (initial or trained), seed, layer, capacity, total, query_key, value_output,
            common (total with one threshold for all heads; null where the study has not measured
            it), spread (effective ranks of both pairs).
        runs: One row a trained run: size, seed, test_accuracy; null where there are no data.
        excluded: Runs left out, by why.
    """

    layers: pd.DataFrame
    runs: pd.DataFrame
    excluded: tuple[tuple[str, int], ...]


def measure(db: Store) -> Measured:
    """Return the breaking of every attention layer, at random weights and after training."""
    evidence = read_evidence(
        db,
        "run_id, width, path, weights, label_noise, lr_over_batch, head_directions, test_accuracy",
        "head_directions is not null",
    )
    runs = base_slice(evidence.runs)
    if (runs["gamma"] > 0).any():
        runs = runs[runs["gamma"] == runs.loc[runs["gamma"] > 0, "gamma"].min()]
    sizes = sorted(runs["head_directions"].unique().tolist())
    ends = {sizes[0]: "small", sizes[-1]: "large"} if len(sizes) > 1 else {}
    runs = runs.assign(size=runs["head_directions"].map(ends))
    runs = runs[runs["size"].notna()]
    # A file's name, or a width: what a reader knows the network by.
    names = [
        PurePath(path).stem if isinstance(path, str) else f"width {width:.0f}"
        for path, width in zip(runs["path"], runs["width"], strict=True)
    ]
    runs = runs.assign(name=names)
    rows = db.df(
        """
        select run_id, layer, step, is_final, head_directions as capacity,
            query_key_breaking as query_key, value_output_breaking as value_output,
            query_key_layer_breaking + value_output_layer_breaking as common,
            query_key_effective_rank + value_output_effective_rank as spread
        from layers
        where head_directions is not null and (is_final or step = 0)
        order by all
        """
    )
    kept = ["run_id", "size", "name", "seed", "path", "weights"]
    layers = rows.merge(runs[kept], on="run_id")
    is_random = np.where(layers["path"].notna(), layers["weights"] == "random", layers["step"] == 0)
    layers = layers.assign(
        state=np.where(is_random, "initial", "trained"),
        total=layers["query_key"] + layers["value_output"],
    )
    trained = runs[runs["weights"].isna() | (runs["weights"] == "file")]
    return Measured(
        layers.drop(columns=["run_id", "step", "is_final"]).reset_index(drop=True),
        trained[["size", "seed", "test_accuracy"]].reset_index(drop=True),
        evidence.excluded,
    )


@claim(
    title="Two sizes, one task: the same number of broken symmetries",
    statement=(
        "Vision transformers of different size that solve the same task break about as many "
        "symmetries of their attention, although the larger has more to break."
    ),
    study="vision_transformers",
    reference="arXiv:2502.05300, Fig. 3 (left)",
    rule=(
        "The degree of breaking of an attention layer is the sum over its heads of the singular "
        "values of W_Q W_K^T, and of W_V W_O, above 0.02 of each head's largest. rho is its mean "
        "over layers in the large network over that in the small one, on the runs with least label "
        "noise, the largest lr/batch ratio, the smallest gamma above 0 and a decay budget of at "
        "least 6. Supported where the 95 % interval of rho lies below the ratio of the numbers of "
        "directions that could be broken, and contains 1.15 or lies below it; refuted where it "
        "lies above 1.15. It is a t interval over seeds (at least 3); of weights from files, which "
        "have none, a bootstrap over layers. Besides, the same ratio at random weights is within "
        "1 % of that of the directions, and the 90 % t interval over seeds of the difference in "
        "test accuracy lies within +-0.015; else the claim is inconclusive."
    ),
    tests=(
        SeedTest(rule="ratio below that of the directions", level=0.95, unit=UNIT),
        SeedTest(
            rule=f"test accuracies within {EQUAL_ACCURACY}",
            level=0.9,
            margin=EQUAL_ACCURACY,
            unit="accuracy",
        ),
    ),
)
def judge(measured: Measured) -> Finding:
    """Hold the ratio of breaking against that of the capacities."""
    layers = measured.layers
    trained = layers[layers["state"] == "trained"]
    is_file = bool(trained["path"].notna().any())
    null = ratio_of(trained, "capacity")
    parts = (
        *(judge_files(trained, null) if is_file else judge_seeds(trained, null)),
        judge_baseline(layers[layers["state"] == "initial"], null),
        judge_accuracy(measured.runs, decides=not is_file),
        *(
            reported(trained, column, f"ratio of {name}", is_file=is_file)
            for column, name in REPORTED.items()
        ),
    )
    first = parts[0]
    verdict = combine(parts)
    if first.verdict is Verdict.UNTESTED:
        verdict = Verdict.UNTESTED
    elif any(part.decides and part.verdict is not Verdict.SUPPORTED for part in parts[2:]):
        # Without its conditions the ratio speaks neither for the claim nor against it.
        verdict = Verdict.INCONCLUSIVE
    return Finding(
        verdict=verdict,
        reason=describe(parts, verdict, null, is_file=is_file),
        effect=first.effect,
        interval=first.interval,
        unit=UNIT,
        seeds=1 if is_file else len(seed_ratios(trained, "total")),
        threshold=f"below {null:.3g} and not above {SIMILAR}",
        parts=parts,
        excluded=measured.excluded,
    )


def ratio_of(layers: pd.DataFrame, column: str) -> float:
    """Return the mean of `column` over the large network's layers over that of the small one."""
    means = layers.groupby("size")[column].mean()
    if not {"small", "large"} <= set(means.index) or means["small"] == 0:
        return float("nan")
    return float(means["large"] / means["small"])


def seed_ratios(layers: pd.DataFrame, column: str) -> Array:
    """Return the ratio of each seed that both networks have."""
    means = seed_table(layers.assign(value=layers[column].astype(float)), "size", "value")
    if not {"small", "large"} <= set(means.columns):
        return np.empty(0)
    ratios: Array = (means["large"] / means["small"]).to_numpy(float)
    return ratios


def judge_seeds(trained: pd.DataFrame, null: float) -> tuple[Part, Part]:
    """Test the ratio, one value a seed, against that of the capacities and against 1.15."""
    ratios = seed_ratios(trained, "total")
    below = seed_part(
        HELD,
        ratios,
        high=null,
        level=0.95,
        rule=f"below {null:.3g}",
        unit=UNIT,
    )
    alike = seed_part(
        f"ratio of breaking, held against {SIMILAR}",
        ratios,
        high=SIMILAR,
        level=0.95,
        rule=f"contains {SIMILAR} or lies below",
        unit=UNIT,
    )
    return below, contained(alike)


def contained(part: Part) -> Part:
    """Return a part whose rule is met, too, where its interval contains the bound."""
    if part.verdict is not Verdict.INCONCLUSIVE:
        return part
    return dataclasses.replace(part, verdict=Verdict.SUPPORTED, p_value=None)


def judge_files(trained: pd.DataFrame, null: float) -> tuple[Part, Part]:
    """Test the ratio of two trained networks, whose layers are all the units that there are.

    The p-value is that of shuffling the broken share of a layer's directions between the networks.
    """
    names = (HELD, f"ratio of breaking, held against {SIMILAR}")
    rules = (f"below {null:.3g}", f"contains {SIMILAR} or lies below")
    ratio = ratio_of(trained, "total")
    if not np.isfinite(ratio) or trained.groupby("size").size().min() < MIN_LAYERS:
        below, alike = (
            Part(name=name, verdict=Verdict.UNTESTED, rule=rule, unit=UNIT)
            for name, rule in zip(names, rules, strict=True)
        )
        return below, alike
    interval = layer_interval(trained, "total")
    share = (trained["total"] / trained["capacity"]).to_numpy(float)
    is_large = (trained["size"] == "large").to_numpy()
    p_value = permutation_p(
        lambda values: float(values[~is_large].mean() - values[is_large].mean()), share
    )
    verdict = interval.within(high=null)
    below = Part(
        name=names[0],
        verdict=verdict,
        rule=rules[0],
        effect=ratio,
        interval=interval,
        unit=UNIT,
        p_value=p_value if verdict is Verdict.SUPPORTED else None,
    )
    alike = Part(
        name=names[1],
        verdict=interval.within(high=SIMILAR),
        rule=rules[1],
        effect=ratio,
        interval=interval,
        unit=UNIT,
    )
    return below, contained(alike)


def layer_interval(trained: pd.DataFrame, column: str) -> Interval:
    """Return the bootstrap interval of the ratio when layers are resampled."""
    values = trained[column].to_numpy(float)
    is_large = (trained["size"] == "large").to_numpy()

    def ratio(rows: Sequence[int]) -> float:
        drawn, large = values[list(rows)], is_large[list(rows)]
        if large.all() or not large.any():
            return float("nan")
        return float(drawn[large].mean() / drawn[~large].mean())

    return bootstrap(ratio, range(len(values)))


def judge_baseline(initial: pd.DataFrame, null: float) -> Part:
    """Hold the measure itself to account: at random weights it must be in proportion."""
    name, rule = AT_RANDOM, f"within 1 % of {null:.3g}"
    ratio = ratio_of(initial, "total")
    if not np.isfinite(ratio):
        return Part(name=name, verdict=Verdict.UNTESTED, rule=rule, unit=UNIT)
    is_met = abs(ratio / null - 1.0) <= PROPORTIONAL
    verdict = Verdict.SUPPORTED if is_met else Verdict.INCONCLUSIVE
    return Part(name=name, verdict=verdict, rule=rule, effect=ratio, unit=UNIT)


def judge_accuracy(runs: pd.DataFrame, *, decides: bool) -> Part:
    """Test that both networks solve the task alike: without it their breaking says nothing."""
    table = seed_table(runs.dropna(), "size", "test_accuracy")
    has_both = {"small", "large"} <= set(table.columns)
    gaps = table["large"] - table["small"] if has_both else np.empty(0)
    part = seed_part(
        "test accuracy of the large network less that of the small one",
        gaps,
        low=-EQUAL_ACCURACY,
        high=EQUAL_ACCURACY,
        rule=f"within +-{EQUAL_ACCURACY}",
        unit="accuracy",
        decides=decides,
    )
    if part.verdict is not Verdict.REFUTED:
        return part
    return dataclasses.replace(part, verdict=Verdict.INCONCLUSIVE, p_value=None)


def reported(trained: pd.DataFrame, column: str, name: str, *, is_file: bool) -> Part:
    """Return a ratio that decides nothing, held against 1.15; where it was measured."""
    rule = f"below {SIMILAR}"
    if not is_file:
        ratios = seed_ratios(trained, column)
        return seed_part(
            name, ratios, high=SIMILAR, level=0.95, rule=rule, unit=UNIT, decides=False
        )
    ratio = ratio_of(trained, column)
    if not np.isfinite(ratio):
        return Part(name=name, verdict=Verdict.UNTESTED, rule=rule, unit=UNIT, decides=False)
    interval = layer_interval(trained, column)
    return Part(
        name=name,
        verdict=interval.within(high=SIMILAR),
        rule=rule,
        effect=ratio,
        interval=interval,
        unit=UNIT,
        decides=False,
    )


def describe(parts: tuple[Part, ...], verdict: Verdict, null: float, *, is_file: bool) -> str:
    """Return a sentence on what decided."""
    if verdict is Verdict.UNTESTED:
        return "No attention layers of two sizes, on enough seeds."
    first = parts[0]
    units = "layers of two networks" if is_file else "seeds"
    told = (
        f"The larger network breaks {first.effect:.3g} {first.interval} times as many symmetries "
        f"(interval over {units}); in proportion to its directions it would be {null:.3g}."
    )
    lacking = [
        f"{part.name}: {part.verdict.label}"
        + ("" if part.effect is None else f" ({part.effect:.3g})")
        for part in parts[1:]
        if part.decides and part.verdict is not Verdict.SUPPORTED
    ]
    return told + (f" {'; '.join(lacking)}." if lacking else "")


def draw(measured: Measured) -> Figure:
    """Draw the breaking of each layer for both sizes, and its ratio beside the two bounds."""
    import matplotlib.pyplot as plt

    trained = measured.layers[measured.layers["state"] == "trained"]
    canvas, (left, right) = plt.subplots(
        1, 2, figsize=(10.5, 3.9), width_ratios=[1.2, 1.0], layout="constrained"
    )
    drawn = []
    for size, color in (("small", PALETTE[0]), ("large", PALETTE[3])):
        group = trained[trained["size"] == size]
        rows = []
        for layer, values in group.groupby("layer"):
            interval = student_interval(values["total"])
            rows.append(
                {
                    "panel": "layers",
                    "name": values["name"].iloc[0],
                    "layer": layer,
                    "mean": values["total"].mean(),
                    "low": interval.low,
                    "high": interval.high,
                    "capacity": 2 * values["capacity"].iloc[0],
                    "seeds": len(values),
                }
            )
        line = pd.DataFrame(rows)
        # Attention layers alone, counted from 1, and a place beside the other network's.
        places = np.arange(1, len(line) + 1) + (-0.04 if size == "small" else 0.04)
        bars = error_bars(line["low"], line["mean"], line["high"])
        name = line["name"].iloc[0]
        left.errorbar(places, line["mean"], yerr=bars, fmt="o-", capsize=2, color=color, label=name)
        left.plot(
            places,
            line["capacity"],
            ":",
            color=color,
            linewidth=1.2,
            label=f"{name}: all directions",
        )
        drawn.append(line)
    left.set(
        xlabel="attention layer",
        ylabel="degree of breaking\n(directions of all heads, both pairs)",
        title="Broken symmetries of each attention layer",
    )
    left.set_ylim(bottom=0)
    left.xaxis.get_major_locator().set_params(integer=True)
    left.legend(loc="upper center", bbox_to_anchor=(0.5, -0.18), ncol=2)
    drawn.append(draw_ratios(right, judge(measured), ratio_of(trained, "capacity")))
    source = "layers" if trained["path"].notna().any() else "seeds"
    on = "" if trained["path"].notna().any() else " on digits (1,797 real 8x8 images)"
    return Figure(
        canvas,
        pd.concat(drawn),
        f"Vision transformers of two sizes{on}. Left: mean over seeds with 95 % t intervals, where "
        "there are several; dotted lines are all directions that could be broken. Right: the "
        f"larger network over the smaller, with 95 % intervals over {source}; the dashed line is "
        "what capacity alone would give, which random weights do give, the dotted one the bound up "
        "to which the two count as alike.",
    )


def draw_ratios(axes: Any, finding: Finding, null: float) -> pd.DataFrame:
    """Draw the ratios with their intervals, one a row; return what was drawn."""
    by_name = {part.name: part for part in finding.parts}
    labels = {
        HELD: "degree of breaking",
        **{f"ratio of {name}": name for name in REPORTED.values()},
        AT_RANDOM: "degree of breaking,\nrandom weights",
    }
    rows = []
    for name, label in labels.items():
        part = by_name[name]
        low, high = part.interval[:2] if part.interval else (np.nan, np.nan)
        rows.append(
            {"panel": "ratio", "name": label, "mean": part.effect, "low": low, "high": high}
        )
    table = pd.DataFrame(rows).astype({"mean": float}).dropna(subset="mean")
    places = np.arange(len(table))[::-1]
    axes.axvline(null, color="0.35", linestyle="--", linewidth=1.2, label="all directions")
    axes.axvline(SIMILAR, color="0.35", linestyle=":", linewidth=1.2, label=f"{SIMILAR}")
    colors = [PALETTE[2]] + [PALETTE[7]] * (len(table) - 1)
    for place, color, row in zip(places, colors, table.itertuples(), strict=True):
        bars = error_bars([row.low], [row.mean], [row.high])
        axes.errorbar([row.mean], [place], xerr=bars, fmt="o", capsize=3, color=color)
    axes.set_yticks(places, table["name"])
    axes.set(
        xlabel="large network over small",
        title="Ratio of the two networks",
        ylim=(-0.6, len(table) - 0.4),
    )
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.18), ncol=2)
    return table.assign(capacity=null)
