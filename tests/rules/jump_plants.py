"""Planted courses of training: what makes the loss jump is known.

A course has drops of the loss, a norm and events of symmetry. `KINDS` says which of them follow
which; a claim that jumps are where symmetries break is true of the first two alone.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

STEPS = np.unique(np.geomspace(1, 15000, 80).round())
LAYERS, SHARES = 4, (10, 30, 50, 70, 90)
EVENTS = LAYERS * len(SHARES)
JUMPS = 5

KINDS = {
    "symmetry": "each drop breaks symmetries, and the norm grows by itself",
    "follows": "each drop breaks symmetries, and the norm follows up to a third later",
    "both": "drops, norm and symmetries go together, as in any growing network",
    "norm": "drops follow the norm, and symmetries break at other times",
    "late": "drops follow the norm, and symmetries break a tenth of a decade later",
    "random": "drops, norm and symmetries have nothing to do with each other",
}
TRUE = ("symmetry", "follows")
"""Kinds of which the claim is true."""


class Course(NamedTuple):
    """One run over time.

    Attributes:
        losses: Loss at each of `STEPS`.
        norms: Norm of all parameters at each of them.
        pairs: Steps at which shares of the pairs break.
    """

    losses: Array
    norms: Array
    pairs: Array


def course(rng: np.random.Generator, kind: str) -> Course:
    """Return a course of a kind."""
    drops, sizes = jumps(rng)
    losses = 10.0 * np.exp(-3.0 * climb(drops, sizes)) * np.exp(1e-3 * rng.normal(size=len(STEPS)))
    with_drops = jitter(rng, drops)
    norm_jumps = with_drops if kind in ("both", "norm", "late") else jumps(rng)[0]
    if kind == "follows":
        norm_jumps = drops * np.exp(rng.uniform(0.0, 0.3, JUMPS))
    if kind in TRUE or kind == "both":
        breaks = jitter(rng, drops)
    else:
        breaks = 10**0.1 * drops if kind == "late" else jumps(rng)[0]
    norms = 1.0 + 3.0 * climb(norm_jumps, sizes)
    return Course(losses, norms, crossings(climb(breaks, sizes)))


def jumps(rng: np.random.Generator) -> tuple[Array, Array]:
    """Return random times of jumps, uniform in their logarithm, and their sizes, of sum 1."""
    sizes = rng.uniform(0.5, 1.5, JUMPS)
    return np.sort(np.exp(rng.uniform(np.log(20), np.log(8000), JUMPS))), sizes / sizes.sum()


def jitter(rng: np.random.Generator, times: Array) -> Array:
    """Return times that lie near others, up to a few per cent."""
    return times * np.exp(0.03 * rng.normal(size=len(times)))


def climb(times: Array, sizes: Array) -> Array:
    """Return a curve from 0 to 1 over `STEPS` that rises at each of some times by a size."""
    curve: Array = (sizes / (1.0 + (times / STEPS[:, None]) ** 40)).sum(axis=1)
    return curve


def crossings(curve: Array) -> Array:
    """Return the steps at which a rising curve crosses as many levels as there are events."""
    levels = curve[-1] * (np.arange(EVENTS) + 0.5) / EVENTS
    crossed: Array = STEPS[np.searchsorted(np.maximum.accumulate(curve), levels)]
    return crossed


def planted_rows(planted: Course) -> dict[str, Any]:
    """Return a course as what a run has recorded, in the columns of history and layers."""
    steps = STEPS.astype(int)
    history = [
        {"step": int(step), "train_loss": float(loss), "theta_norm": float(norm)}
        for step, loss, norm in zip(steps, planted.losses, planted.norms, strict=True)
    ]
    layers = []
    for layer in range(1, LAYERS + 1):
        own = planted.pairs[layer - 1 :: LAYERS]
        for step in (0, *steps):
            broken = {
                f"pair_distance_{share}": float(step >= at)
                for share, at in zip(SHARES, own, strict=True)
            }
            values = {f"product_value_{k}": float(step >= own[k]) for k in range(1, 5)}
            layers.append({"step": int(step), "layer": layer, "max_norm": 1.0, **broken, **values})
    last = layers.pop(len(STEPS))
    return {
        "history": history[:-1],
        "layers": layers,
        "train_loss": float(planted.losses[-1]),
        "theta_norm": float(planted.norms[-1]),
        **{name: value for name, value in last.items() if name not in ("step", "layer")},
    }
