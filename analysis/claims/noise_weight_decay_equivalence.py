"""Gradient noise acts on a symmetric state as weight decay does: gamma and T v add.

A network u w x on targets y = x has its symmetric state at u = w = 0. Linearised there, a step of
SGD multiplies u + w by 1 - 2 lr gamma + 2 lr b, where b is the mean of x^2 over the batch. The
state attracts where E ln|1 - 2 lr gamma + 2 lr b| < 0. To first order in lr that is
gamma + T v > m, with m and v the mean and the variance of x^2 and T = lr / batch size; for Gaussian
x of variance q, m = q and v = 2 q^2.
"""

from typing import NamedTuple

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
    combine,
    seed_part,
    student_interval,
)
from symstudy.store import Store

SMALLEST_NORM = 1e-150
LARGEST_NORM = 1e-3
TRANSIENT = 5.0
WINDOW = 0.5
MARGIN = 0.1
MARGIN_AT_ZERO = 0.02
MIN_GAMMAS = 4
MIN_TEMPERATURES = 4
MIN_SEEDS = 3


class Measured(NamedTuple):
    """What the claim is judged by.

    Attributes:
        rates: One row a run: gamma, temperature, batch_size, seed, power (the variance q of the
            inputs) and rate, half the growth rate of ln|theta| per unit of lr times steps.
        excluded: Runs left out, by why.
    """

    rates: pd.DataFrame
    excluded: tuple[tuple[str, int], ...]


def measure(db: Store) -> Measured:
    """Return the growth rate of every run between its first settled and its last small probe."""
    probes = db.df(
        f"""
        select run_id, seed, gamma, temperature, batch_size, lr, steps, step,
               input_scale ** 2 as power, theta_norm
        from history
        where data = 'identity' and input_dim = 1 and width = 1 and depth = 2
              and activation is null and samples = 0 and label_noise = 0
              and optimizer = 'sgd' and momentum = 0 and schedule = 'constant'
              and loss = 'squared_error' and dtype = 'float64' and outcome = 'done'
              and theta_norm is not null and step * lr >= {TRANSIENT}
        order by run_id, step
        """
    )
    return growth_rates(probes)


def growth_rates(probes: pd.DataFrame) -> Measured:
    """Return the growth rate of every run over its probes with small parameters.

    Args:
        probes: One row a run and probe, in order: run_id, seed, gamma, temperature, batch_size, lr,
            steps, step, power and theta_norm.
    """
    small = probes["theta_norm"].between(SMALLEST_NORM, LARGEST_NORM)
    # Once a run has left the small range it counts no more, even if it comes back.
    is_small = small.groupby(probes["run_id"]).cummin().astype(bool)
    used = probes[is_small].groupby("run_id")
    first, last = used.first(), used.last()
    steps = last["step"] - first["step"]
    is_long = steps >= WINDOW * first["steps"]
    rates = first.assign(
        rate=np.log(last["theta_norm"] / first["theta_norm"]) / (steps * first["lr"]) / 2
    )
    short = probes["run_id"].nunique() - int(is_long.sum())
    excluded = ((f"small for less than {WINDOW:.0%} of the steps", short),) if short else ()
    columns = ["seed", "gamma", "temperature", "batch_size", "power", "rate"]
    return Measured(rates.loc[is_long, columns].reset_index(drop=True), excluded)


@claim(
    title="Gradient noise adds to weight decay",
    statement=(
        "SGD is attracted to the symmetric state of a rescaling symmetry where gamma + T v exceeds "
        "the mean m of the signal: noise of variance v at temperature T = lr / batch size acts as "
        "a weight decay of T v."
    ),
    study="noise_weight_decay_equivalence",
    reference="arXiv:2502.05300, regularisation by noise; exact: Lyapunov exponent, in the file",
    rule=(
        "For every batch size and seed: where the line through the growth rates at no fewer than 4 "
        "values of gamma crosses 0 is gamma_c; a line is fitted to gamma_c over no fewer than 4 "
        "values of T. Rates are taken between time 5 and the last probe at which the norm of the "
        "parameters is within 1e-150 and 1e-3, over at least half of the steps. On no fewer than 3 "
        "seeds, and for every batch size: supported where the 95 % t intervals over seeds of the "
        "slope lies within 10 % of -v and of the value at T = 0 within 2 % of m; refuted where one "
        "lies outside."
    ),
    tests=(
        SeedTest(rule=f"-1 +- {MARGIN:g}", margin=MARGIN, unit="d gamma_c / d T over v"),
        SeedTest(rule=f"1 +- {MARGIN_AT_ZERO:g}", margin=MARGIN_AT_ZERO, unit="gamma_c / m"),
    ),
)
def judge(measured: Measured) -> Finding:
    """Compare slope and intercept of the critical line with the exact ones, per batch size."""
    lines = critical_lines(measured.rates)
    parts: list[Part] = []
    for batch, group in lines.groupby("batch_size"):
        parts += [
            judge_number(
                f"slope of the critical line, batches of {batch:g}",
                group["slope"] / (2 * group["power"] ** 2),
                -1.0,
                MARGIN,
                "d gamma_c / d T over v",
            ),
            judge_number(
                f"critical line at T = 0, batches of {batch:g}",
                group["intercept"] / group["power"],
                1.0,
                MARGIN_AT_ZERO,
                "gamma_c / m",
            ),
        ]
    slopes = [part for part in parts if part.unit.startswith("d ") and part.effect is not None]
    worst = max(slopes, key=lambda part: abs((part.effect or 0.0) + 1.0), default=None)
    return Finding(
        verdict=combine(tuple(parts)),
        reason="; ".join(f"{part.name}: {part.effect:.3f}" for part in parts if part.effect) + "."
        if slopes
        else "No batch size with enough seeds, temperatures and values of gamma.",
        effect=worst.effect if worst else None,
        interval=worst.interval if worst else None,
        unit="d gamma_c / d T over v, worst batch size",
        seeds=lines["seed"].nunique(),
        threshold=f"-1 +- {MARGIN}",
        parts=tuple(parts),
        excluded=measured.excluded,
    )


def critical_points(rates: pd.DataFrame) -> pd.DataFrame:
    """Return where the rate changes sign: gamma_c by batch size, seed and temperature."""
    rows = []
    keys = ["batch_size", "seed", "temperature"]
    for key, group in rates.groupby(keys):
        if group["gamma"].nunique() < MIN_GAMMAS:
            continue
        slope, intercept = np.polyfit(group["gamma"], group["rate"], 1)
        if slope < 0:
            power = group["power"].iloc[0]
            rows.append(
                {**dict(zip(keys, key, strict=True)), "power": power, "gamma_c": -intercept / slope}
            )
    return pd.DataFrame(rows, columns=[*keys, "power", "gamma_c"])


def critical_lines(rates: pd.DataFrame) -> pd.DataFrame:
    """Return slope and intercept of gamma_c against T, by batch size and seed."""
    rows = []
    for (batch, seed), group in critical_points(rates).groupby(["batch_size", "seed"]):
        if group["temperature"].nunique() < MIN_TEMPERATURES:
            continue
        slope, intercept = np.polyfit(group["temperature"], group["gamma_c"], 1)
        power = group["power"].iloc[0]
        rows.append(
            {
                "batch_size": batch,
                "seed": seed,
                "power": power,
                "slope": slope,
                "intercept": intercept,
            }
        )
    return pd.DataFrame(rows, columns=["batch_size", "seed", "power", "slope", "intercept"])


def judge_number(name: str, values: pd.Series, exact: float, margin: float, unit: str) -> Part:
    """Test that the mean over seeds is within `margin` of `exact`."""
    rule = f"{exact:g} +- {margin:g}"
    return seed_part(
        name,
        values,
        low=exact - margin,
        high=exact + margin,
        level=0.95,
        rule=rule,
        unit=unit,
        min_seeds=MIN_SEEDS,
        too_few=Verdict.INCONCLUSIVE,
    )


def draw(measured: Measured) -> Figure:
    """Draw the rate over weight decay and temperature, with fitted points and predicted line."""
    import matplotlib.pyplot as plt

    rates = measured.rates
    sizes = sorted(rates["batch_size"].unique().tolist())
    limit = float(np.abs(rates["rate"]).max())
    canvas, axes = plt.subplots(
        1,
        len(sizes),
        figsize=(4.2 * len(sizes) + 1.6, 3.8),
        sharey=True,
        squeeze=False,
        layout="constrained",
    )
    points = critical_points(rates)
    drawn = []
    for axis, size in zip(axes[0], sizes, strict=True):
        group = rates[rates["batch_size"] == size]
        table = group.pivot_table(index="temperature", columns="gamma", values="rate")
        mesh = axis.pcolormesh(
            edges(table.columns.to_numpy(float)),
            edges(table.index.to_numpy(float)),
            table.to_numpy(),
            cmap="PuOr_r",
            vmin=-limit,
            vmax=limit,
            linewidth=0.4,
            edgecolor="white",
        )
        power = float(group["power"].iloc[0])
        temperature = np.linspace(0.0, float(group["temperature"].max()) * 1.05, 50)
        line = power - 2 * power**2 * temperature
        axis.plot(line, temperature, color="0.1", label="gamma + T v = m")
        found = points[points["batch_size"] == size].groupby("temperature")["gamma_c"]
        means = found.mean()
        interval = [student_interval(values) for _, values in found]
        axis.errorbar(
            means,
            means.index,
            xerr=[
                [max(0.0, m - i.low) for m, i in zip(means, interval, strict=True)],
                [max(0.0, i.high - m) for m, i in zip(means, interval, strict=True)],
            ],
            fmt="o",
            capsize=2,
            color=PALETTE[3],
            label="measured",
        )
        axis.grid(visible=False)
        axis.set(xlabel="weight decay gamma", title=f"batches of {size:g}")
        axis.locator_params(axis="x", nbins=5)
        axis.set_xlim(*edges(table.columns.to_numpy(float))[[0, -1]])
        panel = f"batches of {size:g}"
        fields = group.groupby(["temperature", "gamma"], as_index=False)["rate"].mean()
        drawn += [
            fields.assign(panel=panel, mark="rate"),
            means.reset_index(name="gamma").assign(panel=panel, mark="critical"),
        ]
    axes[0, 0].set_ylabel("T = lr / batch size")
    canvas.colorbar(mesh, ax=axes[0, -1], label="growth rate of ln|theta| / 2")
    handles, names = axes[0, 0].get_legend_handles_labels()
    canvas.legend(handles, names, loc="outside lower center", ncols=2)
    return Figure(
        canvas,
        pd.concat(drawn),
        "Growth rate of the parameters from a tiny start, mean over seeds: positive where the "
        "network leaves the symmetric state, negative where it collapses to it. Line: where "
        "weight decay and noise add up to the signal. Points: where the measured rate changes "
        "sign, with 95 % t intervals over seeds.",
    )


def edges(centres: np.ndarray) -> np.ndarray:
    """Return the edges of fields around `centres`, half-way between them."""
    middle = (centres[1:] + centres[:-1]) / 2
    first, last = centres[0] - (middle[0] - centres[0]), centres[-1] + (centres[-1] - middle[-1])
    return np.concatenate([[first], middle, [last]])
