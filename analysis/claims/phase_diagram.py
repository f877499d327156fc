"""The degree of symmetry in the plane of weight decay gamma and noise temperature T = lr / batch.

A two-layer linear network on d inputs that lie along the axes, each as likely as the others, learns
the modes s_1 > s_2 > ... one by itself each, from balanced weights along the axes. A batch of B
samples holds n of input k with the binomial distribution of B draws of chance 1 / d, so near zero a
step multiplies the weights of mode k by 1 - 2 lr gamma + 2 lr b, b = s_k d n / B. Mode k is lost
where E ln|1 - 2 lr gamma + 2 lr b| < 0 (Furstenberg and Kesten 1960, for numbers); to first order
in lr that is gamma + T v_k > s_k, with the variance v_k = (d - 1) s_k^2 of b per sample. So weight
decay and noise restore the symmetry of one mode after the other, each on a line.
"""

from typing import TYPE_CHECKING, NamedTuple

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
    seed_part,
    student_table,
)
from symstudy.store import Store

from ..shared.evidence import seed_table
from ..shared.monotone import judge_monotone
from .noise_weight_decay_equivalence import critical_lines, critical_points, edges, growth_rates

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MARGIN = 0.1
MARGIN_AT_ZERO = 0.02
COLDEST = 0.03
"""Highest temperature of the line whose slope is decided, where the first order rules."""
ALIVE = 1e-4
TINY = 1e-20


class Measured(NamedTuple):
    """What the claim is judged by.

    Attributes:
        rates: One row a run from a tiny start at a temperature of at most 0.03: gamma, temperature,
            batch_size, seed, power (the first mode s_1) and rate.
        plane: One row a run from an ordinary start: gamma, temperature, batch_size, seed, dim,
            amplitude, exponent, width and alive, the number of modes that are still there.
        excluded: Runs left out, by why.
    """

    rates: pd.DataFrame
    plane: pd.DataFrame
    excluded: tuple[tuple[str, int], ...]


WHERE = """
    data = 'spectrum' and axes and init_balanced and depth = 2 and activation is null
    and sampling = 'replacement' and optimizer = 'sgd' and momentum = 0 and schedule = 'constant'
    and loss = 'squared_error' and dtype = 'float64' and label_noise = 0 and input_scale = 1
"""


def measure(db: Store) -> Measured:
    """Return growth rates from tiny starts, and modes that are alive from ordinary ones."""
    probes = db.df(
        f"""
        select run_id, seed, gamma, temperature, batch_size, lr, steps, step,
               amplitude as power, theta_norm
        from history
        where {WHERE} and init_scale < {TINY} and temperature <= {COLDEST} * (1 + 1e-9)
              and outcome = 'done' and theta_norm is not null and step * lr >= 5
        order by run_id, step
        """
    )
    plane = db.df(
        f"""
        select gamma, temperature, batch_size, seed, input_dim as dim, amplitude, exponent, width,
               outcome,
               {" + ".join(f"(product_value_{k} > {ALIVE})::int" for k in (1, 2, 3))} as alive
        from runs
        where {WHERE} and init_scale >= {TINY}
        order by all
        """
    )
    rates = growth_rates(probes)
    failed = int((plane["outcome"] != "done").sum())
    excluded = (*rates.excluded, *((("did not end as planned", failed),) if failed else ()))
    done = plane[plane["outcome"] == "done"].drop(columns="outcome")
    return Measured(rates.rates, done.reset_index(drop=True), excluded)


@claim(
    title="Weight decay and noise restore symmetry on one line",
    statement=(
        "The degree of symmetry rises with weight decay and with the noise of SGD together: a mode "
        "of strength s is lost where gamma + T v exceeds it, with the variance v of its gradient."
    ),
    study="phase_diagram",
    reference=(
        "arXiv:2502.05300, Fig. 3 (right) and regularisation by noise; exact: Lyapunov exponent, "
        "in the file"
    ),
    rule=(
        "Line: for every seed gamma_c is where the line through the growth rates at no fewer than "
        "4 values of gamma crosses 0, and a line is fitted to it over no fewer than 4 values of T "
        "of at most 0.03; supported where the 90 % t interval over at least 3 seeds of its slope "
        "lies within 10 % of -v, refuted where outside. Degree: at every T, Spearman's correlation "
        "of gamma and the mean number of modes that are not lost is at most -0.9, as it would be "
        "by chance in at most 5 % of shuffles within the seeds. All must hold. The end of the line "
        "at T = 0 and the dependence of the number on T at each gamma are reported."
    ),
    tests=(SeedTest(rule=f"-1 +- {MARGIN:g}", level=0.9, margin=MARGIN, unit="d gamma_c / d T"),),
)
def judge(measured: Measured) -> Finding:
    """Compare the critical line with the exact one, and the count with gamma."""
    lines = critical_lines(measured.rates)
    dim = int(measured.plane["dim"].max()) if len(measured.plane) else 0
    # The variance per sample of the first mode; `power` is its strength.
    variance = (dim - 1) * lines["power"] ** 2
    slope = seed_part(
        "slope of the critical line of the first mode",
        lines["slope"] / variance,
        low=-1 - MARGIN,
        high=-1 + MARGIN,
        rule=f"-1 +- {MARGIN:g}",
        unit="d gamma_c / d T over v",
    )
    end = seed_part(
        "critical line at T = 0",
        lines["intercept"] / lines["power"],
        low=1 - MARGIN_AT_ZERO,
        high=1 + MARGIN_AT_ZERO,
        rule=f"1 +- {MARGIN_AT_ZERO:g}, reported",
        unit="gamma_c / s_1",
        decides=False,
    )
    parts = [slope, end, *judge_degree(measured.plane)]
    return Finding(
        verdict=combine(tuple(parts)),
        reason=describe(parts),
        effect=slope.effect,
        interval=slope.interval,
        unit=slope.unit,
        seeds=lines["seed"].nunique(),
        threshold=f"-1 +- {MARGIN:g}",
        parts=tuple(parts),
        excluded=measured.excluded,
    )


def judge_degree(plane: pd.DataFrame) -> list[Part]:
    """Test at every temperature that modes are lost as gamma grows; report the other direction."""
    parts = [
        judge_monotone(
            f"modes against gamma at T = {temperature:.3g}",
            seed_table(group, "gamma", "alive"),
            sign=-1,
        )
        for temperature, group in plane.groupby("temperature")
    ]
    if not parts:
        parts = [
            Part(
                name="modes against gamma",
                verdict=Verdict.UNTESTED,
                rule="Spearman's correlation at most -0.9",
            )
        ]
    for gamma, group in plane.groupby("gamma"):
        # Where a line is crossed; elsewhere the number is what it was.
        if np.ptp(group.groupby("temperature")["alive"].mean().to_numpy()) > 0:
            parts.append(
                judge_monotone(
                    f"modes against T at gamma = {gamma:.3g}",
                    seed_table(group, "temperature", "alive"),
                    sign=-1,
                    decides=False,
                )
            )
    return parts


def describe(parts: list[Part]) -> str:
    """Return the slope and what stands against the claim."""
    verdict = combine(tuple(parts))
    if verdict is Verdict.UNTESTED:
        return "No growth rates and no plane with enough seeds."
    slope = parts[0]
    told = (
        f"The critical line falls with T by {-(slope.effect or 0.0):.3f} v" if slope.effect else ""
    )
    against = [
        f"{part.name}: {part.verdict.label}"
        for part in parts
        if part.decides and part.verdict is not Verdict.SUPPORTED
    ]
    return "; ".join([told, *against] if told else against) + "."


def exact_gamma(strength: float, dim: int, batch: int, temperature: float) -> float:
    """Return the gamma at which E ln|1 - 2 lr gamma + 2 lr b| = 0 for a mode.

    Args:
        strength: s of the mode.
        dim: d, the number of axes.
        batch: B.
        temperature: T = lr / B.
    """
    lr = temperature * batch
    counts = np.arange(batch + 1)
    chances = stats.binom.pmf(counts, batch, 1 / dim)
    growth = strength * dim * counts / batch

    def exponent(gamma: float) -> float:
        return float(chances @ np.log(np.abs(1 - 2 * lr * gamma + 2 * lr * growth)))

    first_order = strength - temperature * (dim - 1) * strength**2
    return float(optimize.brentq(exponent, first_order - 0.3 * strength, strength))


def draw(measured: Measured) -> Figure:
    """Draw the plane of the degree with all lines, and the first critical line closely."""
    import matplotlib.pyplot as plt

    canvas, axes = plt.subplots(1, 2, figsize=(11.2, 4.1), layout="constrained")
    drawn = draw_plane(axes[0], measured.plane)
    points = critical_points(measured.rates)
    first = measured.plane.iloc[0]
    dim, batch, strength = int(first["dim"]), int(first["batch_size"]), float(first["amplitude"])
    found = student_table(points, "temperature", "gamma_c")
    curve = np.linspace(0.0, COLDEST * 1.05, 30)[1:]
    exact = [exact_gamma(strength, dim, batch, float(t)) for t in curve]
    axes[1].plot(curve, strength - (dim - 1) * strength**2 * curve, "--", color="0.5")
    axes[1].lines[-1].set_label("gamma + T v = s")
    axes[1].plot(curve, exact, color="0.1", label="exact: E ln|step| = 0")
    axes[1].errorbar(
        found["temperature"],
        found["mean"],
        yerr=error_bars(found["low"], found["mean"], found["high"]),
        fmt="o",
        capsize=2,
        color=PALETTE[3],
        label="measured, first mode",
    )
    axes[1].set(xlabel="T = lr / batch size", ylabel="critical weight decay gamma")
    axes[1].legend()
    axes[0].legend(loc="upper center", bbox_to_anchor=(0.5, 1.1), ncols=2)
    return Figure(
        canvas,
        pd.concat([drawn, found.assign(panel="critical line")]),
        "Left: degree of symmetry, modes restored of all, over weight decay and noise, mean over "
        "seeds; on the lines gamma + T v is the strength of a mode, dotted the exact Lyapunov "
        "exponent is 0. Right: the first line closely, from growth rates, with 95 % t intervals "
        "over seeds.",
    )


def draw_plane(axes: "Axes", plane: pd.DataFrame) -> pd.DataFrame:
    """Draw the degree of symmetry as fields, and where theory has its steps."""
    dim, batch = int(plane["dim"].iloc[0]), int(plane["batch_size"].iloc[0])
    strengths = plane["amplitude"].iloc[0] * np.arange(1.0, dim + 1) ** -plane["exponent"].iloc[0]
    fields = plane.assign(degree=dim - plane["alive"])
    means = fields.groupby(["temperature", "gamma"], as_index=False)["degree"].mean()
    table = means.pivot_table(index="temperature", columns="gamma", values="degree")
    gammas, temperatures = table.columns.to_numpy(float), table.index.to_numpy(float)
    heights = edges(np.log(temperatures))
    mesh = axes.pcolormesh(
        edges(gammas),
        np.exp(heights),
        table.to_numpy(),
        cmap="viridis",
        vmin=0,
        vmax=dim,
        linewidth=0.4,
        edgecolor="white",
    )
    curve = np.geomspace(np.exp(heights[0]), np.exp(heights[-1]), 60)
    for k, strength in enumerate(strengths):
        first_order = strength - (dim - 1) * strength**2 * curve
        exact = [exact_gamma(float(strength), dim, batch, float(t)) for t in curve]
        axes.plot(first_order, curve, color="white", lw=3.0)
        axes.plot(
            first_order, curve, color=PALETTE[3], lw=1.6, label="" if k else "gamma + T v = s"
        )
        axes.plot(exact, curve, ":", color="white", lw=3.0)
        axes.plot(exact, curve, ":", color="0.1", lw=1.4, label="" if k else "exact, each mode")
    axes.set(yscale="log", xlabel="weight decay gamma", ylabel="T = lr / batch size")
    axes.grid(visible=False)
    axes.set_xlim(*edges(gammas)[[0, -1]])
    axes.set_ylim(*np.exp(heights[[0, -1]]))
    axes.figure.colorbar(mesh, ax=axes, label=f"modes restored, of {dim}")
    return means.assign(panel="plane")
