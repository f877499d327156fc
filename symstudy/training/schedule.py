"""Learning rates over time, and how much a signal-free neuron has shrunk.

Shapes: K runs, S steps.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from symstudy.schedules import AbstractSchedule
from symstudy.study.train import Train

__all__ = ["decay_budget", "learning_rates", "probe_steps"]


def learning_rates(
    trains: Sequence[Train], first: int, count: int
) -> Float[np.ndarray, "runs steps"]:
    """Return the learning rate of each run at steps `first` .. `first` + `count` - 1."""
    steps = np.arange(first, first + count)
    shares: dict[tuple[AbstractSchedule, int], NDArray[np.float64]] = {}
    rows = []
    for train in trains:
        key = (train.schedule, train.steps)
        if key not in shares:
            shares[key] = train.schedule.shares(steps, train.steps)
        rows.append(train.lr * shares[key])
    return np.stack(rows)


def decay_budget(
    trains: Sequence[Train],
    steps: NDArray[np.int64],
    slowest_K: Float[np.ndarray, " runs"] | None = None,
) -> Float[np.ndarray, "runs probes"]:
    """Return B_wd = 2 gamma sum_t lr_eff(t) of each run after each of `steps` steps.

    A neuron without a signal has shrunk by exp(-B_wd); counts of neurons mean little below 6. With
    momentum beta, lr_eff = lr / (1 - beta). Adam's step does not scale with the gradient, so its
    coupled decay has no such budget: NaN. AdamW's decoupled one has. A minimiser has none either:
    whether it has converged is what `grad_ratio` says.

    Args:
        trains: Of each run.
        steps: Number of steps of each probe.
        slowest_K: Factor of the width rules of muP on the rate of the slowest weights of each run;
            1 for all if None.

    Returns:
        Dimensionless numbers, 0 before the first step.
    """
    every = np.arange(max(int(steps.max()), 1))
    factors = [1.0] * len(trains) if slowest_K is None else slowest_K.tolist()
    rows = []
    for train, slowest in zip(trains, factors, strict=True):
        effective = slowest * train.optimizer.effective_rate(train.lr)
        if np.isnan(effective):
            rows.append(np.full(len(steps), np.nan if train.gamma > 0 else 0.0))
            continue
        shares = train.schedule.shares(every, train.steps)
        total = np.concatenate([[0.0], np.cumsum(shares)])
        rows.append(2.0 * train.gamma * effective * total[steps])
    return np.stack(rows)


def probe_steps(steps: int, num: int, detail: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return the probes of a training of `steps` steps, and which of them are detailed.

    Probes are log-spaced, from the initialisation (0) to the end; a short training has fewer.

    Args:
        steps: Optimiser steps.
        num: Probes wanted, at least 2.
        detail: Detailed probes wanted, the last probe first.
    """
    if steps == 0:
        return np.zeros(1, np.int64), np.ones(1, bool)
    # From the end: a single point of geomspace is its first.
    spaced = np.geomspace(steps, 1, num - 1).round().astype(np.int64)
    probes = np.unique(np.concatenate([[0], spaced]))
    places = np.linspace(0, len(probes) - 1, min(detail, len(probes))).round().astype(int)
    is_detailed = np.zeros(len(probes), bool)
    is_detailed[places] = True
    is_detailed[-1] = True
    if detail == 1:
        is_detailed[:-1] = False
    return probes, is_detailed
