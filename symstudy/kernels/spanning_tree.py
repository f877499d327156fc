"""Minimum spanning trees of points: single-linkage clusters at every threshold.

Reference: Gower and Ross 1969, "Minimum spanning trees and single linkage cluster analysis": the
number of clusters at a threshold is one more than the number of edges above it.
"""

import math

import numpy as np
from numpy.typing import NDArray

from symstudy.kernels.jit import compiled_allocating
from symstudy.kernels.tiles import matmul, padded


@compiled_allocating
def squared_distances(points: NDArray[np.float64], reversible: int) -> NDArray[np.float64]:
    """Return the squared distances `[n, n']` of the rows of `points[n, d]`, n' = n padded.

    The first `reversible` numbers of a point may change sign together, which gives the same point:
    with d of them the distance is the smaller of |a - b| and |a + b|. The error of a distance is
    about 1e-8 of the points' norms, since squares are taken apart.
    """
    n, d = points.shape
    wide = padded(n, 8)
    across = np.zeros(d * wide + 8)
    norms = np.zeros(n)
    for i in range(n):
        for j in range(d):
            across[j * wide + i] = points[i, j]
            norms[i] += points[i, j] * points[i, j]
    out = np.zeros(n * wide + 8)
    zero = np.int64(0)
    one = np.int64(1)
    flat = points.reshape(-1)
    matmul(out, zero, wide, flat, zero, d, one, across, zero, wide, n, wide, d, zero)
    square = out[: n * wide].reshape(n, wide)
    is_partly = 0 < reversible < d
    other = np.zeros(n * wide + 8 if is_partly else 0)
    if is_partly:
        turned = points.copy()
        for i in range(n):
            for j in range(reversible):
                turned[i, j] = -turned[i, j]
        matmul(
            other,
            zero,
            wide,
            turned.reshape(-1),
            zero,
            d,
            one,
            across,
            zero,
            wide,
            n,
            wide,
            d,
            zero,
        )
    for i in range(n):
        for j in range(n):
            inner = abs(square[i, j]) if reversible >= d else square[i, j]
            if is_partly:
                inner = max(inner, other[i * wide + j])
            square[i, j] = max(norms[i] + norms[j] - 2.0 * inner, 0.0)
        square[i, i] = 0.0
    return square


@compiled_allocating
def neuron_clusters(
    points: NDArray[np.float64],
    reversible: int,
    thresholds: NDArray[np.float64],
    edges: NDArray[np.float64],
    gaps: NDArray[np.float64],
) -> None:
    """Fill the tree's edges and the gap between clusters, lane by lane.

    The tree spans a lane's points and the origin. Two points are |a - b| / sqrt(2) apart, which is
    the symmetry-breaking distance of a pair of neurons, and a point and the origin its norm. So the
    number of edges above a threshold is the number of clusters that the origin does not belong to.

    Args:
        points: Neurons `[lanes, n, d]`, contiguous.
        reversible: How many of a point's first numbers may change sign together: 0 for none, d for
            a point that is one with its negative.
        thresholds: Threshold of each lane for `gaps`.
        edges: Written `[lanes, n]`: entry i is the edge by which point i joined the tree.
        gaps: Written `[lanes]`: the smallest |a - b| of two points of different clusters at the
            lane's threshold, both with a norm above it; NaN where there are no two such points. A
            point above the threshold may belong to the origin's cluster, through others between.
    """
    lanes, n, d = points.shape
    nearest = np.empty(n)
    parent = np.empty(n, np.int64)
    reached = np.empty(n, np.bool_)
    label = np.empty(n, np.int64)
    living = np.empty(n, np.bool_)
    for k in range(lanes):
        square = squared_distances(points[k], reversible)
        for i in range(n):
            norm = 0.0
            for j in range(d):
                norm += points[k, i, j] * points[k, i, j]
            nearest[i] = norm
            living[i] = math.sqrt(norm) > thresholds[k]
            parent[i] = -1
            reached[i] = False
        clusters = 0
        for _ in range(n):
            best = -1
            for i in range(n):
                if not reached[i] and (best < 0 or nearest[i] < nearest[best]):
                    best = i
            reached[best] = True
            edge = math.sqrt(nearest[best])
            edges[k, best] = edge
            if edge > thresholds[k]:
                clusters += 1
                label[best] = clusters
            else:
                label[best] = label[parent[best]] if parent[best] >= 0 else 0
            line = square[best]
            for i in range(n):
                if 0.5 * line[i] < nearest[i] and not reached[i]:
                    nearest[i] = 0.5 * line[i]
                    parent[i] = best
        smallest = np.inf
        for i in range(n):
            if living[i]:
                for j in range(i):
                    if living[j] and label[i] != label[j]:
                        smallest = min(smallest, square[i, j])
        gaps[k] = math.sqrt(smallest) if smallest < np.inf else np.nan
