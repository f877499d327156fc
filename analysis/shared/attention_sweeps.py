"""Does the degree of attention follow one property of the task? What three claims share.

Each claim has runs of one study in which one factor changes. The degree of symmetry breaking of a
layer is the rank of W_Q W_K^T and that of W_V W_O, of every head, in every gauge the same; summed
over layers it is the capacity in use. Both pairs and their effective ranks are reported beside.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd

from symstudy.findings import (
    PALETTE,
    Figure,
    Finding,
    Part,
    Verdict,
    combine,
    error_bars,
    student_table,
)
from symstudy.store import Store

from .evidence import converged, seed_table
from .monotone import judge_monotone

__all__ = ["LEAST", "Factor", "Measured", "draw_factor", "judge_factor", "measure_degrees"]

LEAST = 0.8
"""Spearman's correlation that a sweep has to reach, in the claimed direction."""
BASES = {"input_scale": 1.0, "label_noise": 0.0}
"""Where the other factors stand; the tasks have all dimensions."""
MEASURES = {
    "degree": "degree of breaking",
    "query_key": "degree of W_Q W_K^T",
    "value_output": "degree of W_V W_O",
    "spread": "effective rank of both products",
}
"""What is measured of all attention layers together; the first decides."""


class Measured(NamedTuple):
    """What a claim about a factor is judged by.

    Attributes:
        runs: One row a run: place on the sweep, optimizer, gamma, seed, largest possible degree,
            and the columns of `MEASURES`.
        excluded: Runs left out, by why.
    """

    runs: pd.DataFrame
    excluded: tuple[tuple[str, int], ...]


class Factor(NamedTuple):
    """What is claimed of a factor.

    Attributes:
        column: Of `runs`.
        label: What it is, with its unit.
        sign: 1 if the degree is to grow with it, -1 if to fall.
    """

    column: str
    label: str
    sign: int


def measure_degrees(db: Store, factor: Factor) -> Measured:
    """Return the degrees of the runs in which `factor` alone changes."""
    frame = db.df(
        """
        select seed, optimizer, gamma, input_scale, label_noise,
               case when task_dim = 0 then token_dim - 1 else task_dim end as task_dim,
               layers * query_key_breaking as query_key,
               layers * value_output_breaking as value_output,
               layers * (query_key_effective_rank + value_output_effective_rank)
                   as spread,
               2 * layers * head_directions as largest,
               0.0 as grad_ratio, outcome
        from runs
        where model = 'transformer' and data = 'in_context' and optimizer in ('adam', 'adamw')
              and gamma > 0 and (label_noise = 0 or noise_mode = 'online')
        order by all
        """
    )
    runs, excluded = converged(frame, 0.0)
    bases = {**BASES, "task_dim": runs["task_dim"].max()}
    for other, base in bases.items():
        if other != factor.column:
            runs = runs[runs[other] == base]
    runs = runs.assign(
        place=runs[factor.column].astype(float), degree=runs["query_key"] + runs["value_output"]
    )
    columns = ["place", "optimizer", "gamma", "seed", "largest", *MEASURES]
    return Measured(runs[columns].reset_index(drop=True), excluded)


def judge_factor(measured: Measured, factor: Factor) -> Finding:
    """Judge the direction of the degree at the largest gamma; report the rest."""
    parts: list[Part] = []
    adam = measured.runs["optimizer"] == "adam"
    strongest = measured.runs.loc[adam, "gamma"].max()
    for (optimizer, gamma), runs in measured.runs.groupby(["optimizer", "gamma"]):
        is_main = optimizer == "adam" and bool(gamma == strongest)
        for column, label in MEASURES.items():
            if not is_main and column != "degree":
                continue
            part = judge_monotone(
                f"{label} against {factor.label}, {optimizer}, gamma = {gamma:g}",
                seed_table(runs, "place", column),
                sign=factor.sign,
                least=LEAST,
                decides=is_main and column == "degree",
            )
            parts.append(part)
    deciding = next((part for part in parts if part.decides), None)
    return Finding(
        verdict=combine(tuple(parts)),
        reason=describe(measured.runs[adam & (measured.runs["gamma"] == strongest)], factor)
        if deciding and deciding.verdict is not Verdict.UNTESTED
        else f"No sweep of {factor.label} with enough seeds.",
        effect=deciding.effect if deciding else None,
        interval=deciding.interval if deciding else None,
        unit=deciding.unit if deciding else "",
        seeds=measured.runs["seed"].nunique(),
        threshold=deciding.rule if deciding else "",
        parts=tuple(parts),
        excluded=measured.excluded,
    )


def describe(runs: pd.DataFrame, factor: Factor) -> str:
    """Return the mean degrees along the sweep."""
    means = runs.groupby("place")["degree"].mean()
    degrees = ", ".join(f"{mean:.3g}" for mean in means)
    places = ", ".join(f"{place:g}" for place in means.index)
    return (
        f"At gamma = {runs['gamma'].iloc[0]:g}: degrees {degrees} at {factor.label} {places}, of "
        f"{runs['largest'].max():g} at most."
    )


def draw_factor(measured: Measured, factor: Factor) -> Figure:
    """Draw the measures against the factor, a colour for each optimiser and gamma."""
    import matplotlib.pyplot as plt

    runs = measured.runs
    canvas, axes = plt.subplots(1, len(MEASURES), figsize=(13.6, 3.6), layout="constrained")
    places = sorted(runs["place"].unique().tolist())
    drawn = []
    for axis, (column, label) in zip(axes, MEASURES.items(), strict=True):
        for number, (key, group) in enumerate(runs.groupby(["optimizer", "gamma"])):
            line = student_table(group, "place", column)
            name = f"{key[0]}, gamma = {key[1]:g}"
            color = PALETTE[number]
            axis.errorbar(
                np.searchsorted(places, line["place"]) + 0.06 * (number - 1),
                line["mean"],
                yerr=error_bars(line["low"], line["mean"], line["high"]),
                fmt="o-",
                capsize=2,
                color=color,
                label=name,
            )
            drawn.append(line.assign(panel=label, optimizer=key[0], gamma=key[1]))
        axis.set_xticks(range(len(places)), [f"{place:g}" for place in places])
        axis.set(xlabel=factor.label, ylabel=f"{label}, all layers")
        axis.set_ylim(bottom=0)
    handles, names = axes[0].get_legend_handles_labels()
    canvas.legend(handles, names, loc="outside lower center", ncols=len(names))
    return Figure(
        canvas,
        pd.concat(drawn),
        f"In-context regression by attention layers, against {factor.label}: rank of W_Q W_K^T "
        "plus that of W_V W_O, each of them, and their effective ranks, summed over heads and "
        f"layers; at most {runs['largest'].max():g} in all. Mean over seeds with 95 % t intervals.",
    )
