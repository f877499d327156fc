"""Space quantization: non-identical neurons keep a distance that does not shrink with weight decay.

The conjecture says that in a layer with permutation symmetry two neurons that are not identical are
at least c gamma apart, with one c for all gamma. Together with the norm bound it limits the number
of distinct neurons, whatever the width. Its literal form is the separation; the count is what
follows. Distances are those above the gap between copies and distinct neurons; a run without a gap
is no evidence of the separation. Integrity: no more than 1 + 2 sum |w|^2 / r^2 points lie at
pairwise distance r.
"""

import numpy as np
from numpy.typing import NDArray

from symstudy.findings import (
    All,
    Bound,
    Every,
    Evidence,
    Monotone,
    Paired,
    Reported,
    claim,
    log_slope,
    spearman,
)

from ..shared.distances import distance_rules

Array = NDArray[np.float64]

MIN_BUDGET = 6.0
MIN_GAMMAS = 6
FLAT = 0.1
ROUND_OFF = 1e-6

HIDDEN = """
    select runs.study, runs.run_id, runs.seed, runs.outcome, runs.depth, runs.width, runs.gamma,
           runs.decay_budget,
           runs.lr_over_batch, runs.label_noise, hidden.neurons, hidden.distance,
           hidden.excess, thresholds, counts
    from runs
    left join (
        select study, run_id, avg(distinct_neurons) as neurons, min(distance_gap) as distance,
               max(distinct_neurons - 1 - 2 * squared_norm / min_distance ** 2)
                   filter (where distinct_neurons > 1) as excess
        from layers where is_final group by all
    ) as hidden using (study, run_id)
    left join (
        select study, run_id, list(threshold order by threshold) as thresholds,
               list(distinct_neurons order by threshold) as counts
        from (
            select study, run_id, threshold, avg(distinct_neurons) as distinct_neurons
            from count_curve where is_final group by all
        )
        group by all
    ) using (study, run_id)
"""
"""Every run with its excess over the bound, and its count by the threshold below which two neurons
are one."""


@claim(
    title="Neurons keep a quantized distance",
    statement=(
        "Under weight decay non-identical neurons are at least c gamma apart, with one c for all "
        "gamma, so that the number of distinct neurons is bounded and falls as gamma grows."
    ),
    study="space_quantization",
    reference="arXiv:2502.05300, Conjecture 1 and Theorem 4",
)
def space_quantization(runs: Evidence) -> All:
    """Distances go as at most gamma^1 without a fall, counts fall, and no layer holds too many."""
    decayed = runs.of(HIDDEN).where("depth > 1 and gamma > 0").budget(MIN_BUDGET)
    axes = ("label_noise", "lr_over_batch", "width")
    counted = decayed.alive().merged().complete("gamma", *axes)
    apart = decayed.alive().separated()
    base = at_base(counted)
    curves = counted.per("label_noise", "lr_over_batch", "width", share=share_of_thresholds)
    by_threshold = at_base(curves)
    return All(
        *distance_rules(at_base(apart), axes),
        Monotone(
            base, "neurons", along="gamma", sign=-1, min_places=MIN_GAMMAS,
            name="distinct neurons",
        ),
        Bound(by_threshold, "share", at_least=0.5, name="share of thresholds at which they fall"),
        Every(decayed, "excess", at_most=ROUND_OFF, name="neurons beyond what fits"),
        *reported_axes(counted, apart),
    )  # fmt: skip


def at_base(runs: Evidence) -> Evidence:
    """Return the runs with the least label noise, then the largest lr / batch and width."""
    return runs.at_smallest("label_noise").at_largest("lr_over_batch").at_largest("width")


def reported_axes(counted: Evidence, apart: Evidence) -> tuple[Reported, ...]:
    """Return, without deciding, how counts and distances depend on the other axes.

    Slopes are those at one gamma, and their mean over gammas: so like is compared with like.
    """
    noises = counted.per("label_noise", "width", "gamma", count=along_noise)
    widest = noises.at_smallest("label_noise").at_largest("width")
    distances = apart.per("label_noise", "width", "gamma", distance=apart_along)
    farthest = distances.at_smallest("label_noise").at_largest("width")
    widths = counted.per("label_noise", "lr_over_batch", "gamma", count=along_width)
    base = widths.at_smallest("label_noise").at_largest("lr_over_batch")
    named = (
        (widest, "count", "slope of ln distinct neurons against ln lr / batch"),
        (farthest, "distance", "slope of ln smallest distance against ln lr / batch"),
        (base, "count", "slope of ln distinct neurons against ln width"),
    )
    by_noise = counted.at_largest("width").at_largest("lr_over_batch")
    change = Paired(
        by_noise, "neurons", between="label_noise", first=0.0, second=0.5, is_log=True,
        at_least=-FLAT, at_most=FLAT, name="distinct neurons",
    )  # fmt: skip
    return (
        *(
            Reported(Bound(rows, value, at_least=-FLAT, at_most=FLAT, name=name))
            for rows, value, name in named
        ),
        Reported(change),
    )


def share_of_thresholds(gamma: Array, counts: Array) -> float:
    """Return the share of the thresholds at which a seed's count falls as gamma grows.

    It is not a number where the seed has too few gammas: over a single one nothing can fall.
    """
    known = [row is not None for row in counts]
    if len(set(gamma[known])) < MIN_GAMMAS:
        return float("nan")
    table = np.array([list(row) for row in counts[known]], float)
    return float(np.mean([spearman(gamma[known], column) < 0 for column in table.T]))


def along_noise(lr_over_batch: Array, neurons: Array) -> float:
    """Return the slope of the count against the noise temperature."""
    return log_slope(lr_over_batch, neurons)


def apart_along(lr_over_batch: Array, distance: Array) -> float:
    """Return the slope of the smallest distance against the noise temperature."""
    return log_slope(lr_over_batch, distance)


def along_width(width: Array, neurons: Array) -> float:
    """Return the slope of the count against the width."""
    return log_slope(width, neurons)
