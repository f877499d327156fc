"""Neurons as vectors, and how many of them are distinct.

A neuron is the vector of its incoming weights, its bias and its outgoing weights. Swapping two
neurons of a layer leaves the network's function as it is; a pair is symmetric where both are equal,
and broken by the distance |w_i - w_j| / sqrt(2) to that state.

Shapes: K runs, N neurons, D numbers of a neuron, P parameters.
"""

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from symstudy.kernels.spanning_tree import neuron_clusters
from symstudy.layout import Block, Layout, NeuronGroup
from symstudy.symmetry.thresholds import EPSILON_RELATIVE

__all__ = [
    "NeuronClusters",
    "balanced_directions",
    "breaking_sorted",
    "cluster_neurons",
    "neuron_matrix",
    "neuron_sides",
]


class NeuronClusters(NamedTuple):
    """The single-linkage clusters of the neurons of a layer, at every threshold.

    Attributes:
        edges_KN: Edges of the minimum spanning tree of the neurons and the origin; how many lie
            above a threshold is the number of distinct living neurons at that threshold.
        gaps_K: Smallest distance |w_i - w_j| of living neurons of different clusters at the
            threshold given, NaN where there are no two.
    """

    edges_KN: Float[Tensor, "runs neurons"]
    gaps_K: Float[Tensor, " runs"]

    def count_above(self, thresholds_K: Float[Tensor, " runs"]) -> Int64[Tensor, " runs"]:
        """Return the number of distinct living neurons at each run's threshold."""
        # The edges lie on the CPU, wherever the pack is.
        return (self.edges_KN > thresholds_K.to(self.edges_KN.device)[:, None]).sum(dim=1)


def unpack(theta_KP: Float[Tensor, "runs parameters"], block: Block) -> Tensor:
    """Return the parameters of `block` in their shape, with the run axis first."""
    return theta_KP[:, block.offset : block.stop].reshape(theta_KP.shape[0], *block.shape)


def neuron_sides(
    layout: Layout, group: NeuronGroup, theta_KP: Float[Tensor, "runs parameters"]
) -> tuple[Float[Tensor, "runs neurons incoming"], Float[Tensor, "runs neurons outgoing"]]:
    """Return what enters each neuron (weights, bias) and what leaves it.

    Args:
        layout: Of the model.
        group: Neurons of one layer.
        theta_KP: Flat parameters.

    Returns:
        Incoming and outgoing vectors, a row a neuron.
    """
    incoming = [
        unpack(theta_KP, block).movedim(1 + block.axes.index(group.name), 1).flatten(2)
        for block in layout.incoming(group)
        if len(block.shape) > 1
    ]
    incoming += [
        unpack(theta_KP, block)[:, :, None]
        for block in layout.incoming(group)
        if len(block.shape) == 1
    ]
    outgoing = [
        unpack(theta_KP, block).movedim(1 + last_axis(block, group.name), 1).flatten(2)
        for block in layout.outgoing(group)
    ]
    return torch.cat(incoming, dim=2), torch.cat(outgoing, dim=2)


def last_axis(block: Block, label: str) -> int:
    """Return the last axis of `block` called `label`: the one that reads, of a square block."""
    return len(block.axes) - 1 - block.axes[::-1].index(label)


def neuron_matrix(
    layout: Layout, group: NeuronGroup, theta_KP: Float[Tensor, "runs parameters"]
) -> Float[Tensor, "runs neurons dims"]:
    """Return the neurons of `group` as rows (incoming weights, bias, outgoing weights)."""
    return torch.cat(neuron_sides(layout, group, theta_KP), dim=2)


def balanced_directions(
    incoming_KNI: Float[Tensor, "runs neurons incoming"],
    outgoing_KNO: Float[Tensor, "runs neurons outgoing"],
) -> Float[Tensor, "runs neurons dims"]:
    """Return each homogeneous neuron's direction once both its sides have equal norms.

    A ReLU neuron may be rescaled, (u, w) -> (c u, w / c), so distances of raw neurons mean nothing;
    the balanced representative of its orbit is unique up to that. Neurons whose balanced squared
    norm
    2 |u| |w| is at most `EPSILON_RELATIVE` of the layer's largest become the zero vector.

    Returns:
        Unit rows, or zero rows for dead neurons.
    """
    into_KN = incoming_KNI.norm(dim=2)
    out_KN = outgoing_KNO.norm(dim=2)
    strength_KN = into_KN * out_KN
    alive_KN = strength_KN > EPSILON_RELATIVE * strength_KN.amax(dim=1, keepdim=True)
    rows = torch.cat(
        [incoming_KNI / into_KN[:, :, None], outgoing_KNO / out_KN[:, :, None]], dim=2
    ) * (0.5**0.5)
    return torch.where(alive_KN[:, :, None], rows, 0.0)


def cluster_neurons(
    points_KND: Float[Tensor, "runs neurons dims"],
    thresholds_K: Float[Tensor, " runs"],
    *,
    signed: bool,
) -> NeuronClusters:
    """Return the clusters of the rows of `points_KND`; the work is done on the CPU.

    Args:
        points_KND: Neurons or directions; finite.
        thresholds_K: Threshold of each run for the gap between clusters.
        signed: Whether a neuron and its negative are one, as for an odd activation.

    Returns:
        Edges and gaps in float64.
    """
    points = points_KND.detach().double().cpu().contiguous().numpy()
    edges = np.empty(points.shape[:2])
    gaps = np.empty(points.shape[0])
    thresholds = thresholds_K.detach().double().cpu().contiguous().numpy()
    neuron_clusters(points, signed, thresholds, edges, gaps)
    return NeuronClusters(torch.from_numpy(edges), torch.from_numpy(gaps))


def breaking_sorted(
    neurons_KND: Float[Tensor, "runs neurons dims"],
    thresholds_K: Float[Tensor, " runs"],
    *,
    signed: bool,
) -> Int64[Tensor, " runs"]:
    """Return how many pairs of neurons adjacent in norm are broken: the paper's O(N) measure.

    The neurons are sorted by norm and only neighbours are compared, so equal neurons that another
    of the same norm separates are counted as broken: an upper bound on the number of clusters less
    one.

    References:
        arXiv:2502.05300, Eq. 14 and the text after it.
    """
    order_KN = neurons_KND.norm(dim=2).argsort(dim=1, stable=True)
    sorted_KND = torch.gather(neurons_KND, 1, order_KN[:, :, None].expand_as(neurons_KND))
    upper, lower = sorted_KND[:, 1:], sorted_KND[:, :-1]
    distance = (upper - lower).norm(dim=2)
    if signed:
        distance = torch.minimum(distance, (upper + lower).norm(dim=2))
    is_broken: Tensor = distance / 2**0.5 > thresholds_K[:, None]
    return is_broken.sum(dim=1)
