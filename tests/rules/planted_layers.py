"""Layers of neurons whose closest distinct pair is as far apart as a law of gamma says.

Of each layer the merge heights are worked out as they are of a trained one, so that the statistic
of Conjecture 1 and its rule are tried together.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from symstudy.symmetry.neurons import cluster_neurons, copy_gap

__all__ = ["GAMMAS", "LAWS", "Law", "measured_distances"]

Array = NDArray[np.float64]
GAMMAS = np.geomspace(1e-3, 0.3, 8)
"""Weight decays of the studies of the conjecture."""
FAR = 6
"""Distinct neurons of norm 1 at right angles; the closest pair is one of them and a seventh."""
COPIES = 3
WIDEST = 0.3
"""Distance of pairs whose distance does not depend on gamma."""


class Law(NamedTuple):
    """How the distance of the closest pair goes with gamma.

    Attributes:
        holds: Whether the distance stays above some c gamma, whatever gamma.
        distance: From the weight decays and a generator, a seed at a time, to distances; 0 where
            the pair has become one.
    """

    holds: bool
    distance: Callable[[Array, np.random.Generator], Array]


def power(exponent: float) -> Law:
    """Return a distance that is a power of gamma, `WIDEST` at the largest."""
    return Law(exponent <= 1.0, lambda g, rng: WIDEST * (g / g[-1]) ** exponent)


def smooth(low: float, high: float) -> Law:
    """Return a distance that ends as a root at a gamma of each seed's own, from low to high."""

    def distance(gammas: Array, rng: np.random.Generator) -> Array:
        end = np.exp(rng.uniform(np.log(low), np.log(high)))
        left: Array = np.maximum(1.0 - gammas / end, 0.0)
        return WIDEST * left**0.5

    return Law(False, distance)


def stepping(gammas: Array, rng: np.random.Generator) -> Array:
    """Return a distance that is three times smaller beyond a gamma, and stays above gamma / 3."""
    end = np.exp(rng.uniform(np.log(gammas[1]), np.log(gammas[-2])))
    return np.where(gammas < end, 1.5, 0.5) * WIDEST


LAWS = {
    "0": power(0.0),
    "1/2": power(0.5),
    "1 (c gamma)": power(1.0),
    "a step down to another distance": Law(True, stepping),
    "2": power(2.0),
    "root that ends within the sweep": smooth(GAMMAS[2], GAMMAS[-1]),
    "root that ends just beyond it": smooth(1.02 * GAMMAS[-1], 1.3 * GAMMAS[-1]),
    "1.25, the end of the range": power(1.25),
}
"""Laws by name."""


def measured_distances(distances: Array, spread: float, rng: np.random.Generator) -> Array:
    """Return the distance above the gap of merge heights of a layer for each of `distances`.

    Args:
        distances: Of the closest pair; 0 where it has become one.
        spread: Of copies of a neuron, in each coordinate.
        rng: Draws the copies.

    Returns:
        Distances; NaN where nothing tells distinct neurons from copies.
    """
    flat = distances.ravel()
    neurons = np.zeros((len(flat), FAR + 1, FAR + 1))
    neurons[:, np.arange(FAR), np.arange(FAR)] = 1.0
    neurons[:, FAR, 0] = 1.0
    neurons[:, FAR, FAR] = flat
    copies = np.repeat(neurons, COPIES, axis=1)
    copies += spread * rng.normal(size=copies.shape)
    points = torch.from_numpy(copies)
    scale = points.norm(dim=2).amax(dim=1)
    edges = cluster_neurons(points, torch.zeros(len(flat)), reversible=0).edges_KN
    thresholds = copy_gap(edges, scale).thresholds_K
    found = cluster_neurons(points, thresholds, reversible=0).gaps_K.numpy()
    return np.where(np.isinf(thresholds.numpy()), np.nan, found).reshape(distances.shape)
