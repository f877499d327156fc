"""Two-layer linear networks learn each singular value at the time that theory gives.

Gradient descent on |W_2 W_1 - S|^2 + gamma (|W_1|^2 + |W_2|^2) with white inputs, from weights that
are balanced and aligned with S, moves each mode by itself: its value obeys
ds/dt = 4 s (sigma - gamma - s), a logistic curve, which passes half of its end sigma - gamma at
t = ln((sigma - gamma) / s_0 - 1) / (4 (sigma - gamma)), with t = lr times steps (Saxe et al. 2014,
with decay by substitution). From small random weights of scale e the part that grows starts with
s_0 = |W_2^T u + W_1 v|^2 / 4, whose mean over starts is e^2 (1 + width / inputs) / 4.
"""

import numpy as np
from numpy.typing import NDArray

from symstudy.findings import PALETTE, All, Every, Evidence, Figure, Shown, claim
from symstudy.findings.conclude import Measured
from symstudy.findings.figures import deciding_panels
from symstudy.plots.page import panel_axes
from symstudy.plots.scales import label_log_axis
from symstudy.theory.closed_forms import mode_half_time

Array = NDArray[np.float64]

MODES = 4
ALIGNED = 0.02
RANDOM = 0.10
PLAIN_DESCENT = """
    data = 'spectrum' and axes and activation is null and samples > 0 and optimizer = 'sgd'
    and full_batch and momentum = 0 and schedule = 'constant' and loss = 'squared_error'
    and input_scale = 1 and label_noise = 0 and syre = 0 and entropic = 0 and init_copies = 1
    and init_rank = 0 and reparametrise = 'none'
"""
COURSES = f"""
    select study, run_id, seed, gamma, init_scale, outcome,
           case when init_balanced then 'aligned' else 'random' end as start,
           init_scale ** 2 * case when init_balanced then 1 else (1 + width / input_dim) / 4 end
               as first,
           [amplitude * k ** -exponent - gamma for k in range(1, least({MODES}, input_dim) + 1)]
               as finals,
           list(step * lr order by step) as times,
           list([{", ".join(f"product_value_{k}" for k in range(1, MODES + 1))}] order by step)
               as products
    from layers
    where depth = 2 and product_value_1 is not null and {PLAIN_DESCENT}
    group by all
"""


@claim(
    title="Linear networks learn each mode on time",
    statement=(
        "A two-layer linear network learns the singular values of its target one by one, each at "
        "ln((sigma - gamma) / s_0 - 1) / (4 (sigma - gamma)): the jumps are in the order of the "
        "singular values, and the smaller the start, the farther apart."
    ),
    study="mode_timing",
    reference="arXiv:2502.05300, symmetry-to-symmetry learning; exact: arXiv:1312.6120",
)
def mode_timing(runs: Evidence) -> All:
    """Every mode of every run is on time: to 2 % from aligned starts, to 10 % from random ones."""
    timed = timed_runs(runs)
    late = "largest deviation from the exact time of a mode"
    return All(
        Every(timed.at("start", "aligned"), "deviation", at_most=ALIGNED, name=late),
        Every(timed.at("start", "random"), "deviation", at_most=RANDOM, name=late),
        Shown(timed, ("expected", "measured")),
    )


def timed_runs(runs: Evidence) -> Evidence:
    """Return the times at which the modes of every run pass half of their final value."""
    return (
        runs.of(COURSES)
        .done()
        .derive(expected=exact_times, measured=half_times, deviation=farthest_off)
    )


def exact_times(finals: Array, first: float) -> Array:
    """Return the exact time of half of each final value; NaN for a mode that does not grow."""
    ends = [float(end) for end in finals]
    return np.array([mode_half_time(float(first), end) if end > first else np.nan for end in ends])


def half_times(times: Array, products: Array, finals: Array) -> Array:
    """Return the measured time of half of each final value; NaN where it is not reached."""
    values = np.array([list(row) for row in products], float)
    curves = values.T[: len(finals)]
    return np.array(
        [half_time(times, curve / final) for curve, final in zip(curves, finals, strict=True)]
    )


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


def farthest_off(expected: Array, measured: Array) -> float:
    """Return the largest relative deviation of the modes that grow; infinite if one is not seen."""
    grows = np.isfinite(expected)
    off = np.abs(measured[grows] / expected[grows] - 1.0)
    return float(np.where(np.isfinite(off), off, np.inf).max(initial=0.0))


def draw(measured: Measured) -> Figure:
    """Draw by how much the time of each mode differs from the exact one, a panel a start."""
    runs = measured.data.rows(timed_runs(Evidence()))
    times = runs[["start", "seed", "expected", "measured"]].explode(["expected", "measured"])
    times = times.astype({"expected": float, "measured": float}).dropna(subset=["expected"])
    verdicts = [panel.title.rsplit(": ", 1)[-1] for panel in deciding_panels(measured)]
    starts = (("aligned", ALIGNED), ("random", RANDOM))
    canvas, axes = panel_axes(len(starts), height=0.85)
    for (start, tolerance), verdict, axis in zip(starts, verdicts, axes, strict=True):
        rows = times[times["start"] == start]
        off = 100.0 * (rows["measured"] / rows["expected"] - 1.0)
        axis.plot(rows["expected"], off, "o", color=PALETTE[0], fillstyle="none")
        axis.axhspan(
            -100 * tolerance, 100 * tolerance, color=PALETTE[2], alpha=0.12, linewidth=0, zorder=0
        )
        axis.set(xscale="log", title=f"{start} start, within {tolerance:.0%}:\n{verdict}")
        axis.set(xlabel=r"exact time, $\eta\,\times$ steps", ylabel=r"measured / exact $-$ 1 [%]")
        label_log_axis(axis.xaxis, *axis.get_xlim())
    return Figure(
        canvas,
        times.assign(panel="times"),
        "When a two-layer linear network has learned half of each singular value of its target, "
        "over the exact time, for every mode of every run: from balanced and aligned weights and "
        "from small random ones. What is allowed is shaded.",
    )
