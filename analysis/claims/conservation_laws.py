"""Conserved balances: what gradient flow keeps of linear and ReLU layers, and SGD loses as lr.

A neuron whose activation satisfies f(c z) = c f(z), c > 0, may be rescaled, so gradient flow keeps
|outgoing|^2 - |incoming|^2 - bias^2 of every such neuron. A step of gradient descent changes the
sum Q over a layer by lr^2 times the same difference of the gradients, so over a fixed time the
drift is of the order lr. With weight decay Q falls as exp(-4 gamma t), t = lr times steps. A tanh
layer has no such law.
"""

import numpy as np
from numpy.typing import NDArray

from symstudy.findings import All, Bound, Evidence, Flat, PowerLaw, claim

Array = NDArray[np.float64]

BALANCES = """
    with trained as (
        select study, run_id, layer, seed, outcome, coalesce(activation, 'linear') as activation,
               gamma, lr, lr * steps as time, arg_min(balance, step) as first,
               arg_max(balance, step) as last
        from layers
        where optimizer = 'sgd' and momentum = 0 and full_batch and schedule = 'constant'
              and dtype = 'float64'
        group by all
    ),
    runs_of as (
        select study, run_id, seed, outcome, activation, gamma, lr, time,
               sum((last - first) ** 2) as squares, count(*) as num_layers,
               max(abs(last / (first * exp(-4 * gamma * time)) - 1)) as deviation
        from trained
        group by all
    )
    select *, time / median(time) over () as relative_time,
           case when activation = 'tanh' then 'control' else 'conserving' end as kind,
           case when gamma > 0 then 'with decay' else 'without decay' end as regime
    from runs_of
"""


@claim(
    title="The balance of linear and ReLU layers is conserved",
    statement=(
        "Gradient descent keeps the squared norm of a linear or ReLU layer's outgoing weights less "
        "that of its incoming ones up to a drift of the order of the learning rate, and with "
        "weight decay multiplies it by exp(-4 gamma t); for tanh layers it is not kept."
    ),
    study="conservation_laws",
    reference="Du, Hu and Lee 2018, arXiv:1806.00900; decay and order of the drift: in the file",
)
def conservation_laws(runs: Evidence) -> All:
    """Drift of order lr without decay, exponential decay with it; tanh layers drift at any lr."""
    trained = (
        runs.of(BALANCES)
        .where("activation in ('linear', 'relu', 'tanh')")
        .done()
        .where("relative_time between 0.99 and 1.01", why="trained for another time than most")
        .per("regime", "kind", "activation", "lr", drift=root_mean_square, deviation=largest)
    )
    conserving = trained.at("kind", "conserving")
    decayed = conserving.at("regime", "with decay").at_smallest("lr")
    free, control = (
        some.at("regime", "without decay") for some in (conserving, trained.at("kind", "control"))
    )
    by = ("activation",)
    return All(
        PowerLaw(free, "drift", along="lr", by=by, exponent=1.0, within=0.1, min_places=4),
        Bound(decayed, "deviation", at_most=1e-3, by=by, name="deviation from exp(-4 gamma t)"),
        Flat(control, "drift", along="lr", within=0.5, is_upper_half=False, min_places=4),
    )


def root_mean_square(squares: Array, num_layers: Array) -> float:
    """Return the root mean square of the change of the balance over the layers of all runs."""
    return float(np.sqrt(squares.sum() / num_layers.sum()))


def largest(deviation: Array) -> float:
    """Return the deviation of the layer that is farthest from its exponential decay."""
    return float(deviation.max())
