"""Whether the loss of a network falls where its symmetries break, more than where it merely grows.

A pair of neurons adjacent in norm is broken where their distance over sqrt(2) exceeds 0.3 of
the norm of the layer's largest neuron at the end of training (arXiv:2502.05300, Eqs. 3 and 14, with
a threshold relative to the final norm). The events of a run are the steps at which 10, 30, 50, 70
and 90 % of the pairs of each hidden layer have been broken. A direction is broken where a
singular value of outgoing times incoming weights exceeds the square of 0.3 of the largest
one's final value: it is a product of two weights.

Any network that learns from a small start grows, and its loss falls meanwhile. So the events of
symmetry are held against as many placebo events: steps at which the norm of all parameters crosses
levels between its first and its farthest value, equally spaced in the norm or in its logarithm.
Both placebos have to be beaten. Where the levels lie depends neither on single weights nor on the
loss.
"""

import math

import numpy as np
from numpy.typing import NDArray

from symstudy.findings import AbstractRule, Bound, Evidence, Reported

__all__ = [
    "CONTRASTS",
    "MARGIN",
    "deeper",
    "jump_rules",
    "nearness",
    "placebo_events",
    "shallow",
    "speed_contrast",
]

Array = NDArray[np.float64]

RELATIVE = 0.3
"""Share of a layer's final norm above which a pair of its neurons is broken."""
SHARES = (10, 30, 50, 70, 90)
DIRECTIONS = 4
LARGEST_START = 0.25
"""Initial scale up to which networks of five layers decide."""
SHALLOW_START = 1e-3
LEARNED = 0.5
"""Largest final loss, over that at the start, of a network that has learned."""
DECIDES = 5
"""Weight layers of the networks that decide: the paper's."""
MARGIN = 0.0
"""Contrast above which events beat their placebo; a run whose two are the same has none."""

CONTRASTS = {
    "faster": "speed at events against levels of the norm",
    "faster_log": "speed at events against levels of ln norm",
    "nearer": "order and time of events against levels of the norm",
    "nearer_log": "order and time of events against levels of ln norm",
}
"""What decides: column and name of each contrast."""
TRAINED = """
    data = 'teacher_student' and optimizer = 'sgd' and full_batch and momentum = 0
    and schedule = 'constant' and gamma = 0 and syre = 0 and entropic = 0 and label_noise = 0
    and input_scale = 1 and init_copies = 1 and init_rank = 0 and reparametrise = 'none'
"""
"""Full-batch gradient descent on a teacher without noise or decay."""


def first_steps(columns: list[str], limit: str) -> str:
    """Return SQL for the list of the first steps at which columns of `layers` exceed a limit."""
    return ", ".join(f"min(step) filter (where {column} > {limit})" for column in columns)


PAIRS = [f"pair_distance_{share}" for share in SHARES]
VALUES = [f"product_value_{place}" for place in range(1, DIRECTIONS + 1)]
QUERY = f"""
    with measured_at as (
        select distinct study, run_id, step from layers where pair_distance_50 is not null
    ),
    limits as (
        select study, run_id, layer,
               {RELATIVE} * arg_max(max_norm, step) as pair_limit,
               {RELATIVE**2} * arg_max(product_value_1, step) as direction_limit
        from layers
        where pair_distance_50 is not null
        group by study, run_id, layer
    ),
    crossed as (
        select study, run_id, layer,
               unnest([{first_steps(PAIRS, "pair_limit")}]) as pair,
               unnest([{first_steps(VALUES, "direction_limit")}]) as direction
        from layers join limits using (study, run_id, layer)
        group by study, run_id, layer
    ),
    broken as (
        select study, run_id, min(pair) as first_broken,
               list(pair) filter (where pair is not null) as pairs,
               list(direction) filter (where direction > 0) as directions
        from crossed
        group by study, run_id
    ),
    over_time as (
        select study, run_id, list(step order by step) as probe_steps,
               list(train_loss order by step) as losses,
               list(theta_norm order by step) as norms,
               count(theta_norm) = count(*) as has_norms,
               arg_max(train_loss, step) / arg_min(train_loss, step) as left_over
        from history semi join measured_at using (study, run_id, step)
        where step > 0 and train_loss > 0
        group by study, run_id
    )
    select runs.*, probe_steps, losses, norms, has_norms, left_over, first_broken,
           coalesce(pairs, []) as pairs, coalesce(directions, []) as directions,
           broken.run_id is not null as is_measured
    from runs
    left join broken using (study, run_id)
    left join over_time using (study, run_id)
    where {TRAINED}
"""


def traced(runs: Evidence, activation: str, condition: str) -> Evidence:
    """Return runs that have learned from a start at which no pair was broken, with contrasts."""
    counted = runs.of(QUERY).where(f"activation = '{activation}' and {condition}").done()
    counted = counted.where("len(probe_steps) >= 3 and is_measured", why="no distances over time")
    counted = counted.where("has_norms", why="no norm of the network over time")
    counted = counted.where("first_broken is null or first_broken > 0", why="broken from the start")
    counted = counted.where(f"left_over <= {LEARNED}", why="has not halved its loss")
    return counted.derive(
        faster=faster,
        faster_log=faster_log,
        nearer=nearer,
        nearer_log=nearer_log,
        faster_directions=faster_directions,
        nearer_directions=nearer_directions,
    )


def deeper(runs: Evidence, activation: str) -> Evidence:
    """Return the networks of five layers from small starts, of which each seed has every start."""
    small = f"depth = {DECIDES} and init_scale <= {LARGEST_START}"
    return traced(runs, activation, small).complete("activation", "init_scale")


def shallow(runs: Evidence, activation: str) -> Evidence:
    """Return the networks of two layers from tiny starts."""
    return traced(runs, activation, f"depth = 2 and init_scale <= {SHALLOW_START}")


def jump_rules(runs: Evidence, activation: str) -> list[AbstractRule]:
    """Return the rules on one activation: four decide, on networks of five layers.

    By start, and of directions, the same is reported.
    """
    deep, two = deeper(runs, activation), shallow(runs, activation)

    def beats(rows: Evidence, value: str, name: str, by: tuple[str, ...] = ()) -> Bound:
        return Bound(rows, value, at_least=MARGIN, by=by, name=f"{name}, {activation}")

    deciding = [beats(deep, value, name) for value, name in CONTRASTS.items()]
    reported: list[AbstractRule] = []
    for value in ("faster", "nearer"):
        name = CONTRASTS[value]
        reported += [
            beats(deep, value, f"{name}, by start", ("init_scale",)),
            beats(deep, f"{value}_directions", f"{name}, directions"),
            beats(two, f"{value}_directions", f"{name}, directions of two layers"),
        ]
    return [*deciding, *map(Reported, reported)]


def faster(probe_steps: Array, losses: Array, norms: Array, pairs: Array) -> float:
    """Return how much faster the loss falls at broken pairs than at levels of the norm."""
    return speed_contrast(probe_steps, losses, norms, pairs)


def faster_log(probe_steps: Array, losses: Array, norms: Array, pairs: Array) -> float:
    """Return how much faster the loss falls at broken pairs than at levels of the norm's log."""
    return speed_contrast(probe_steps, losses, np.log(norms), pairs)


def nearer(probe_steps: Array, losses: Array, norms: Array, pairs: Array) -> float:
    """Return how much nearer to drops of their order broken pairs are than levels of the norm."""
    return nearness(probe_steps, losses, norms, pairs)


def nearer_log(probe_steps: Array, losses: Array, norms: Array, pairs: Array) -> float:
    """Return how much nearer to drops broken pairs are than levels of the norm's logarithm."""
    return nearness(probe_steps, losses, np.log(norms), pairs)


def faster_directions(probe_steps: Array, losses: Array, norms: Array, directions: Array) -> float:
    """Return how much faster the loss falls at broken directions than at levels of the norm."""
    return speed_contrast(probe_steps, losses, norms, directions)


def nearer_directions(probe_steps: Array, losses: Array, norms: Array, directions: Array) -> float:
    """Return how much nearer to drops broken directions are than levels of the norm."""
    return nearness(probe_steps, losses, norms, directions)


def speed_contrast(steps: Array, losses: Array, growth: Array, events: Array) -> float:
    """Return (s - p) / (|s| + |p|) of the mean speeds s at events and p at placebo events.

    The speed is v = -d ln loss / d ln t between a probe and the one before. A network that learns
    and breaks nothing has the least contrast, -1; if nothing grows there is no placebo, and NaN.
    """
    if not len(events):
        return -1.0
    speeds = np.concatenate([[0.0], -np.diff(np.log(losses)) / np.diff(np.log(steps))])
    placebo = placebo_events(steps, growth, len(events))
    own, other = (
        float(speeds[np.searchsorted(steps, at)].mean()) if len(at) else math.nan
        for at in (events, placebo)
    )
    return contrast(own, other)


def nearness(steps: Array, losses: Array, growth: Array, events: Array) -> float:
    """Return (p - s) / (p + s) of the mean distances in ln t of events, s, and placebo events, p.

    The k-th of K events is held against the step at which the loss has fallen by (k - 1/2) / K of
    all that its logarithm falls by: order and time together. The matching in order is the shortest
    way to move the events onto the drops. Without an event it is -1, without placebo NaN.
    """
    if not len(events):
        return -1.0
    drops = drop_steps(steps, losses, len(events))
    placebo = placebo_events(steps, growth, len(events))
    away = distance(placebo, drops) if len(placebo) else math.nan
    return contrast(away, distance(np.sort(events), drops))


def placebo_events(steps: Array, growth: Array, count: int) -> Array:
    """Return the steps at which what grows crosses `count` equally spaced levels.

    They lie between its first value and the one farthest from it; if it stays there are none.
    """
    farthest = np.maximum.accumulate(np.abs(growth - growth[0]))
    if not farthest[-1] > 0:
        return np.empty(0)
    levels = farthest[-1] * (np.arange(count) + 0.5) / count
    return np.asarray(steps, float)[np.searchsorted(farthest, levels)]  # type: ignore[no-any-return]


def drop_steps(steps: Array, losses: Array, count: int) -> Array:
    """Return when the loss has fallen by 1/2, 3/2, ... of `count` equal parts of its whole fall."""
    fallen = np.log(losses[0]) - np.minimum.accumulate(np.log(losses))
    parts = fallen[-1] * (np.arange(count) + 0.5) / count
    return np.asarray(steps, float)[np.searchsorted(fallen, parts)]  # type: ignore[no-any-return]


def distance(events: Array, drops: Array) -> float:
    """Return the mean distance in ln t between events and drops, both in order."""
    return float(np.abs(np.log(events) - np.log(drops)).mean())


def contrast(first: float, second: float) -> float:
    """Return (first - second) / (|first| + |second|), NaN for a tie, which speaks for neither."""
    return (first - second) / (abs(first) + abs(second)) if first != second else math.nan
