import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import cdist, squareform

from symstudy.kernels.spanning_tree import neuron_clusters

points_of = npst.arrays(
    np.float64,
    st.tuples(st.integers(2, 12), st.integers(1, 4)),
    elements=st.floats(-3, 3, width=16),
)


def clusters(points, threshold, reversible=0):
    edges = np.empty((1, len(points)))
    gaps = np.empty(1)
    neuron_clusters(points[None].copy(), reversible, np.array([threshold]), edges, gaps)
    return edges[0], gaps[0]


def brute_force(points, threshold, reversible):
    """Count clusters with scipy: the origin is one more point, at its own distance."""
    n = len(points)
    distance = cdist(points, points)
    turned = points.copy()
    turned[:, :reversible] *= -1.0
    distance = np.minimum(distance, cdist(points, turned))
    full = np.zeros((n + 1, n + 1))
    full[:n, :n] = distance / np.sqrt(2)
    full[n, :n] = full[:n, n] = np.linalg.norm(points, axis=1)
    np.fill_diagonal(full, 0.0)
    labels = fcluster(linkage(squareform(full), "single"), threshold, "distance")
    # A neuron above the threshold may be in the origin's cluster, through others in between.
    living = np.linalg.norm(points, axis=1) > threshold
    pairs = [
        distance[i, j]
        for i in range(n)
        for j in range(i)
        if living[i] and living[j] and labels[i] != labels[j]
    ]
    return len(set(labels)) - 1, min(pairs, default=np.nan)


@pytest.mark.parametrize("reversible", [0, 1, 2, 4])
@given(points=points_of, threshold=st.floats(0.05, 2.0))
def test_edges_and_gap_agree_with_single_linkage(reversible, points, threshold):
    edges, gap = clusters(points, threshold, reversible)
    # A threshold that falls on an edge to the last bit is decided by round-off.
    near = np.concatenate([edges, np.linalg.norm(points, axis=1)])
    if np.abs(near - threshold).min() < 1e-6:
        return
    count, smallest = brute_force(points, threshold, reversible)
    assert (edges > threshold).sum() == count
    np.testing.assert_allclose(gap, smallest, atol=1e-6)


def test_lanes_do_not_mix():
    rng = np.random.default_rng(0)
    points = rng.normal(size=(5, 9, 3))
    edges, gaps = np.empty((5, 9)), np.empty(5)
    neuron_clusters(points, 0, np.full(5, 0.5), edges, gaps)
    for lane in range(5):
        alone, gap = clusters(points[lane], 0.5)
        np.testing.assert_array_equal(edges[lane], alone)
        np.testing.assert_array_equal(gaps[lane], gap)
