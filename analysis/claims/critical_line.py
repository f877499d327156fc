"""SGD begins to leave a symmetric state where its Lyapunov exponent changes sign, and not before.

A network u w x on targets y = x has its symmetric state at u = w = 0. Linearised there, a step of
SGD multiplies u + w by 1 - 2 lr gamma + 2 lr b, b the mean of x^2 over the batch, so the state
attracts almost surely where E ln|1 - 2 lr gamma + 2 lr b| < 0. For Gaussian x of variance q, b has
a gamma distribution of shape batch / 2 and mean q. To first order in lr the critical line is
gamma + T v = m, m = q and v = 2 q^2: noise of temperature T = lr / batch acts as a weight decay of
T v. The study closes in on the critical gamma by bisection, one search a temperature.
"""

import numpy as np
from numpy.typing import NDArray

from symstudy.findings import All, Bound, Evidence, Figure, Reported, claim
from symstudy.findings.conclude import Measured
from symstudy.findings.figures import deciding_panels, medians
from symstudy.plots.panels import Curve, Line, Panel, draw_panels
from symstudy.theory.closed_forms import critical_gamma_of_chi_square

from ..shared.critical_lines import crossing, growth_rates
from .noise_weight_decay_equivalence import ONE_NEURON

Array = NDArray[np.float64]

MARGIN = 0.1
NEAREST = 4


@claim(
    title="The critical weight decay at each noise temperature",
    statement=(
        "SGD leaves the symmetric state of a rescaling symmetry below a critical gamma at which "
        "its Lyapunov exponent changes sign: the noise's share m - gamma_c is T v to first order "
        "in the temperature T, and the exact exponent's beyond."
    ),
    study="critical_line",
    reference="arXiv:2502.05300, regularisation by noise; exact: Lyapunov exponent, in the file",
)
def critical_line(runs: Evidence) -> All:
    """The noise's share is the exact one at every temperature, and T v at the lowest."""
    points = (
        growth_rates(runs, ONE_NEURON)
        .where("temperatures >= 3", why="fewer than 3 temperatures")
        .define(power="input_scale ** 2")
        .per("batch_size", "temperature", "power", gamma_c=nearest_crossing)
        .derive(exact=exact_critical_gamma, share=share_of_exact, first_share=share_of_first_order)
    )
    exact, first = "noise's share over the exact one", "noise's share over T v"
    beside = f"{first}, beside"
    low, high = 1 - MARGIN, 1 + MARGIN
    every, coldest = ("temperature",), points.at_smallest("temperature")
    return All(
        Bound(points, "share", at_least=low, at_most=high, by=every, name=exact),
        Bound(coldest, "first_share", at_least=low, at_most=high, name=first),
        Reported(Bound(points, "first_share", at_least=low, at_most=high, by=every, name=beside)),
    )


def nearest_crossing(gamma: Array, rate: Array) -> float:
    """Return where the line through the growth rates nearest to 0 crosses 0.

    The rate falls with gamma at a slope near -1, so few points near the crossing give it best.
    """
    near = np.argsort(np.abs(rate), kind="stable")[:NEAREST]
    return crossing(gamma[near], rate[near], least=2)


def exact_critical_gamma(batch_size: float, temperature: float, power: float) -> float:
    """Return the critical gamma of a point, b being a mean of squares of normal numbers."""
    return critical_gamma_of_chi_square(int(batch_size), temperature, power)


def share_of_exact(gamma_c: float, exact: float, power: float) -> float:
    """Return what noise takes off the critical gamma, over what the exact exponent says."""
    return (power - gamma_c) / (power - exact)


def share_of_first_order(gamma_c: float, temperature: float, power: float) -> float:
    """Return what noise takes off the critical gamma, over T v."""
    return (power - gamma_c) / (2 * power**2 * temperature)


def draw(measured: Measured) -> Figure:
    """Draw the measured critical gamma against temperature, with the exact and first-order line."""
    points = measured.runs
    batch, power = float(points["batch_size"].iloc[0]), float(points["power"].iloc[0])
    curve = np.linspace(0.0, float(points["temperature"].max()) * 1.05, 40)[1:]
    exact = np.array([exact_critical_gamma(batch, float(t), power) for t in curve])
    panel = Panel(
        name="critical line",
        title="critical weight decay",
        x="temperature",
        x_label="temperature T = learning rate / batch size",
        y_label="critical weight decay gamma_c",
        lines=[Line("measured", {}, medians(points, "temperature", "gamma_c"), is_joined=False)],
        curves=[Curve(curve, exact), Curve(curve, power - 2 * power**2 * curve, style=":")],
        is_log_x=False,
        is_log_y=False,
    )
    return draw_panels(
        [panel, *deciding_panels(measured)],
        "Critical weight decay against noise temperature, median over seeds with its exact "
        "interval of at least 90 %. Line: where the Lyapunov exponent is 0; dotted: its first "
        "order, gamma + T v = m. Beside it what decides, with what is allowed shaded.",
    )
