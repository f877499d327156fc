"""Neurons as vectors, and how many of them are distinct.

A neuron is the vector of its incoming weights, its bias and its outgoing weights. Swapping two
neurons of a layer leaves the network's function as it is; a pair is symmetric where both are equal,
and broken by the distance |w_i - w_j| / sqrt(2) to that state.

Shapes: K runs, N neurons, D numbers of a neuron, P parameters.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from symstudy.kernels.spanning_tree import neuron_clusters
from symstudy.layout import Block, Layout, NeuronGroup
from symstudy.symmetry.thresholds import EPSILON_EXACT, EPSILON_RELATIVE, LEAST_GAP

__all__ = [
    "CopyGap",
    "NeuronClusters",
    "adjacent_distances",
    "balanced_directions",
    "breaking_sorted",
    "cluster_neurons",
    "copy_gap",
    "is_entering",
    "neuron_matrix",
    "neuron_sides",
    "parameter_factors",
    "rescaling_factors",
    "reversible_numbers",
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


def parameter_factors(
    layout: Layout, entering: Mapping[str, Tensor], leaving: Mapping[str, Tensor]
) -> Float[Tensor, "runs parameters"]:
    """Return what each parameter is multiplied by when neurons are rescaled.

    Args:
        layout: Of the model.
        entering: Factors `[runs, neurons]` of rows that enter a group, by its name.
        leaving: Factors `[runs, neurons]` of what leaves it.
    """
    runs = next((factors.shape[0] for factors in entering.values()), 1)
    pieces = []
    for block in layout.blocks:
        factor = torch.ones(runs, *block.shape, dtype=torch.float64)
        for axis, label in enumerate(block.axes):
            side = entering if is_entering(layout, block, axis) else leaving
            if label in side:
                shape = [runs, *[1] * len(block.shape)]
                shape[1 + axis] = -1
                factor = factor * side[label].cpu().view(shape)
        pieces.append(factor.flatten(1))
    return torch.cat(pieces, dim=1)


def is_entering(layout: Layout, block: Block, axis: int) -> bool:
    """Return whether the neurons along an axis of `block` are those that it enters."""
    label = block.axes[axis]
    named = {group.name: group.incoming_blocks for group in layout.groups if group.incoming_blocks}
    return block.name in named[label] if label in named else axis == 0


def rescaling_factors(
    layout: Layout, groups: Sequence[NeuronGroup], xi_KG: Float[Tensor, "runs neurons"]
) -> Float[Tensor, "runs parameters"]:
    """Return what each parameter is multiplied by under the rescaling (u, w) -> (e^xi u, e^-xi w).

    Args:
        layout: Of the model.
        groups: Of homogeneous neurons.
        xi_KG: Logarithms of the scales of all their neurons, side by side; gradients flow.
    """
    pieces = torch.split(xi_KG, [group.size for group in groups], dim=1)
    entering = {group.name: xi.exp() for group, xi in zip(groups, pieces, strict=True)}
    leaving = {group.name: (-xi).exp() for group, xi in zip(groups, pieces, strict=True)}
    return parameter_factors(layout, entering, leaving).to(xi_KG)


def last_axis(block: Block, label: str) -> int:
    """Return the last axis of `block` called `label`: the one that reads, of a square block."""
    return len(block.axes) - 1 - block.axes[::-1].index(label)


def neuron_matrix(
    layout: Layout, group: NeuronGroup, theta_KP: Float[Tensor, "runs parameters"]
) -> Float[Tensor, "runs neurons dims"]:
    """Return the neurons of `group` as rows (incoming weights, bias, outgoing weights)."""
    return torch.cat(neuron_sides(layout, group, theta_KP), dim=2)


def reversible_numbers(group: NeuronGroup, incoming: int, outgoing: int) -> int:
    """Return how many of a neuron's first numbers may change sign together.

    Args:
        group: Of the neuron.
        incoming: How many numbers enter a neuron; they are its first.
        outgoing: How many leave it.

    Returns:
        All for an odd activation, those that enter for an even one, 0 for others.
    """
    if group.odd:
        return incoming + outgoing
    return incoming if group.even else 0


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
    reversible: int,
) -> NeuronClusters:
    """Return the clusters of the rows of `points_KND`; the work is done on the CPU.

    Args:
        points_KND: Neurons or directions; finite.
        thresholds_K: Threshold of each run for the gap between clusters.
        reversible: How many of a neuron's first numbers may change sign together
            (`reversible_numbers`).

    Returns:
        Edges and gaps in float64.
    """
    points = points_KND.detach().double().cpu().contiguous().numpy()
    edges = np.empty(points.shape[:2])
    gaps = np.empty(points.shape[0])
    thresholds = thresholds_K.detach().double().cpu().contiguous().numpy()
    neuron_clusters(points, reversible, thresholds, edges, gaps)
    return NeuronClusters(torch.from_numpy(edges), torch.from_numpy(gaps))


class CopyGap(NamedTuple):
    """The gap in the merge heights of a layer, between copies of neurons and distinct neurons.

    Attributes:
        ratios_K: First height above the gap over the last below it; where there is no gap the
            largest ratio of two heights next to each other. NaN for a dead layer or one neuron.
        copies_K: Largest height below the gap, NaN without a gap.
        thresholds_K: Geometric mean of the heights on both sides, infinite without a gap.
    """

    ratios_K: Float[Tensor, " runs"]
    copies_K: Float[Tensor, " runs"]
    thresholds_K: Float[Tensor, " runs"]


def copy_gap(edges_KN: Float[Tensor, "runs neurons"], scale_K: Float[Tensor, " runs"]) -> CopyGap:
    """Return the lowest gap in the edges of the spanning trees of neurons.

    The edges are the heights at which single linkage merges clusters. Copies of a neuron differ by
    the noise of training or by round-off, and merge first; where a height is `LEAST_GAP` times the
    one before, what merges from there on is distinct at any threshold in between. Heights below
    `EPSILON_EXACT` of the largest norm are round-off and count as that. A layer without copies has
    no gap: nothing tells how large the noise is.

    Args:
        edges_KN: Edges of each run, in any order, on the CPU.
        scale_K: Norm of each run's largest neuron; 0 for a dead layer.

    References:
        Gower and Ross 1969 (single linkage and spanning trees).
    """
    scale_K1 = scale_K.to(edges_KN)[:, None]
    sorted_KN = edges_KN.sort(dim=1).values
    heights_KN = torch.maximum(sorted_KN, EPSILON_EXACT * scale_K1)
    nothing = torch.full((len(edges_KN),), torch.nan, dtype=edges_KN.dtype)
    if edges_KN.shape[1] < 2:  # one height has no neighbour
        return CopyGap(nothing, nothing, torch.full_like(nothing, torch.inf))
    ratios_KM = heights_KN[:, 1:] / heights_KN[:, :-1]
    is_gap_KM = ratios_KM >= LEAST_GAP
    has_gap_K = is_gap_KM.any(dim=1) & (scale_K1[:, 0] > 0)
    place_K = torch.where(has_gap_K, is_gap_KM.int().argmax(dim=1), ratios_KM.argmax(dim=1))
    below_K, above_K = taken(heights_KN[:, :-1], place_K), taken(heights_KN[:, 1:], place_K)
    middle_K = (below_K * above_K).sqrt()
    return CopyGap(
        torch.where(scale_K1[:, 0] > 0, taken(ratios_KM, place_K), nothing),
        torch.where(has_gap_K, taken(sorted_KN[:, :-1], place_K), nothing),
        torch.where(has_gap_K, middle_K, torch.inf),
    )


def taken(
    values_KM: Float[Tensor, "runs places"], place_K: Int64[Tensor, " runs"]
) -> Float[Tensor, " runs"]:
    """Return the value of each run at its place."""
    return values_KM.gather(1, place_K[:, None])[:, 0]


def breaking_sorted(
    neurons_KND: Float[Tensor, "runs neurons dims"],
    thresholds_K: Float[Tensor, " runs"],
    *,
    reversible: int,
) -> Int64[Tensor, " runs"]:
    """Return how many pairs of neurons adjacent in norm are broken: the paper's O(N) measure.

    The neurons are sorted by norm and only neighbours are compared, so equal neurons that another
    of the same norm separates are counted as broken: an upper bound on the number of clusters less
    one.

    References:
        arXiv:2502.05300, Eq. 14 and the text after it.
    """
    distances_KP = adjacent_distances(neurons_KND, reversible=reversible)
    is_broken: Tensor = distances_KP > thresholds_K[:, None]
    return is_broken.sum(dim=1)


def adjacent_distances(
    neurons_KND: Float[Tensor, "runs neurons dims"], *, reversible: int
) -> Float[Tensor, "runs pairs"]:
    """Return the symmetry-breaking distance of each pair of neurons adjacent in norm.

    It is |w_i - w_j| / sqrt(2), of the nearer sign where the first `reversible` numbers of a neuron
    may change theirs.

    References:
        arXiv:2502.05300, Eqs. 3 and 14.
    """
    order_KN = neurons_KND.norm(dim=2).argsort(dim=1, stable=True)
    sorted_KND = torch.gather(neurons_KND, 1, order_KN[:, :, None].expand_as(neurons_KND))
    upper, lower = sorted_KND[:, 1:], sorted_KND[:, :-1]
    distance: Tensor = (upper - lower).norm(dim=2)
    if reversible:
        turned = torch.cat([-lower[:, :, :reversible], lower[:, :, reversible:]], dim=2)
        distance = torch.minimum(distance, (upper - turned).norm(dim=2))
    return distance / 2**0.5
