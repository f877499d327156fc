"""All measures of one hidden layer of a pack, sharing what they have in common."""

from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor

from symstudy.layout import Layout, NeuronGroup
from symstudy.symmetry.neurons import (
    NeuronClusters,
    balanced_directions,
    breaking_sorted,
    cluster_neurons,
    neuron_sides,
    unpack,
)
from symstudy.symmetry.ranks import (
    effective_rank,
    singular_values,
    smallest_above,
    threshold_rank,
)
from symstudy.symmetry.thresholds import (
    CURVE_THRESHOLDS,
    EPSILON_DIRECTION,
    EPSILON_EXACT,
    EPSILON_RELATIVE,
    RANK_THRESHOLD,
)

__all__ = ["LayerView", "measure_layer"]


class LayerView:
    """One hidden layer of a pack, with the quantities that several measures need.

    Args of the constructor: the model's layout, the layer's neuron group, the flat parameters
    `[runs, parameters]` and the layer's activations `[runs, samples, neurons]`, all finite.
    """

    def __init__(
        self,
        layout: Layout,
        group: NeuronGroup,
        theta_KP: Float[Tensor, "runs parameters"],
        hidden_KBN: Float[Tensor, "runs batch neurons"],
    ) -> None:
        """See the class."""
        self.layout = layout
        self.group = group
        self.theta_KP = theta_KP.detach()
        self.hidden_KBN = hidden_KBN.detach()

    @property
    def layer(self) -> int:
        """Number of the hidden layer."""
        return self.group.layer

    @cached_property
    def sides(self) -> tuple[Tensor, Tensor]:
        """Incoming and outgoing vectors of the neurons, float64."""
        into, out = neuron_sides(self.layout, self.group, self.theta_KP)
        return into.double(), out.double()

    @cached_property
    def neurons_KND(self) -> Tensor:
        """The neurons as vectors, float64."""
        return torch.cat(self.sides, dim=2)

    @cached_property
    def norms_KN(self) -> Tensor:
        """Norms of the neurons."""
        norms_KN: Tensor = self.neurons_KND.norm(dim=2)
        return norms_KN

    @cached_property
    def scale_K(self) -> Tensor:
        """Norm of the largest neuron: robust where most neurons are dead."""
        return self.norms_KN.amax(dim=1)

    @cached_property
    def clusters(self) -> NeuronClusters:
        """Clusters of the neurons, with the gap at the default threshold."""
        return cluster_neurons(
            self.neurons_KND, EPSILON_RELATIVE * self.scale_K, signed=self.group.odd
        )

    @cached_property
    def weight_values_KR(self) -> Tensor:
        """Singular values of the incoming weights (without biases)."""
        weights = [
            unpack(self.theta_KP, block).flatten(2)
            for block in self.layout.incoming(self.group)
            if len(block.shape) > 1
        ]
        return singular_values(torch.cat(weights, dim=2))

    @cached_property
    def product_values_KR(self) -> Tensor:
        """Singular values of the outgoing weights times the incoming ones (without biases)."""
        incoming, outgoing = self.sides
        weights_KNI = incoming[:, :, : incoming.shape[2] - has_bias(self)]
        return singular_values(outgoing.transpose(1, 2) @ weights_KNI)

    @cached_property
    def hidden_values_KR(self) -> Tensor:
        """Singular values of the centred activations."""
        hidden = self.hidden_KBN.double()
        return singular_values(hidden - hidden.mean(dim=1, keepdim=True))


def measure_layer(view: LayerView) -> dict[str, Tensor]:
    """Return every measure of `symstudy.measures.catalogue.MEASURES` for the layer of `view`.

    Returns:
        By name, one number a run; `distinct_curve` has a column a threshold. `distinct_directions`
        is
        -1 where the activation is not homogeneous.
    """
    threshold_K = EPSILON_RELATIVE * view.scale_K
    incoming, outgoing = view.sides
    curve = [view.clusters.count_above(epsilon * view.scale_K) for epsilon in CURVE_THRESHOLDS]
    return {
        "neurons": torch.full_like(view.scale_K, view.group.size, dtype=torch.int64),
        "max_norm": view.scale_K,
        "squared_norm": view.norms_KN.square().sum(dim=1),
        "breaking_sorted": breaking_sorted(view.neurons_KND, threshold_K, signed=view.group.odd),
        "distinct_neurons": view.clusters.count_above(threshold_K),
        "distinct_exact": view.clusters.count_above(EPSILON_EXACT * view.scale_K),
        "living_neurons": (view.norms_KN > threshold_K[:, None]).sum(dim=1),
        "min_distance": view.clusters.gaps_K,
        "distinct_curve": torch.stack(curve, dim=1),
        "distinct_directions": distinct_directions(view),
        "weight_rank": threshold_rank(view.weight_values_KR, RANK_THRESHOLD),
        "weight_effective_rank": effective_rank(view.weight_values_KR),
        "weight_largest": view.weight_values_KR[:, 0],
        "weight_smallest": smallest_above(view.weight_values_KR, RANK_THRESHOLD),
        "balance": outgoing.square().sum(dim=(1, 2)) - incoming.square().sum(dim=(1, 2)),
        "product_rank": threshold_rank(view.product_values_KR, EPSILON_RELATIVE),
        "product_rank_exact": threshold_rank(view.product_values_KR, EPSILON_EXACT),
        "rank": threshold_rank(view.hidden_values_KR, RANK_THRESHOLD),
        "effective_rank": effective_rank(view.hidden_values_KR),
    }


def has_bias(view: LayerView) -> int:
    """Return how many numbers of a neuron's incoming side are biases."""
    return sum(len(block.shape) == 1 for block in view.layout.incoming(view.group))


def distinct_directions(view: LayerView) -> Tensor:
    """Return the number of clusters of balanced directions, or -1 where they mean nothing."""
    if not view.group.homogeneous:
        return torch.full_like(view.scale_K, -1, dtype=torch.int64)
    points = balanced_directions(*view.sides)
    threshold_K = torch.full_like(view.scale_K, EPSILON_DIRECTION)
    return cluster_neurons(points, threshold_K, signed=view.group.odd).count_above(threshold_K)
