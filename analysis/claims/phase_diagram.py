"""The degree of symmetry in the plane of weight decay gamma and noise temperature T = lr / batch.

A two-layer linear network on d inputs that lie along the axes, each as likely as the others, learns
the modes s_1 > s_2 > ... one by itself each, from balanced weights along the axes. A batch of B
samples holds n of input k with the binomial distribution of B draws of chance 1 / d, so near zero a
step multiplies the weights of mode k by 1 - 2 lr gamma + 2 lr b, b = s_k d n / B. Mode k is lost
where E ln|1 - 2 lr gamma + 2 lr b| < 0 (Furstenberg and Kesten 1960, for numbers); to first order
in lr that is gamma + T v_k > s_k, with the variance v_k = (d - 1) s_k^2 of b per sample. So weight
decay and noise restore the symmetry of one mode after the other, each on a line.
"""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from symstudy.findings import (
    PALETTE,
    All,
    Bound,
    Evidence,
    Figure,
    Monotone,
    Reported,
    Shown,
    claim,
)
from symstudy.findings.conclude import Measured
from symstudy.findings.figures import deciding_panels, draw_rule
from symstudy.plots.labels import typeset
from symstudy.plots.lines import legend_of
from symstudy.plots.page import panel_axes
from symstudy.plots.panels import draw_panel, drawn_lines, hues_of
from symstudy.theory.closed_forms import critical_gamma_of_mode

from ..shared.critical_lines import growth_rates, line_through
from .noise_weight_decay_equivalence import critical_gamma

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = NDArray[np.float64]

ALIVE = 1e-4
LINEAR = """
    data = 'spectrum' and axes and init_balanced and depth = 2 and activation is null
    and sampling = 'replacement' and optimizer = 'sgd' and momentum = 0 and schedule = 'constant'
    and loss = 'squared_error' and dtype = 'float64' and label_noise = 0 and input_scale = 1
"""
TINY = "init_scale < 1e-20"
COLD = "temperature <= 0.03 * (1 + 1e-9)"
"""Where the first order in the temperature rules, so that the line is straight."""


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
)
def phase_diagram(runs: Evidence) -> All:
    """The first mode's line falls with T by v; at every T fewer modes are left as gamma grows."""
    lines = (
        growth_rates(runs, f"{LINEAR} and {TINY} and {COLD}")
        .per("input_dim", "amplitude", "temperature", gamma_c=critical_gamma)
        .per(slope=relative_slope, end=relative_end)
    )
    plane = plane_of(runs)
    modes, across = "modes that are not lost", ("temperature",)
    slope, end = "slope of the critical line of the first mode over v", "critical line at T = 0"
    return All(
        Bound(lines, "slope", at_least=-1.1, at_most=-0.9, name=slope),
        Monotone(plane, "alive", along="gamma", sign=-1, by=across, name=modes),
        Reported(Bound(lines, "end", at_least=0.98, at_most=1.02, name=f"{end} over s_1")),
        Reported(Monotone(plane, "alive", along="temperature", sign=-1, name=modes)),
        Shown(plane, ("batch_size", "input_dim", "amplitude", "exponent")),
    )


def plane_of(runs: Evidence) -> Evidence:
    """Return the runs from ordinary starts, with the number of modes that are still there."""
    alive = " + ".join(f"(product_value_{k} > {ALIVE})::int" for k in (1, 2, 3))
    return runs.where(f"{LINEAR} and not {TINY}").done().define(alive=alive)


def relative_slope(temperature: Array, gamma_c: Array, amplitude: Array, input_dim: Array) -> float:
    """Return d gamma_c / d T over the variance of the first mode's gradient per sample."""
    variance = (input_dim[0] - 1) * amplitude[0] ** 2
    return line_through(temperature, gamma_c)[0] / float(variance)


def relative_end(temperature: Array, gamma_c: Array, amplitude: Array) -> float:
    """Return the critical gamma without noise over the strength of the first mode."""
    return line_through(temperature, gamma_c)[1] / float(amplitude[0])


def draw(measured: Measured) -> Figure:
    """Draw the degree of symmetry over gamma and T with theory's steps, and the slope that decides.

    A field has the colour of a number of modes, of the nearest where seeds differ.
    """
    plane = measured.data.rows(plane_of(Evidence()))
    if plane.empty:
        return draw_rule(measured)
    panels = deciding_panels(measured)
    beside = [panel for panel in panels if panel.name != "alive"]
    verdicts = [panel.title for panel in panels if panel.name == "alive"]
    canvas, (axes, *others) = panel_axes(1 + len(beside), height=0.9, most_columns=2)
    dim = int(plane["input_dim"].iloc[0])
    fields = plane.assign(degree=dim - plane["alive"])
    means = fields.groupby(["temperature", "gamma"], as_index=False)["degree"].mean()
    table = means.pivot_table(index="temperature", columns="gamma", values="degree")
    gammas = edges(table.columns.to_numpy(float))
    heights = np.exp(edges(np.log(table.index.to_numpy(float))))
    draw_counts(axes, (gammas, heights), table.to_numpy(), dim)
    lines = draw_steps(axes, plane.iloc[0], np.geomspace(heights[0], heights[-1], 60))
    axes.set(yscale="log", xlabel=typeset("weight decay gamma"), title="\n".join(verdicts))
    axes.set_ylabel(r"temperature $T = \eta / B$")
    axes.set(xlim=gammas[[0, -1]], ylim=heights[[0, -1]])
    axes.grid(visible=False)
    for axis, panel in zip(others, beside, strict=True):
        draw_panel(axis, panel, hues_of(beside))
    legend_of([axes])
    return Figure(
        canvas,
        pd.concat([means.assign(panel="plane"), lines, *map(pd.concat, map(drawn_lines, beside))]),
        "Degree of symmetry, modes restored of all, over weight decay and noise; a field where "
        "seeds differ has the colour of the number next to their mean. On the lines gamma + T v is "
        "the strength of a mode; dotted, its exact Lyapunov exponent is 0. Fields are as wide as "
        "the steps of the sweep, so that a line may cross one. Beside it the slope that decides, "
        "with what is allowed shaded.",
    )


def draw_counts(axes: "Axes", ends: tuple[Array, Array], table: Array, dim: int) -> None:
    """Draw fields whose values are counts, with a step of the colour bar for each count."""
    from matplotlib import colormaps
    from matplotlib.colors import BoundaryNorm

    levels = np.arange(dim + 2) - 0.5
    norm = BoundaryNorm(levels, 256)
    mesh = axes.pcolormesh(*ends, table, cmap=colormaps["viridis"], norm=norm)
    axes.figure.colorbar(mesh, ax=axes, label=f"modes restored, of {dim}", ticks=range(dim + 1))


def draw_steps(axes: "Axes", run: pd.Series, temperatures: Array) -> pd.DataFrame:
    """Draw for each mode where it is lost, to first order in T and exactly."""
    dim, batch = int(run["input_dim"]), int(run["batch_size"])
    drawn = []
    for mode in range(1, dim + 1):
        strength = float(run["amplitude"] * mode ** -run["exponent"])
        first_order = strength - (dim - 1) * strength**2 * temperatures
        exact = [critical_gamma_of_mode(strength, dim, batch, float(t)) for t in temperatures]
        for gamma, style, name, color in (
            (first_order, "-", r"$\gamma + T v = s$", PALETTE[3]),
            (np.array(exact), ":", "exact, each mode", "0.1"),
        ):
            axes.plot(gamma, temperatures, style, color="white", linewidth=2.4)
            label = name if mode == 1 else None
            axes.plot(gamma, temperatures, style, color=color, linewidth=1.2, label=label)
            columns = {"panel": name, "mode": mode, "gamma": gamma, "temperature": temperatures}
            drawn.append(pd.DataFrame(columns))
    return pd.concat(drawn)


def edges(centres: Array) -> Array:
    """Return the edges of fields around `centres`, half-way between them."""
    middle = (centres[1:] + centres[:-1]) / 2
    ends = 2 * centres[0] - middle[0], 2 * centres[-1] - middle[-1]
    return np.concatenate([ends[:1], middle, ends[1:]])
