"""Where a network breaks symmetries as it learns, and whether its loss falls there.

A direction is broken at a hidden layer where a singular value of its outgoing times its incoming
weights exceeds 0.1 (a rank event), a pair of neurons adjacent in norm where their distance over
sqrt(2) does (a pair event, the procedure of arXiv:2502.05300). Near zero every network is linear in
this product, and the first direction that grows already takes neurons apart, so that pairs tell
less of the later ones than the rank does. The speed of learning is v = -d ln loss / d ln t: a power
law has a constant speed, a jump a peak.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from symstudy.findings import Evidence
from symstudy.findings.evidence import load
from symstudy.store import Store

MODES = 4
EXIT_SPEED = 1.0

Array = NDArray[np.float64]


class Trace(NamedTuple):
    """One run over time.

    Attributes:
        activation: Activation of the network.
        depth: Number of weight layers.
        scale: Scale of the initial weights, in units of 1 / sqrt(fan-in).
        seed: Seed of the run.
        steps: Optimiser steps of the probes, from 1 on.
        loss: Training loss at each of `steps`.
        norms: Norm of all parameters at each of `steps`; NaN where it was not recorded.
        ranks: Broken directions at each of `steps`; of several hidden layers, of the least.
        pairs: Broken pairs at each of `steps`, summed over hidden layers.
        learned: Singular values of outgoing times incoming weights of the first hidden layer, a row
            a probe, largest first.
        expected: Steps at which each mode of an orthogonal teacher is expected to be learned from
            a small start, in order of its singular values; empty for other teachers.
        targets: Singular values of E[y x^T] of an orthogonal teacher; empty for others.
    """

    activation: str
    depth: int
    scale: float
    seed: int
    steps: Array
    loss: Array
    norms: Array
    ranks: Array
    pairs: Array
    learned: Array
    expected: Array
    targets: Array


class Measured(NamedTuple):
    """What the claims are judged by.

    Attributes:
        traces: The runs, in order of activation, depth, scale and seed.
        excluded: Runs left out, by why.
    """

    traces: tuple[Trace, ...]
    excluded: tuple[tuple[str, int], ...]


TRAINED = """
    data = 'teacher_student' and optimizer = 'sgd' and full_batch and momentum = 0
    and schedule = 'constant' and gamma = 0 and syre = 0 and entropic = 0 and label_noise = 0
    and input_scale = 1 and init_copies = 1 and init_rank = 0 and reparametrise = 'none'
"""
"""Full-batch gradient descent on a teacher without noise or decay."""
VALUES = [f"singular_{k}" for k in range(1, MODES + 1)]
FIRST_LAYER = ", ".join(
    f"arg_min(product_value_{k}, layer) as {value}" for k, value in enumerate(VALUES, 1)
)
QUERY = f"""
    with layer_probes as (
        select run_id, step, min(product_rank_absolute) as rank,
               sum(breaking_sorted_absolute) as pair,
               {FIRST_LAYER}
        from layers
        where product_rank_absolute is not null
        group by run_id, step
    ),
    over_time as (
        select run_id, list(step order by step) as probe_steps,
               list(history.train_loss order by step) as losses,
               list(history.theta_norm order by step) as norms,
               list(rank order by step) as ranks, list(pair order by step) as pairs,
               {", ".join(f"list({value} order by step) as {value}" for value in VALUES)}
        from history join layer_probes using (run_id, step)
        where step > 0 and history.train_loss > 0
        group by run_id
    )
    select runs.*, over_time.* exclude (run_id)
    from runs left join over_time using (run_id)
    where {TRAINED}
"""
RUN = ("activation", "depth", "width", "init_scale", "input_dim", "output_dim", "lr", "loss")
TEACHER = ("directions", "width", "scale", "norm", "gain_ratio", "activation")
PROBES = ("probe_steps", "losses", "norms", "ranks", "pairs", *VALUES)


def read_traces(db: Store) -> Measured:
    """Return all runs of full-batch gradient descent on a teacher without noise or decay."""
    runs = Evidence().of(QUERY).done()
    runs = runs.where("len(probe_steps) >= 3", why="no absolute ranks over time")
    columns = (*RUN, *(f"teacher_{name}" for name in TEACHER), *PROBES)
    counted = load(db, runs, columns)
    traces = tuple(trace_of(run) for run in counted.frame.itertuples())
    return Measured(traces, counted.excluded)


def trace_of(run: Any) -> Trace:
    """Return the trace of a row of `QUERY`."""
    targets = target_values(run)
    # Each entry of the parts (A^T u + W v) / 2 is normal, so their mean squared norm is this.
    start = run.init_scale**2 * (1.0 + run.width / run.input_dim) / 4.0
    pull = 4.0 * (1.0 / run.output_dim if run.loss == "mse" else 1.0) * targets
    return Trace(
        activation=run.activation,
        depth=int(run.depth),
        scale=float(run.init_scale),
        seed=int(run.seed),
        steps=np.asarray(run.probe_steps, float),
        loss=np.asarray(run.losses, float),
        norms=np.asarray(run.norms, float),
        ranks=np.asarray(run.ranks, float),
        pairs=np.asarray(run.pairs, float),
        learned=np.stack([np.asarray(getattr(run, value), float) for value in VALUES], axis=1),
        expected=np.log(np.maximum(targets / start, 1.0)) / pull / run.lr,
        targets=targets,
    )


def target_values(run: Any) -> Array:
    """Return the singular values of E[y x^T] of an orthogonal teacher, or none.

    Neuron k adds gain_k E[z f(norm z)] along its own directions, z standard normal.
    """
    activation = {"tanh": np.tanh, "sin": np.sin, "linear": np.positive}.get(run.teacher_activation)
    if run.teacher_directions != "orthogonal" or activation is None:
        return np.empty(0)
    nodes, weights = np.polynomial.hermite_e.hermegauss(80)
    slope = weights @ (nodes * activation(run.teacher_norm * nodes)) / weights.sum()
    gains = run.teacher_scale * run.teacher_gain_ratio ** np.arange(int(run.teacher_width))
    values: Array = gains * slope
    return values


def arm(traces: tuple[Trace, ...], activation: str, depth: int, scale: float) -> list[Trace]:
    """Return the runs of one arm, a run a seed."""
    return [t for t in traces if (t.activation, t.depth, t.scale) == (activation, depth, scale)]


def scales_of(traces: tuple[Trace, ...], activation: str, depth: int) -> list[float]:
    """Return the initial scales that there are, from the smallest."""
    return sorted({t.scale for t in traces if (t.activation, t.depth) == (activation, depth)})


def event_places(counts: Array) -> list[int]:
    """Return at which probes `counts` exceed all before, as often as they rise."""
    most = np.maximum.accumulate(counts)
    return [
        place for place in range(1, len(most)) for _ in range(int(most[place] - most[place - 1]))
    ]


def placebo_places(norms: Array, count: int) -> list[int]:
    """Return at which probes the norm of all parameters crosses `count` equally spaced levels.

    Every network whose norm changes has such events, whatever its symmetries. The levels lie
    between the first norm and the one farthest from it.
    """
    farther = np.maximum.accumulate(np.abs(norms - norms[0]))
    levels = farther[-1] * np.arange(1, count + 1) / (count + 1)
    return [int(place) for place in np.searchsorted(farther, levels)] if farther[-1] > 0 else []


def speeds(trace: Trace) -> Array:
    """Return v = -d ln loss / d ln t between each two probes that follow each other."""
    speed: Array = -np.diff(np.log(trace.loss)) / np.diff(np.log(trace.steps))
    return speed


def plateau_exits(trace: Trace) -> list[float]:
    """Return the steps at which the loss begins to fall faster than 1 / t."""
    is_fast = np.concatenate([[False], speeds(trace) > EXIT_SPEED])
    return [float(s) for s in trace.steps[1:][is_fast[1:] & ~is_fast[:-1]]]
