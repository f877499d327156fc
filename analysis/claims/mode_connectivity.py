"""Barriers between trainings of one network, before and after their neurons are matched.

Two trainings that differ in start and batches end far apart, since the order of neurons is free: so
the loss rises on the straight line between them. If the barrier is an effect of the symmetry, it
falls once the neurons of one network are put in the order of the other's, and more so the wider
they are.
"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from symstudy.findings import All, Bound, Evidence, Figure, Grows, Shown, claim
from symstudy.findings.conclude import Measured
from symstudy.findings.figures import medians
from symstudy.plots.panels import Line, Panel, draw_panels

Array = NDArray[np.float64]

LEARNED = 0.9
"""Least accuracy of both networks of a pair on the test data."""
RANDOM = 0.05
"""Share of random permutations with a barrier as low as the matched one, at most."""
LEFT = 0.25
"""Share of the barrier of balanced networks that is left after matching, at most."""
FALLS = 0.5
"""Power of the width with which the matched barrier falls, at least."""
SMALLEST = 1e-6
"""Barriers below this, in nats, count as this."""
KINDS = {
    "barrier_raw": "as they are",
    "barrier_balanced": "balanced",
    "barrier_random": "randomly permuted",
    "barrier_matched": "matched",
}


@claim(
    title="Trainings are connected once their neurons are matched",
    statement=(
        "The barrier of the loss on the straight line between two trainings of one network falls "
        "below that of any random permutation, and to a quarter at most, when the neurons of one "
        "are matched to those of the other; what is left falls with the width."
    ),
    study="mode_connectivity",
    reference="arXiv:2506.13018 on mode connectivity; arXiv:2110.06296, Conjecture 1",
)
def mode_connectivity(runs: Evidence) -> All:
    """Worst width of each activation: matched lower than random, by a factor; falls with width."""
    learned = learned_pairs(runs)
    worst = learned.per("activation", worst_p=worst_p, worst_share=worst_share)
    by = ("activation",)
    return All(
        Bound(
            worst,
            "worst_share",
            at_most=LEFT,
            by=by,
            name="matched barrier over that of balanced networks, at the worst width",
        ),
        Bound(
            worst,
            "worst_p",
            at_most=RANDOM,
            by=by,
            name="share of permutations with as low a barrier, at the worst width",
        ),
        Grows(
            learned.define(inverse_barrier=f"1 / greatest(barrier_matched, {SMALLEST})"),
            "inverse_barrier",
            along="width",
            at_least=FALLS,
            by=by,
            is_upper_half=False,
            name="1 / matched barrier",
        ),
        Shown(learned, ("activation", "width", *KINDS)),
    )


def learned_pairs(runs: Evidence) -> Evidence:
    """Return the pairs of which both networks have learned."""
    return (
        runs.done()
        .where(f"pair_accuracy >= {LEARNED}", why="a network of the pair has not learned")
        .complete("activation", "width")
    )


def worst_p(permutation_p: Array) -> float:
    """Return the largest share of random permutations over the widths."""
    return float(permutation_p.max())


def worst_share(barrier_matched: Array, barrier_balanced: Array) -> float:
    """Return the largest share of the barrier that matching leaves, over the widths.

    Without a barrier there is nothing to lower: infinite.
    """
    left = np.divide(
        barrier_matched,
        barrier_balanced,
        out=np.full(len(barrier_matched), np.inf),
        where=barrier_balanced > SMALLEST,
    )
    return float(left.max())


def draw(measured: Measured) -> Figure:
    """Draw the barriers against the width, a panel an activation."""
    rows = measured.data.rows(learned_pairs(Evidence()))
    return draw_panels(
        [panel(str(name), each) for name, each in rows.groupby("activation")],
        "Largest height of the test loss above its chord on the line between two trainings of one "
        "network, median over pairs with its exact interval of at least 90 %. Random "
        "permutations: the median of those of a pair.",
    )


def panel(activation: str, rows: pd.DataFrame) -> Panel:
    """Return the panel of one activation."""
    kept = {column: name for column, name in KINDS.items() if is_apart(column, rows)}
    return Panel(
        name=activation,
        title=activation,
        x="width",
        x_label="width",
        y_label="barrier (nats)",
        lines=[
            Line(name, {"networks": name}, medians(rows, "width", column))
            for column, name in kept.items()
        ],
    )


def is_apart(column: str, rows: pd.DataFrame) -> bool:
    """Return whether a line is not the one of raw networks once more: tanh has no balance."""
    same = np.allclose(rows[column], rows["barrier_raw"], rtol=1e-9)
    return column == "barrier_raw" or not same
