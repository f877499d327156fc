"""Two-layer linear networks learn each singular value at the time that theory gives.

Gradient descent on |W_2 W_1 - S|^2 + gamma (|W_1|^2 + |W_2|^2) with white inputs, from weights that
are balanced and aligned with S, moves each mode by itself: its value obeys
ds/dt = 4 s (sigma - gamma - s), a logistic curve, which passes half of its end sigma - gamma at
t = ln((sigma - gamma) / s_0 - 1) / (4 (sigma - gamma)), with t = lr times steps (Saxe et al. 2014,
with decay by substitution). From small random weights of scale e the part that grows starts with
s_0 = |W_2^T u + W_1 v|^2 / 4, whose mean over starts is e^2 (1 + width / inputs) / 4.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from symstudy.findings import (
    PALETTE,
    Figure,
    Finding,
    Part,
    SeedTest,
    Verdict,
    claim,
    combine,
)
from symstudy.store import Store

ALIGNED = 0.02
RANDOM = 0.10
MIN_SEEDS = 3
MODES = 4

Array = NDArray[np.float64]


class Measured(NamedTuple):
    """What the claim is judged by.

    Attributes:
        times: One row a run and mode: start (`aligned` or `random`), init_scale, gamma, seed, mode,
            sigma, `expected` and `measured` time of half its final value; `measured` is NaN where
            it was not reached.
        excluded: Runs left out, by why.
    """

    times: pd.DataFrame
    excluded: tuple[tuple[str, int], ...]


def measure(db: Store) -> Measured:
    """Return when each mode of every two-layer linear run passed half of its final value."""
    names = [f"product_value_{k}" for k in range(1, MODES + 1)]
    frame = db.df(
        f"""
        select run_id, seed, gamma, lr, init_scale, init_balanced, width, input_dim, amplitude,
               exponent, outcome, step, {", ".join(names)}
        from layers
        where data = 'spectrum' and axes and depth = 2 and activation is null and samples > 0
              and optimizer = 'sgd' and full_batch and momentum = 0 and schedule = 'constant'
              and loss = 'squared_error' and input_scale = 1 and label_noise = 0 and syre = 0
              and entropic = 0 and init_copies = 1 and init_rank = 0 and reparametrise = 'none'
              and product_value_1 is not null
        order by init_balanced desc, init_scale, gamma, seed, run_id, step
        """
    )
    rows = []
    excluded = 0
    for _, run in frame.groupby("run_id", sort=False):
        first = run.iloc[0]
        if first["outcome"] != "done":
            excluded += 1
            continue
        start = first["init_scale"] ** 2
        if not first["init_balanced"]:
            start *= (1.0 + first["width"] / first["input_dim"]) / 4.0
        for mode in range(1, min(MODES, int(first["input_dim"])) + 1):
            sigma = float(first["amplitude"] * mode ** -first["exponent"])
            final = sigma - first["gamma"]
            if final <= start:
                continue
            rows.append(
                {
                    "start": "aligned" if first["init_balanced"] else "random",
                    "init_scale": first["init_scale"],
                    "gamma": first["gamma"],
                    "seed": int(first["seed"]),
                    "mode": mode,
                    "sigma": sigma,
                    "expected": np.log(final / start - 1.0) / (4.0 * final),
                    "measured": half_time(
                        run["step"].to_numpy(float) * first["lr"],
                        run[names[mode - 1]].to_numpy(float) / final,
                    ),
                }
            )
    columns = ["start", "init_scale", "gamma", "seed", "mode", "sigma", "expected", "measured"]
    told = (("did not end as planned", excluded),) if excluded else ()
    return Measured(pd.DataFrame(rows, columns=columns), told)


def half_time(times: Array, shares: Array) -> float:
    """Return when `shares` first reaches 1/2, or NaN.

    Between two probes the logit is taken to be linear in time, which it is for a logistic curve.
    """
    above = np.flatnonzero(shares >= 0.5)
    if not len(above) or above[0] == 0:
        return float("nan")
    pair = slice(above[0] - 1, above[0] + 1)
    clipped = np.clip(shares[pair], 1e-300, 1.0 - 1e-12)
    low, high = np.log(clipped / (1.0 - clipped))
    before, after = times[pair]
    return float(before + (after - before) * low / (low - high))


@claim(
    title="Linear networks learn each mode on time",
    statement=(
        "A two-layer linear network learns the singular values of its target one by one, each at "
        "ln((sigma - gamma) / s_0 - 1) / (4 (sigma - gamma)): the jumps are in the order of the "
        "singular values, and the smaller the start, the farther apart."
    ),
    study="mode_timing",
    reference="arXiv:2502.05300, symmetry-to-symmetry learning; exact: arXiv:1312.6120",
    rule=(
        "A mode's time is when its singular value passes half of sigma - gamma, the logit linear "
        "between probes. From aligned starts every mode of every run is within 2 % of the exact "
        "time; from random starts of scale at most 1e-3 within 10 % of the time for the mean s_0. "
        "Each needs no fewer than 3 seeds; refuted where a mode of any run is not, or never gets "
        "there. The formula is exact: no test is made over seeds."
    ),
    tests=(SeedTest(rule="every mode within *", by_run=True),),
)
def judge(measured: Measured) -> Finding:
    """Hold the farthest mode against the tolerance of its kind of start."""
    parts = (
        judge_start(measured.times, "aligned", ALIGNED),
        judge_start(measured.times, "random", RANDOM),
    )
    told = [
        f"{part.name}: {part.verdict.label}"
        + (f" (farthest {part.effect:.2%} off)" if part.effect is not None else "")
        for part in parts
    ]
    return Finding(
        verdict=combine(parts),
        reason="; ".join(told) + ".",
        effect=parts[0].effect,
        unit="largest deviation from the exact time, aligned starts",
        seeds=int(measured.times["seed"].nunique()),
        threshold=f"< {ALIGNED}",
        parts=parts,
        excluded=measured.excluded,
    )


def judge_start(times: pd.DataFrame, start: str, tolerance: float) -> Part:
    """Test the times of all modes from one kind of start."""
    rows = times[times["start"] == start]
    return judge_times(
        f"times from {start} starts", rows, tolerance, f"every mode within {tolerance:.0%}"
    )


def judge_times(name: str, rows: pd.DataFrame, tolerance: float, rule: str) -> Part:
    """Test that each measured time is within a tolerance of the exact one.

    Args:
        name: What is tested.
        rows: A row a time: seed, measured and expected.
        tolerance: Largest relative deviation; a time that was never reached deviates by infinity.
        rule: What must hold, in words.
    """
    if rows["seed"].nunique() < MIN_SEEDS:
        return Part(name=name, verdict=Verdict.UNTESTED, rule=rule)
    worst = float((rows["measured"] / rows["expected"] - 1.0).abs().fillna(np.inf).max())
    return Part(
        name=name,
        verdict=Verdict.SUPPORTED if worst <= tolerance else Verdict.REFUTED,
        rule=rule,
        effect=worst,
        unit="largest deviation from the exact time",
    )


def draw(measured: Measured) -> Figure:
    """Draw measured against exact times, and by how much they differ."""
    import matplotlib.pyplot as plt

    times = measured.times
    canvas, axes = plt.subplots(1, 2, figsize=(9.4, 3.9), layout="constrained")
    ends = times["expected"].min() * 0.85, times["expected"].max() * 1.15
    axes[0].plot(ends, ends, color="0.6", linewidth=1.0, label="exact")
    marks = {"aligned": "o", "random": "^"}
    colors = dict(zip(sorted(times["sigma"].unique(), reverse=True), PALETTE, strict=False))
    for (start, sigma), rows in times.groupby(["start", "sigma"], sort=False):
        style = {
            "linestyle": "none",
            "marker": marks[start],
            "markersize": 5,
            "markerfacecolor": "none" if start == "random" else colors[sigma],
            "color": colors[sigma],
        }
        axes[0].plot(
            rows["expected"], rows["measured"], label=f"{start}, sigma = {sigma:.3g}", **style
        )
        axes[1].plot(rows["expected"], 100.0 * (rows["measured"] / rows["expected"] - 1.0), **style)
    for tolerance, line in ((ALIGNED, "--"), (RANDOM, ":")):
        for sign in (-1, 1):
            axes[1].axhline(100 * sign * tolerance, color="0.4", linestyle=line, linewidth=1.0)
    axes[0].set(
        xscale="log",
        yscale="log",
        xlabel="exact time of half the value, lr x steps",
        ylabel="measured time, lr x steps",
    )
    axes[1].set(xscale="log", xlabel="exact time, lr x steps", ylabel="measured - exact, %")
    canvas.legend(*axes[0].get_legend_handles_labels(), loc="outside right upper")
    return Figure(
        canvas,
        times.assign(panel="times"),
        "When a two-layer linear network has learned half of each singular value of its target, "
        "against the exact time, for every run: filled from balanced and aligned weights, open "
        "from small random ones. Dashed: 2 %, dotted: 10 %.",
    )
