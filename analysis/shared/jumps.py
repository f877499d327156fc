"""Whether the loss of a network falls where its symmetries break, more than where it merely grows.

A pair of neurons adjacent in norm is broken where their distance over sqrt(2) exceeds 0.3 of
the norm of the layer's largest neuron at the end of training (arXiv:2502.05300, Eqs. 3 and 14, with
a threshold relative to the final norm). The events of a run are the steps at which 10, 30, 50, 70
and 90 % of the pairs of each hidden layer have been broken. A direction is broken where a
singular value of outgoing times incoming weights exceeds the square of 0.3 of the largest
one's final value: it is a product of two weights.

Any network that learns from a small start grows, and its loss falls meanwhile. So the events of
symmetry are held against as many placebo events: steps at which the norm of all parameters crosses
equally spaced levels between its first and its farthest value, or equally spaced in its logarithm,
whichever of the two is the better placebo. Where the levels lie depends neither on single weights
nor on the loss.
"""

import numpy as np
from numpy.typing import NDArray

from symstudy.findings import AbstractRule, Bound, Evidence, Reported

__all__ = [
    "DECIDES",
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
MARGIN = 0.01
"""Least contrast with the placebo: 2 % faster or nearer, which a tie is not."""

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
               arg_max(train_loss, step) / arg_min(train_loss, step) as left_over
        from history semi join measured_at using (study, run_id, step)
        where step > 0 and train_loss > 0
        group by study, run_id
    )
    select runs.*, probe_steps, losses, norms, left_over, first_broken,
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
    counted = counted.where("first_broken is null or first_broken > 0", why="broken from the start")
    counted = counted.where(f"left_over <= {LEARNED}", why="has not halved its loss")
    return counted.derive(
        faster=faster, nearer=nearer, faster_directions=faster_directions,
        nearer_directions=nearer_directions,
    )  # fmt: skip


def deeper(runs: Evidence, activation: str) -> Evidence:
    """Return the networks of five layers from small starts, of which each seed has every start."""
    small = f"depth = {DECIDES} and init_scale <= {LARGEST_START}"
    return traced(runs, activation, small).complete("activation", "init_scale")


def shallow(runs: Evidence, activation: str) -> Evidence:
    """Return the networks of two layers from tiny starts."""
    return traced(runs, activation, f"depth = 2 and init_scale <= {SHALLOW_START}")


def jump_rules(runs: Evidence, activation: str) -> list[AbstractRule]:
    """Return the rules on one activation: two decide, on networks of five layers.

    Per start, of directions and of two layers the same is reported.
    """
    deep, two = deeper(runs, activation), shallow(runs, activation)

    def beats(rows: Evidence, value: str, name: str, *by: str) -> Bound:
        return Bound(rows, value, at_least=MARGIN, by=by, name=f"{name}, {activation}")

    speed, order = (
        "speed of the loss, events against placebo",
        "order and time, events against placebo",
    )
    rules: list[AbstractRule] = [beats(deep, "faster", speed), beats(deep, "nearer", order)]
    for value, name in (("faster", speed), ("nearer", order)):
        rules += [
            Reported(beats(deep, value, f"{name}, by start", "init_scale")),
            Reported(beats(deep, f"{value}_directions", f"{name}, directions")),
            Reported(beats(two, f"{value}_directions", f"{name}, directions, two layers")),
        ]
    return rules


def faster(probe_steps: Array, losses: Array, norms: Array, pairs: Array) -> float:
    """Return how much faster the loss falls at broken pairs than at placebo events."""
    return speed_contrast(probe_steps, losses, norms, pairs)


def nearer(probe_steps: Array, losses: Array, norms: Array, pairs: Array) -> float:
    """Return how much nearer in time broken pairs are to drops of the loss of the same order."""
    return nearness(probe_steps, losses, norms, pairs)


def faster_directions(probe_steps: Array, losses: Array, norms: Array, directions: Array) -> float:
    """Return how much faster the loss falls at broken directions than at placebo events."""
    return speed_contrast(probe_steps, losses, norms, directions)


def nearer_directions(probe_steps: Array, losses: Array, norms: Array, directions: Array) -> float:
    """Return how much nearer in time broken directions are to drops of the same order."""
    return nearness(probe_steps, losses, norms, directions)


def speed_contrast(steps: Array, losses: Array, norms: Array, events: Array) -> float:
    """Return (s - p) / (|s| + |p|) of the mean speeds at events and at the faster placebo.

    The speed is v = -d ln loss / d ln t between a probe and the one before. A network that learns
    and breaks nothing has the least contrast, -1; without a norm that changes there is none.
    """
    if not len(events):
        return -1.0
    times, logs = np.log(steps), np.log(losses)
    speeds = np.concatenate([[0.0], -np.diff(logs) / np.diff(times)])
    own = float(speeds[np.searchsorted(steps, events)].mean())
    placebos = [
        float(speeds[np.searchsorted(steps, placebo)].mean())
        for placebo in placebo_events(steps, norms, len(events))
    ]
    return contrast(own, max(placebos, default=float("nan")))


def nearness(steps: Array, losses: Array, norms: Array, events: Array) -> float:
    """Return (p - s) / (p + s) of the mean distances in ln t of events and of the nearer placebo.

    The k-th of K events is held against the step at which the loss has fallen by (k - 1/2) / K of
    all that its logarithm falls by: order and time together. The matching in order is the shortest
    way to move the events onto the drops. Without an event it is -1, without placebo NaN.
    """
    if not len(events):
        return -1.0
    drops = drop_steps(steps, losses, len(events))
    away = [distance(placebo, drops) for placebo in placebo_events(steps, norms, len(events))]
    return contrast(min(away, default=float("nan")), distance(np.sort(events), drops))


def placebo_events(steps: Array, norms: Array, count: int) -> list[Array]:
    """Return the steps at which the norm crosses `count` levels, equally spaced and in its log.

    None are returned where the norm is not known or does not change.
    """
    if not np.isfinite(norms).all() or norms.min() <= 0:
        return []
    found = []
    for scale in (norms, np.log(norms)):
        farthest = np.maximum.accumulate(np.abs(scale - scale[0]))
        if farthest[-1] > 0:
            levels = farthest[-1] * (np.arange(count) + 0.5) / count
            found.append(steps[np.searchsorted(farthest, levels)])
    return found


def drop_steps(steps: Array, losses: Array, count: int) -> Array:
    """Return when the loss has fallen by 1/2, 3/2, ... of `count` equal parts of its whole fall."""
    fallen = np.log(losses[0]) - np.minimum.accumulate(np.log(losses))
    parts = fallen[-1] * (np.arange(count) + 0.5) / count
    return np.asarray(steps, float)[np.searchsorted(fallen, parts)]


def distance(events: Array, drops: Array) -> float:
    """Return the mean distance in ln t between events and drops, both in order."""
    return float(np.abs(np.log(events) - np.log(drops)).mean())


def contrast(first: float, second: float) -> float:
    """Return (first - second) / (|first| + |second|), 0 where both are."""
    total = abs(first) + abs(second)
    return (first - second) / total if total else 0.0
