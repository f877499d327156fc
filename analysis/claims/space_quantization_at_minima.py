"""Space quantization at certified minima: the setting in which the theorem is a theorem.

Each run is the best of several L-BFGS minima in float64. A minimum at which merging two neurons
lowers the objective is no global one, so it is no evidence. Tested are the saturation with width,
the fall of the count with weight decay, and the conjecture proper, that the smallest distance is at
least c gamma with one c: its exponent in gamma is at most 1, and it falls at no gamma.
Distances are those above the gap between copies and distinct neurons. What counts as a neuron
follows the activation's symmetry: vectors for tanh and swish, directions for ReLU, ranks for linear
layers, whose raw distances mean nothing.
"""

import numpy as np
from numpy.typing import NDArray

from symstudy.findings import All, Bound, Evidence, Flat, Monotone, Reported, claim

from ..shared.distances import distance_rules

Array = NDArray[np.float64]

MIN_GAMMAS = 5
MERGE_TOLERANCE = 1e-9

MINIMA = """
    with counted as (
        select runs.study, runs.run_id, runs.seed, coalesce(runs.activation, 'linear') as kind,
               runs.gamma, runs.width, runs.objective, runs.outcome, runs.grad_ratio,
               runs.merge_gain, hidden.distance,
               runs.samples * runs.output_dim + 1 as atoms,
               case when kind = 'relu' then hidden.directions
                    when kind = 'linear' then hidden.ranks else hidden.vectors end as neurons
        from runs
        left join (
            select study, run_id, min(distance_gap) as distance,
                   avg(distinct_directions) as directions, avg(weight_rank) as ranks,
                   avg(distinct_neurons) as vectors
            from layers where is_final group by all
        ) as hidden using (study, run_id)
        where runs.optimizer = 'lbfgs' and runs.depth = 2 and runs.gamma > 0
    ),
    ends as (
        select *, max(neurons) filter (where width = widest) over cell as most
        from (select *, max(width) over (partition by kind, gamma) as widest from counted)
        window cell as (partition by kind, gamma)
    )
    select *,
           case when width >= 2 * most and neurons > 0
                     and count(distinct width) filter (where width >= 2 * most and neurons > 0)
                         over cell > 1
                then 'saturated' else 'other' end as regime,
           case when kind in ('tanh', 'silu') then 'vectors' else 'others' end as counted
    from ends
    window cell as (partition by kind, gamma)
"""
"""Every minimum; saturated where the width is at least twice the most neurons at the largest width,
if there are two such widths."""


@claim(
    title="Neurons keep a quantized distance at minima",
    statement=(
        "At global minima under weight decay the number of neurons and the objective saturate with "
        "width, the number falls with gamma, and non-identical neurons are at least c gamma apart, "
        "with one c for all gamma."
    ),
    study="space_quantization_at_minima",
    reference="arXiv:2502.05300, Conjecture 1 and Theorem 4",
)
def space_quantization_at_minima(runs: Evidence) -> All:
    """Counts saturate and fall, with equal objectives; distances go as at most gamma^1, no fall."""
    by = ("kind",)
    minima = (
        runs.of(MINIMA)
        .converged(grad_ratio=1e-6)
        .where(f"coalesce(merge_gain, 0) <= {MERGE_TOLERANCE}", why="a merge lowers the objective")
        .alive()
        .complete("kind", "gamma", "width")
    )
    wide = minima.at("regime", "saturated")
    widest = minima.at_largest("width")
    apart = minima.separated().at_largest("width")
    keys = ("counted", "kind", "width")
    exponent, fall = distance_rules(apart.at("counted", "vectors"), keys, by)
    others = distance_rules(apart.at("counted", "others"), keys, by)
    spreads = minima.per("kind", "gamma", spread=spread_of_objectives).per(
        "kind", spread=largest_spread
    )
    atoms = minima.per("kind", share=share_of_atoms)
    share, count = "count over what convex duality allows", "count"
    return All(
        exponent,
        fall,
        Monotone(
            widest, "neurons", along="gamma", sign=-1, by=by, min_places=MIN_GAMMAS, name=count,
        ),
        Flat(
            wide, "neurons", along="width", within=0.05, by=("kind", "gamma"), min_places=2,
            is_upper_half=False, name=count,
        ),
        Bound(spreads, "spread", at_most=0.01, by=by, name="spread of objectives over widths"),
        *map(Reported, others),
        Reported(Bound(atoms, "share", at_most=1, by=by, name=share)),
    )  # fmt: skip


def spread_of_objectives(objective: Array, regime: Array) -> float:
    """Return by how much the objectives of a seed at one gamma differ among wide networks."""
    chosen = objective[regime == "saturated"].astype(float)
    return float(chosen.max() / chosen.min() - 1) if len(chosen) > 1 else float("nan")


def largest_spread(spread: Array) -> float:
    """Return the largest spread of a seed over the gammas at which there is one."""
    known = spread[np.isfinite(spread)]
    return float(known.max()) if len(known) else float("nan")


def share_of_atoms(neurons: Array, atoms: Array) -> float:
    """Return the largest count over the n_out n + 1 neurons that convex duality allows anyway."""
    return float((neurons / atoms).max())
