"""A forbidden gap of learned singular values in linear networks of three or more layers.

A network of D linear layers on white inputs minimises |W_D ... W_1 - S|^2 + gamma sum |W_i|^2. For
one singular value sigma of S the balanced critical points s of the product solve
sigma = s + gamma s^((2-D)/D). For D = 2 this is s = sigma - gamma, which may be as small as one
likes. For D >= 3 the right side has its least value at s_sp = (gamma (D-2)/D)^(D/(2D-2)): no stable
point lies between 0 and s_sp, and the learned value jumps to 0 where s_sp meets the curve, at
gamma_sp = (sigma (D-2)/(2D-2))^((2D-2)/D) D/(D-2), while 0 is stable at every gamma > 0.
"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from symstudy.findings import All, Bound, Every, Evidence, Figure, Shown, claim
from symstudy.findings.conclude import Measured
from symstudy.findings.figures import deciding_panels, medians
from symstudy.plots.panels import Curve, Line, Panel, draw_panels
from symstudy.theory.closed_forms import smallest_learned_value, spinodal

Array = NDArray[np.float64]

FINEST_STEP = 1.05
SMALLEST_SHARE = 0.1
DEEP = """
    data = 'spectrum' and activation is null and depth >= 2 and gamma > 0
    and samples > 0 and loss = 'squared_error' and input_scale = 1 and label_noise = 0
    and init_copies = 1 and init_rank = 0
"""
ALIVE = "weight_largest > 0.01 * amplitude ** (1.0 / depth)"
START = """
    case when init_scale = min(init_scale) over () then 'small'
         when init_scale = max(init_scale) over () then 'large' else 'other' end
"""


@claim(
    title="Deep linear networks learn singular values with a gap",
    statement=(
        "Under weight decay, a linear network of three or more layers learns a singular value "
        "either as 0 or above a floor that grows with the decay: from a large start it collapses "
        "at once, at the spinodal; from a small start nothing is ever learned. Two layers have no "
        "such gap."
    ),
    study="depth_gap",
    reference=(
        "arXiv:2502.05300, quantized capacity; exact: Schatten-2/D quasi-norm, derived in the file"
    ),
)
def depth_gap(runs: Evidence) -> All:
    """Collapse at the spinodal, memory of a small start and a floor; none of it at two layers."""
    converged = deep_runs(runs)
    sweeps = converged.per(
        "depth", collapse=collapse, stays=stays, recovers=recovers, least=least_learned
    )
    deep, shallow, by = sweeps.above("depth", 2), sweeps.at("depth", 2), ("depth",)
    floor = converged.derive(over_floor=over_floor).above("depth", 2)
    at_spinodal, stay = "collapse over the spinodal", "share of small starts that stay at 0"
    learn, least = "share of small starts that learn", "smallest learned value over the target's"
    lowest = "smallest learned value over the floor"
    return All(
        Bound(deep, "collapse", at_least=0.97, at_most=1.03, by=by, name=at_spinodal),
        Bound(deep, "stays", at_least=0.95, by=by, name=stay),
        Every(floor, "over_floor", at_least=0.98, by=by, name=lowest),
        Bound(shallow, "recovers", at_least=0.95, name=learn),
        Bound(shallow, "least", at_most=0.05, name=least),
        Shown(converged, ("depth", "gamma", "start", "amplitude", "largest", "smallest")),
    )


def deep_runs(runs: Evidence) -> Evidence:
    """Return the converged deep linear runs on white inputs, with what they have learned.

    Largest and smallest learned singular value are null where nothing is learned. At a critical
    point with gamma > 0 all layers have the same singular values, so those of the product are their
    powers.
    """
    return (
        runs.where(DEEP)
        .define(
            start=START,
            is_alive=ALIVE,
            largest=f"case when {ALIVE} then weight_largest ** depth end",
            smallest=f"case when {ALIVE} then weight_smallest ** depth end",
        )
        .converged(grad_ratio=1e-6)
    )


def over_floor(depth: int, gamma: float, smallest: float) -> float:
    """Return the smallest learned value of a run over the floor; NaN for two layers."""
    return (
        smallest / float(smallest_learned_value(int(depth), gamma)) if depth > 2 else float("nan")
    )


def last_alive(gamma: Array, start: Array, is_alive: Array) -> float:
    """Return the largest gamma at which the large start learns something; NaN if none."""
    kept = gamma[(start == "large") & is_alive.astype(bool)]
    return float(kept.max()) if len(kept) else float("nan")


def collapse(gamma: Array, start: Array, is_alive: Array, depth: Array, amplitude: Array) -> float:
    """Return where the large start loses its largest value, over the spinodal.

    It is the geometric middle of the last gamma with and the first without anything learned; NaN
    where these are more than 5 % apart.
    """
    last = last_alive(gamma, start, is_alive)
    beyond = gamma[(start == "large") & (gamma > last)]
    if not len(beyond) or beyond.min() > FINEST_STEP * last:
        return float("nan")
    return float(np.sqrt(last * beyond.min())) / spinodal(int(depth[0]), float(amplitude[0]))


def recovers(gamma: Array, start: Array, is_alive: Array, depth: Array, amplitude: Array) -> float:
    """Return the share of gammas at which the small start learns, where the large one does.

    Gammas of at least a tenth of the spinodal count at which both starts have converged.
    """
    alive = is_alive.astype(bool)
    far = gamma >= SMALLEST_SHARE * spinodal(int(depth[0]), float(amplitude[0]))
    kept = np.isin(gamma, gamma[(start == "large") & alive])
    small = alive[(start == "small") & far & kept]
    return float(small.mean()) if len(small) else float("nan")


def stays(gamma: Array, start: Array, is_alive: Array, depth: Array, amplitude: Array) -> float:
    """Return the share of these gammas at which the small start learns nothing."""
    return 1.0 - recovers(gamma, start, is_alive, depth, amplitude)


def least_learned(start: Array, smallest: Array, amplitude: Array) -> float:
    """Return the smallest value that the large start learns at any gamma, over the target's."""
    values = smallest[start == "large"].astype(float)
    known = values[np.isfinite(values)]
    return float(known.min() / amplitude[0]) if len(known) else float("nan")


def draw(measured: Measured) -> Figure:
    """Draw learned singular values against gamma, with the exact branches, a panel a depth."""
    runs = measured.data.rows(deep_runs(Evidence()))
    panels = [branches(int(depth), rows) for depth, rows in runs.groupby("depth")]
    return draw_panels(
        [*panels, *deciding_panels(measured)],
        "Learned singular values of deep linear networks after convergence, median over seeds: the "
        "largest from a large and from a small start, and the smallest that is not zero. Lines: "
        "the exact critical points of the largest one, unstable ones dotted; dashed: the floor, "
        "below which no minimum has a value. Then what decides, with what is allowed shaded.",
    )


def branches(depth: int, runs: pd.DataFrame) -> Panel:
    """Return the panel of one depth."""
    shown = runs.fillna({"largest": 0.0, "smallest": 0.0})
    lines = [
        Line(
            f"{name}, {start} start",
            {"mark": f"{name}, {start} start"},
            medians(shown[shown["start"] == start], "gamma", name),
            is_joined=False,
        )
        for name, start in (("largest", "large"), ("smallest", "large"), ("largest", "small"))
    ]
    return Panel(
        name=f"{depth} layers",
        title=f"{depth} layers",
        x="gamma",
        x_label="weight decay gamma",
        y_label="learned singular value",
        lines=lines,
        curves=exact_curves(depth, runs),
        is_log_x=False,
        is_log_y=False,
    )


def exact_curves(depth: int, runs: pd.DataFrame) -> list[Curve]:
    """Return the stable and the unstable branch of the largest value, and the floor."""
    sigma = float(runs["amplitude"].iloc[0])
    value = np.linspace(0.001, 1.0, 400)[:-1] * sigma
    gamma = (sigma - value) * value ** ((depth - 2) / depth)
    is_stable = value >= sigma * (depth - 2) / (2 * depth - 2)
    grid = np.linspace(0.0, float(runs["gamma"].max()), 100)
    return [
        Curve(gamma[is_stable], value[is_stable]),
        Curve(gamma[~is_stable], value[~is_stable], style=":"),
        Curve(grid, smallest_learned_value(depth, grid), style="--"),
    ]
