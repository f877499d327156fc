"""A deep linear network leaves zero after a time that is a power of its start.

With L layers whose weights have the singular value w_0 along the largest mode sigma of the target,
gradient flow gives dw/dt = 2 sigma w^(L - 1) near zero. For L = 2 the product grows exponentially
and reaches half of sigma at ln(sigma / w_0^2 - 1) / (4 sigma); for L >= 3 it stays near zero and
then escapes at once, at t = w_0^-(L - 2) / (2 sigma (L - 2)), with t = lr times steps.
"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from symstudy.findings import All, Every, Evidence, PowerLaw, Reported, claim
from symstudy.theory.closed_forms import escape_time

from .mode_timing import PLAIN_DESCENT, half_time

Array = NDArray[np.float64]

MARGIN = 0.15
COURSES = f"""
    with probes as (
        select study, run_id, seed, depth, lr, init_scale, init_balanced, amplitude, outcome, step,
               exp(avg(depth * ln(weight_largest))) as product
        from layers
        where depth >= 2 and gamma = 0 and {PLAIN_DESCENT}
        group by all
    )
    select study, run_id, seed, depth, init_scale, amplitude, outcome,
           case when init_balanced then 'aligned' else 'random' end as start,
           list(step * lr order by step) as times,
           list(product / amplitude order by step) as shares
    from probes
    group by all
"""
"""The product of the layers' largest singular values. The layers of a network that learns from a
balanced start have the same ones; those of a random start become so as it escapes."""


@claim(
    title="Deep networks stay near zero for a power of their start",
    statement=(
        "A linear network of L >= 3 layers that starts at weights of size w_0 leaves the symmetric "
        "state at zero after a time proportional to w_0^-(L - 2); two layers after one "
        "proportional to ln(1 / w_0)."
    ),
    study="depth_escape",
    reference=(
        "arXiv:2502.05300, symmetry-to-symmetry learning; exact: gradient flow of one mode, "
        "derived in the file (cf. arXiv:1312.6120)"
    ),
)
def depth_escape(runs: Evidence) -> All:
    """The power is -(L - 2) from aligned starts; two layers escape on time; random ones beside."""
    escapes = runs.of(COURSES).done().derive(time=time_of_escape, deviation=deviation)
    aligned, random = escapes.at("start", "aligned"), escapes.at("start", "random")
    late = "deviation from the exact time of escape"
    return All(
        law_of(aligned.above("depth", 2)),
        Every(aligned.at("depth", 2), "deviation", at_most=0.02, name=late),
        Reported(law_of(random.above("depth", 2))),
    )


def law_of(escapes: Evidence) -> PowerLaw:
    """Return the rule that the time of escape is a power of the start."""
    return PowerLaw(
        escapes,
        "time",
        along="init_scale",
        by=("depth",),
        exponent=exact_power,
        within=MARGIN,
        min_places=3,
        exact=exact_times,
        draws=("amplitude",),
        name="time of escape",
    )


def time_of_escape(times: Array, shares: Array) -> float:
    """Return when the product passes half of the target's value.

    It is 0, which has no logarithm, where it never does: a run that stays is no number.
    """
    time = half_time(times, shares)
    return time if np.isfinite(time) else 0.0


def deviation(time: float, depth: float, init_scale: float, amplitude: float) -> float:
    """Return by how much the time of escape is off; infinite where there is none."""
    exact = escape_time(int(depth), init_scale, amplitude)
    return abs(time / exact - 1.0) if time > 0 else float("inf")


def exact_power(depth: float) -> float:
    """Return d ln time / d ln w_0: -(L - 2)."""
    return 2.0 - depth


def exact_times(starts: Array, runs: pd.DataFrame) -> Array:
    """Return the exact time of escape from each start, for the figure."""
    depth, sigma = int(runs["depth"].iloc[0]), float(runs["amplitude"].iloc[0])
    return np.array([escape_time(depth, float(start), sigma) for start in starts])
