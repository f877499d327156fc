"""Measures of the neurons of a hidden layer: norms, distances, and how many are distinct.

Of a layer whose neurons all have a norm of at most 1e-8 nothing is counted: every count is 0.

Shapes: K runs, N neurons.
"""

import torch
from torch import Tensor

from symstudy.measures.declare import measure
from symstudy.measures.views import LayerView
from symstudy.symmetry.neurons import balanced_directions, cluster_neurons
from symstudy.symmetry.neurons import breaking_sorted as count_adjacent
from symstudy.symmetry.thresholds import (
    CURVE_THRESHOLDS,
    EPSILON_DIRECTION,
    EPSILON_DYNAMICS,
    EPSILON_EXACT,
    EPSILON_RELATIVE,
)


@measure(
    kind="count",
    meaning="neurons of the layer: its width",
    recorded="always",
    invariant=("permutation", "sign_flip", "rescaling", "double_rotation", "translation"),
)
def neurons(view: LayerView) -> Tensor:
    """Return the width of the layer."""
    return torch.full_like(view.scale_K, view.group.size, dtype=torch.int64)


@measure(
    kind="number",
    meaning="norm of the largest neuron (incoming weights, bias, outgoing)",
    recorded="always",
    invariant=("permutation", "sign_flip"),
)
def max_norm(view: LayerView) -> Tensor:
    """Return the norm of the largest neuron."""
    return view.scale_K


@measure(
    kind="number",
    meaning="sum of the squared norms of the neurons",
    recorded="always",
    invariant=("permutation", "sign_flip"),
)
def squared_norm(view: LayerView) -> Tensor:
    """Return sum_i |w_i|^2."""
    return view.norms_KN.square().sum(dim=1)


@measure(
    kind="count",
    meaning="broken pairs among neurons adjacent in norm: the paper's degree of symmetry breaking",
    source="arXiv:2502.05300, Eq. 14",
    recorded="always",
    invariant=("permutation", "sign_flip"),
)
def breaking_sorted(view: LayerView) -> Tensor:
    """Return how many pairs adjacent in norm are broken at 0.02 of the largest norm."""
    return count_adjacent(
        view.neurons_KND, view.threshold(EPSILON_RELATIVE), reversible=view.reversible
    )


@measure(
    kind="count",
    meaning="single-linkage clusters of neurons without the dead one, at 0.02 of the largest norm",
    source="exact form of arXiv:2502.05300, Eq. 14",
    recorded="always",
    invariant=("permutation", "sign_flip"),
)
def distinct_neurons(view: LayerView) -> Tensor:
    """Return the number of clusters that the origin is not in."""
    return view.clusters.count_above(view.threshold(EPSILON_RELATIVE))


@measure(
    kind="count",
    meaning="clusters of neurons at 1e-6 of the largest norm: one for neurons equal up to "
    "round-off",
    source="arXiv:2502.05300, Theorem 3",
    recorded="always",
    invariant=("permutation", "sign_flip"),
)
def distinct_exact(view: LayerView) -> Tensor:
    """Return the number of clusters of equal neurons."""
    return view.clusters.count_above(view.threshold(EPSILON_EXACT))


@measure(
    kind="count",
    meaning="neurons with a norm above 0.02 of the largest",
    recorded="always",
    invariant=("permutation", "sign_flip"),
)
def living_neurons(view: LayerView) -> Tensor:
    """Return how many neurons are above the threshold."""
    is_living_KN: Tensor = view.norms_KN > view.threshold(EPSILON_RELATIVE)[:, None]
    return is_living_KN.sum(dim=1)


@measure(
    kind="number",
    meaning="smallest distance of two living neurons of different clusters",
    source="arXiv:2502.05300, Conjecture 1",
    recorded="always",
    invariant=("permutation", "sign_flip"),
)
def min_distance(view: LayerView) -> Tensor:
    """Return the gap between clusters, NaN where there are no two living neurons to compare."""
    return view.clusters.gaps_K


@measure(
    kind="number",
    meaning="smallest distance of two living neurons that a gap of the merge heights tells from "
    "copies; null without a gap",
    source="arXiv:2502.05300, Conjecture 1; single linkage, Gower and Ross 1969",
    recorded="always",
    invariant=("permutation", "sign_flip"),
)
def distance_gap(view: LayerView) -> Tensor:
    """Return the distance of distinct neurons, NaN where nothing tells them from copies."""
    thresholds_K = view.gap.thresholds_K
    if bool(thresholds_K.isinf().all()):
        return torch.full_like(thresholds_K, torch.nan)
    clusters = cluster_neurons(view.neurons_KND, thresholds_K, reversible=view.reversible)
    return clusters.gaps_K


@measure(
    kind="number",
    meaning="height at which the first distinct neurons merge over the last at which copies do: a "
    "gap from 10 on; without one the largest ratio of two heights next to each other",
    source="single linkage, Gower and Ross 1969",
    recorded="always",
    invariant=("permutation", "sign_flip"),
)
def gap_ratio(view: LayerView) -> Tensor:
    """Return the ratio of the merge heights on both sides of the gap."""
    return view.gap.ratios_K


@measure(
    kind="number",
    meaning="largest height at which copies of a neuron merge, over the largest norm: the noise of "
    "training or of the solver; null without a gap",
    recorded="always",
    invariant=("permutation", "sign_flip"),
)
def copy_spread(view: LayerView) -> Tensor:
    """Return how far copies are apart."""
    return view.gap.copies_K / view.scale_K.cpu()


@measure(
    kind="curve",
    meaning="distinct neurons at the relative thresholds 0.001, 0.003, 0.01, 0.02, 0.03, 0.1, 0.3",
    source="exact form of arXiv:2502.05300, Eq. 14",
    recorded="always",
    invariant=("permutation", "sign_flip"),
)
def distinct_curve(view: LayerView) -> Tensor:
    """Return a column a threshold: a count depends on its threshold."""
    counts = [view.clusters.count_above(view.threshold(each)) for each in CURVE_THRESHOLDS]
    return torch.stack(counts, dim=1)


@measure(
    kind="count",
    meaning="clusters of balanced directions; for ReLU and linear neurons only",
    source="neurons modulo rescaling, arXiv:2502.05300, Table 1",
    recorded="always",
    invariant=("permutation", "sign_flip", "rescaling"),
)
def distinct_directions(view: LayerView) -> Tensor:
    """Return the number of clusters of balanced directions, or -1 where they mean nothing."""
    if not view.group.homogeneous:
        return torch.full_like(view.scale_K, -1, dtype=torch.int64)
    points = balanced_directions(*view.sides)
    threshold_K = torch.full_like(view.scale_K, EPSILON_DIRECTION)
    clusters = cluster_neurons(points, threshold_K, reversible=view.reversible)
    return torch.where(view.is_alive_K.cpu(), clusters.count_above(threshold_K), 0)


@measure(
    kind="number",
    meaning="squared norm of the outgoing weights less that of the incoming ones and biases: "
    "constant in gradient flow for linear and ReLU neurons",
    source="Du, Hu and Lee 2018, arXiv:1806.00900, Theorem 2.1",
    recorded="always",
    invariant=("permutation", "sign_flip"),
)
def balance(view: LayerView) -> Tensor:
    """Return |outgoing|^2 - |incoming|^2."""
    incoming, outgoing = view.sides
    return outgoing.square().sum(dim=(1, 2)) - incoming.square().sum(dim=(1, 2))


@measure(
    kind="count",
    meaning="neurons with |incoming| |outgoing| above 0.02 of the largest, whatever the activation",
    source="arXiv:2502.05300, Fig. 10, counted by contribution",
    invariant=("permutation", "sign_flip", "rescaling"),
)
def contributing_neurons(view: LayerView) -> Tensor:
    """Return how many neurons have a product of incoming and outgoing norm near the largest.

    Under noise without weight decay a neuron that does nothing may keep one side, so that its norm
    as a vector says little.
    """
    into, out = view.sides
    strength_KN = into.norm(dim=2) * out.norm(dim=2)
    threshold_K1 = EPSILON_RELATIVE * strength_KN.amax(dim=1, keepdim=True)
    is_contributing_KN: Tensor = strength_KN > threshold_K1
    return is_contributing_KN.sum(dim=1) * view.is_alive_K


@measure(
    kind="count",
    meaning="broken pairs among neurons adjacent in norm, at the absolute threshold 0.1",
    source="arXiv:2502.05300, Eq. 14 and Fig. 2",
    invariant=("permutation", "sign_flip"),
)
def breaking_sorted_absolute(view: LayerView) -> Tensor:
    """Return how many pairs adjacent in norm lie farther apart than an absolute threshold."""
    threshold_K = torch.full_like(view.scale_K, EPSILON_DYNAMICS)
    return count_adjacent(view.neurons_KND, threshold_K, reversible=view.reversible)
