"""Weight decay turned up destroys what a deep linear network has learned; turned down it stays so.

For one singular value sigma of the target, the balanced critical points s of a network of D = 3
linear layers under gamma |W|^2 solve sigma = s + gamma s^(-1/3). The upper branch ends at the
spinodal gamma_sp = (sigma / 4)^(4/3) 3, where s = sigma / 4; zero is a stable point at every
gamma > 0. So a loop in gamma has two branches: on the way up the network stays on the upper one and
collapses at gamma_sp; on the way down it starts from zero and stays there.

The two ways are trained gamma by gamma, from a large start and from a small one. That is the loop
itself: from a large start gradient descent finds the upper branch wherever it exists, as a network
that follows it does; and on the way down the weights are those that the last decay has left, which
is less than the small start, so that what the small start does not recover they do not either.
"""

import numpy as np
from numpy.typing import NDArray

from symstudy.findings import All, Bound, Evidence, Figure, Shown, claim
from symstudy.findings.conclude import Measured
from symstudy.findings.figures import deciding_panels, medians
from symstudy.plots.panels import Curve, Line, Panel, draw_panels
from symstudy.theory.closed_forms import learned_value, spinodal

from .depth_gap import collapse, deep_runs, exact_curves, last_alive, recovers

Array = NDArray[np.float64]

DEPTH = 3
MARGIN = 0.02


@claim(
    title="What weight decay destroyed does not come back",
    statement=(
        "Turned up, weight decay makes a linear network of three layers collapse at once, at the "
        "end of the branch on which it has learned something; turned down again, the network "
        "stays collapsed at every decay: a hysteresis loop."
    ),
    study="depth_gap",
    reference=(
        "arXiv:2502.05300, symmetry restoration; exact: Schatten-2/3 quasi-norm, derived in the "
        "file"
    ),
)
def hysteresis(runs: Evidence) -> All:
    """Up: on the exact branch to its end; down: nothing comes back. Three layers."""
    converged = deep_runs(runs)
    loops = converged.per("depth", collapse=collapse, before=before, recovers=recovers)
    loop = loops.at("depth", DEPTH)
    low, high = 1 - MARGIN, 1 + MARGIN
    learned = "learned before the collapse, over the exact value"
    recovered = "share recovered on the way down"
    return All(
        Bound(loop, "collapse", at_least=low, at_most=high, name="collapse over the spinodal"),
        Bound(loop, "before", at_least=low, at_most=high, name=learned),
        Bound(loop, "recovers", at_most=0.02, name=recovered),
        Shown(converged, ("depth", "gamma", "start", "amplitude", "largest")),
    )


def before(
    gamma: Array, start: Array, is_alive: Array, largest: Array, depth: Array, amplitude: Array
) -> float:
    """Return the learned value at the last gamma of the way up, over the exact one."""
    last = last_alive(gamma, start, is_alive)
    exact = learned_value(int(depth[0]), last, float(amplitude[0]))
    if not exact > 0:
        return float("nan")
    return float(largest[(start == "large") & (gamma == last)][0]) / exact


def draw(measured: Measured) -> Figure:
    """Draw both ways and the exact branches."""
    runs = measured.data.rows(deep_runs(Evidence()).at("depth", DEPTH))
    shown = runs.fillna({"largest": 0.0})
    lines = [
        Line(
            f"gamma turned {way}, from a {start} start",
            {"way": way},
            medians(shown[shown["start"] == start], "gamma", "largest"),
        )
        for way, start in (("up", "large"), ("down", "small"))
    ]
    stable, unstable, _ = exact_curves(DEPTH, runs)
    end = np.full(2, spinodal(DEPTH, float(runs["amplitude"].iloc[0])))
    panel = Panel(
        name="loop",
        title="three layers",
        x="gamma",
        x_label="weight decay gamma",
        y_label="largest learned singular value",
        lines=lines,
        curves=[stable, unstable, Curve(end, stable.value[[0, -1]] * [1.0, 0.0], style="--")],
        is_log_x=False,
        is_log_y=False,
    )
    return draw_panels(
        [panel, *deciding_panels(measured)],
        "Largest singular value that three linear layers have learned, median over seeds. Turned "
        "up, decay collapses the network at the end of the stable branch, the spinodal (dashed); "
        "turned down, it does not recover. Dotted: the unstable branch. Beside it what decides, "
        "with what is allowed shaded.",
    )
