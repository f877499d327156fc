"""SGD begins to leave a symmetric state where its Lyapunov exponent changes sign, and not before.

A network u w x on targets y = x has its symmetric state at u = w = 0. Linearised there, a step of
SGD multiplies u + w by 1 - 2 lr gamma + 2 lr b, b the mean of x^2 over the batch, so the state
attracts almost surely where E ln|1 - 2 lr gamma + 2 lr b| < 0. For Gaussian x of variance q, b has
a gamma distribution of shape batch / 2 and mean q. To first order in lr the critical line is
gamma + T v = m, m = q and v = 2 q^2: noise of temperature T = lr / batch acts as a weight decay of
T v. The study closes in on the critical gamma by bisection, one search a temperature.
"""

from functools import cache
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import optimize, stats

from symstudy.findings import (
    PALETTE,
    Figure,
    Finding,
    Part,
    SeedTest,
    Verdict,
    claim,
    combine,
    error_bars,
    log_ticks,
    seed_part,
    student_table,
)
from symstudy.store import Store

from .noise_weight_decay_equivalence import measure as measure_rates

MARGIN = 0.1
NEAREST = 4
MIN_SEEDS = 5
MIN_TEMPERATURES = 3
QUANTILES = 20_001


class Measured(NamedTuple):
    """What the claim is judged by.

    Attributes:
        rates: One row a run near the critical line: gamma, temperature, batch_size, seed, power
            (the variance q of the inputs) and rate, half the growth rate of ln|theta| per unit of
            lr times steps.
        asked: One row a point that the search asked for: temperature, number, gamma and held, the
            share of its seeds that have grown.
        excluded: Runs left out, by why.
    """

    rates: pd.DataFrame
    asked: pd.DataFrame
    excluded: tuple[tuple[str, int], ...]


def measure(db: Store) -> Measured:
    """Return the growth rates near the line, and what the bisection asked for."""
    measured = measure_rates(db)
    asked = db.df(
        """
        select runs.temperature, (planned.trial ->> 'number')::int as number, runs.gamma,
               avg((runs.theta_norm > runs.init_scale)::int) as held
        from runs join planned using (study, run_id)
        where planned.trial is not null and runs.outcome = 'done'
        group by all
        order by all
        """
    )
    return Measured(measured.rates, asked, measured.excluded)


@claim(
    title="The critical weight decay at each noise temperature",
    statement=(
        "SGD leaves the symmetric state of a rescaling symmetry below a critical gamma at which "
        "its Lyapunov exponent changes sign: the noise's share m - gamma_c is T v to first order "
        "in the temperature T, and the exact exponent's beyond."
    ),
    study="critical_line",
    reference="arXiv:2502.05300, regularisation by noise; exact: Lyapunov exponent, in the file",
    rule=(
        "For every temperature and seed gamma_c is where the line through the 4 growth rates "
        "nearest to 0 crosses 0. On no fewer than 5 seeds and 3 temperatures: supported where at "
        "every temperature the 95 % t interval over seeds of (m - gamma_c) / (m - exact gamma_c) "
        "lies within 10 % of 1, and at the lowest temperature that of (m - gamma_c) / (T v) too; "
        "refuted where one of them lies outside."
    ),
    tests=(
        SeedTest(rule=f"1 +- {MARGIN:g}", margin=MARGIN, unit="share of the exact noise term"),
        SeedTest(rule=f"1 +- {MARGIN:g} of T v", margin=MARGIN, unit="share of T v"),
    ),
)
def judge(measured: Measured) -> Finding:
    """Compare the critical gamma with the exact one at each temperature."""
    points = critical_points(measured.rates)
    parts: list[Part] = []
    for temperature, group in points.groupby("temperature"):
        shares = group["noise_share"] / group["exact_share"]
        parts.append(
            judge_share(
                f"noise's share at T = {temperature:.3g}, exact {group['exact'].iloc[0]:.5g}",
                shares,
                f"1 +- {MARGIN:g}",
                "share of the exact noise term",
            )
        )
    first_order = points.assign(share=points["noise_share"] / points["first_share"])
    for place, (temperature, group) in enumerate(first_order.groupby("temperature")):
        parts.append(
            judge_share(
                f"noise's share at T = {temperature:.3g} against T v",
                group["share"],
                f"1 +- {MARGIN:g} of T v" if place == 0 else "reported, not decided",
                "share of T v",
                decides=place == 0,
            )
        )
    exact = [part for part in parts if part.effect is not None and part.unit.endswith("noise term")]
    worst = max(exact, key=lambda part: abs((part.effect or 0.0) - 1.0), default=None)
    enough = points["temperature"].nunique() >= MIN_TEMPERATURES
    verdict = combine(tuple(parts))
    if not enough and verdict is Verdict.SUPPORTED:
        verdict = Verdict.INCONCLUSIVE
    return Finding(
        verdict=verdict,
        reason="; ".join(
            f"{part.name}: {part.effect:.3f}"
            for part in parts
            if part.decides and part.effect is not None
        )
        + "."
        if exact
        else "No temperature at which the critical gamma was found.",
        effect=worst.effect if worst else None,
        interval=worst.interval if worst else None,
        unit="share of the exact noise term, worst temperature",
        seeds=points["seed"].nunique(),
        threshold=f"1 +- {MARGIN:g}",
        parts=tuple(parts),
        excluded=measured.excluded,
    )


def judge_share(
    name: str, shares: pd.Series, rule: str, unit: str, *, decides: bool = True
) -> Part:
    """Test that a mean over seeds is within the margin of 1."""
    return seed_part(
        name,
        shares,
        low=1 - MARGIN,
        high=1 + MARGIN,
        level=0.95,
        rule=rule,
        unit=unit,
        decides=decides,
        min_seeds=MIN_SEEDS,
        too_few=Verdict.INCONCLUSIVE,
    )


def critical_points(rates: pd.DataFrame) -> pd.DataFrame:
    """Return gamma_c by temperature and seed, with the noise's share in it and what it should be.

    The rate falls with gamma at a slope near -1, so few points near the crossing give it best; a
    seed with fewer than two of them, or whose rates do not fall, has none.
    """
    keys = ["batch_size", "temperature", "seed"]
    rows = []
    for (batch, temperature, seed), group in rates.groupby(keys):
        near = group.loc[group["rate"].abs().sort_values().index[:NEAREST]]
        if near["gamma"].nunique() < 2:
            continue
        slope, intercept = np.polyfit(near["gamma"], near["rate"], 1)
        if slope >= 0:
            continue
        power = float(near["power"].iloc[0])
        exact = exact_critical_gamma(int(batch), float(temperature), power)
        rows.append(
            {
                "temperature": temperature,
                "seed": seed,
                "gamma_c": -intercept / slope,
                "exact": exact,
                "noise_share": power + intercept / slope,
                "exact_share": power - exact,
                "first_share": 2 * power**2 * temperature,
            }
        )
    names = ["temperature", "seed", "gamma_c", "exact"]
    return pd.DataFrame(rows, columns=[*names, "noise_share", "exact_share", "first_share"])


@cache
def exact_critical_gamma(batch: int, temperature: float, power: float) -> float:
    """Return the gamma at which E ln|1 - 2 lr gamma + 2 lr b| is 0, b of a gamma distribution.

    The expectation is the mean over evenly spaced quantiles; by Jensen it is at most 0 at
    gamma = m.
    """
    levels = (np.arange(QUANTILES) + 0.5) / QUANTILES
    draws = stats.gamma.ppf(levels, batch / 2, scale=2 * power / batch)
    lr = temperature * batch

    def exponent(gamma: float) -> float:
        return float(np.log(np.abs(1 - 2 * lr * gamma + 2 * lr * draws)).mean())

    first_order = power - 2 * power**2 * temperature
    return float(optimize.brentq(exponent, first_order - 0.5 * power, power))


def draw(measured: Measured) -> Figure:
    """Draw measured and exact critical line, and how the bisection closed in on it."""
    import matplotlib.pyplot as plt

    points = critical_points(measured.rates)
    canvas, axes = plt.subplots(1, 2, figsize=(10.4, 3.9), layout="constrained")
    temperatures = sorted(points["temperature"].unique().tolist())
    found = student_table(points, "temperature", "gamma_c")
    batch, power = (measured.rates[name].iloc[0] for name in ("batch_size", "power"))
    curve = np.linspace(0.0, max(temperatures) * 1.05, 40)[1:]
    exact = [exact_critical_gamma(int(batch), float(t), float(power)) for t in curve]
    axes[0].plot(curve, exact, color="0.1", label="exact: E ln|step| = 0")
    axes[0].plot(curve, power - 2 * power**2 * curve, "--", color="0.5", label="gamma + T v = m")
    axes[0].errorbar(
        found["temperature"],
        found["mean"],
        yerr=error_bars(found["low"], found["mean"], found["high"]),
        fmt="o",
        capsize=2,
        color=PALETTE[3],
        label="measured",
    )
    axes[0].set(xlabel="T = lr / batch size", ylabel="critical weight decay gamma")
    axes[0].legend()
    asked = measured.asked[measured.asked["temperature"].isin(temperatures)]
    for place, (temperature, group) in enumerate(asked.groupby("temperature")):
        color = PALETTE[place % len(PALETTE)]
        level = exact_critical_gamma(int(batch), float(temperature), float(power))
        distance = (group["gamma"] - level).abs()
        axes[1].plot(
            group["number"], distance, "o", color=color, label=f"T = {temperature:.3g}", alpha=0.8
        )
    axes[1].set(
        yscale="log", xlabel="point of the search", ylabel="distance from the exact critical gamma"
    )
    log_ticks(axes[1], [1e-4, 1e-3, 1e-2, 1e-1], "y")
    axes[1].legend()
    return Figure(
        canvas,
        pd.concat(
            [
                found.assign(panel="critical line"),
                pd.DataFrame({"temperature": curve, "mean": exact, "panel": "exact"}),
                asked.assign(panel="points of the search"),
            ]
        ),
        "Left: critical weight decay against temperature, mean over seeds with 95 % t intervals; "
        "the exact line, and its first order. Right: how far from it the points lie that the "
        "bisections asked for, in their order.",
    )
