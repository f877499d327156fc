"""The measures that a study records if it names them: those of the layer's declared symmetries.

Shapes: K runs, N neurons or directions.
"""

from collections.abc import Callable, Sequence
from functools import cached_property, partial

import torch
from jaxtyping import Float
from torch import Tensor

from symstudy.measures.attention import AttentionView, head_values
from symstudy.measures.layers import LayerView
from symstudy.symmetry.base import AbstractSymmetry
from symstudy.symmetry.double_rotation import DoubleRotation
from symstudy.symmetry.neurons import breaking_sorted
from symstudy.symmetry.ranks import (
    effective_rank,
    singular_values,
    stable_rank,
    threshold_rank,
)
from symstudy.symmetry.registry import SYMMETRIES, build_symmetry
from symstudy.symmetry.thresholds import (
    EPSILON_ABSOLUTE,
    EPSILON_DYNAMICS,
    EPSILON_RELATIVE,
    PRODUCT_VALUES,
    RANK_THRESHOLD,
)

__all__ = ["ATTENTION_EXTRA", "EXTRA", "NEURON_EXTRA", "measure_extra"]


class LayerSymmetries:
    """The symmetries that a model declares for one hidden layer, and what several measures share.

    Several of one kind (the heads of an attention layer, say) are taken together: their distances
    as of one long vector, their counts as a sum, their singular values as of one block-diagonal
    product.
    """

    def __init__(self, view: LayerView | AttentionView) -> None:
        """Look at the layer of `view`."""
        self.view = view
        self.theta_KP = view.theta_KP.double()
        self.built: dict[str, list[AbstractSymmetry]] = {}

    def of_kind(self, kind: str) -> list[AbstractSymmetry]:
        """Return the layer's symmetries of `kind`."""
        if kind not in self.built:
            self.built[kind] = [
                build_symmetry(self.view.layout, declared)
                for declared in self.view.layout.symmetries
                if declared.kind == kind and declared.layer == self.view.layer
            ]
        return self.built[kind]

    def none(self) -> Float[Tensor, " runs"]:
        """Return that a number does not apply."""
        return torch.full_like(self.theta_KP[:, 0], torch.nan)

    @cached_property
    def product_values(self) -> list[Float[Tensor, "runs directions"]]:
        """Singular values of the product of each double rotation."""
        return [
            symmetry.values(self.theta_KP)
            for symmetry in self.of_kind("double_rotation")
            if isinstance(symmetry, DoubleRotation)
        ]


def root_sum(parts: Sequence[Float[Tensor, " runs"]]) -> Float[Tensor, " runs"]:
    """Return the norm of the vector of `parts`."""
    return torch.stack(list(parts)).square().sum(dim=0).sqrt()


def distance(kind: str, layer: LayerSymmetries) -> Tensor:
    """Return the distance of all symmetries of `kind`."""
    found = layer.of_kind(kind)
    return root_sum([s.distance(layer.theta_KP) for s in found]) if found else layer.none()


def normalised_distance(kind: str, layer: LayerSymmetries) -> Tensor:
    """Return the distance over the norm of what is acted on."""
    found = layer.of_kind(kind)
    if not found:
        return layer.none()
    norm_K = root_sum([layer.theta_KP[:, s.coordinates()].norm(dim=1) for s in found])
    return distance(kind, layer) / torch.where(norm_K > 0, norm_K, 1.0)


def orbit_distance(kind: str, layer: LayerSymmetries) -> Tensor:
    """Return the smallest distance on the orbit."""
    found = layer.of_kind(kind)
    return root_sum([s.orbit_distance(layer.theta_KP) for s in found]) if found else layer.none()


def breaking(kind: str, layer: LayerSymmetries) -> Tensor:
    """Return the degree of breaking, -1 where there is no such symmetry."""
    found = layer.of_kind(kind)
    if not found:
        return torch.full_like(layer.theta_KP[:, 0], -1, dtype=torch.int64)
    return torch.stack([s.breaking(layer.theta_KP) for s in found]).sum(dim=0)


def double_rotation_orbit_distance(layer: LayerSymmetries) -> Tensor:
    """Return sqrt(2 sum sigma)."""
    values = layer.product_values
    return (2.0 * torch.cat(values, dim=1).sum(dim=1)).sqrt() if values else layer.none()


def double_rotation_breaking(layer: LayerSymmetries) -> Tensor:
    """Return the sum of the products' ranks, -1 where there is no double rotation."""
    if not layer.product_values:
        return breaking("double_rotation", layer)
    counts = [
        (values_KN > EPSILON_RELATIVE * values_KN[:, :1]).sum(dim=1)
        for values_KN in layer.product_values
    ]
    return torch.stack(counts).sum(dim=0)


def double_rotation_raw_breaking(layer: LayerSymmetries) -> Tensor:
    """Return the count of raw eigenvalues, -1 where there is no double rotation."""
    found = layer.of_kind("double_rotation")
    counts = [s.raw_breaking(layer.theta_KP) for s in found if isinstance(s, DoubleRotation)]
    return torch.stack(counts).sum(dim=0) if counts else breaking("double_rotation", layer)


def double_rotation_effective_rank(layer: LayerSymmetries) -> Tensor:
    """Return exp of the entropy of sigma / sum sigma."""
    values = layer.product_values
    # `effective_rank` squares its values; the shares here are those of sigma itself.
    return effective_rank(torch.cat(values, dim=1).sqrt()) if values else layer.none()


def double_rotation_stable_rank(layer: LayerSymmetries) -> Tensor:
    """Return sum sigma^2 / max sigma^2."""
    values = layer.product_values
    return stable_rank(torch.cat(values, dim=1)) if values else layer.none()


def breaking_sorted_absolute(view: LayerView) -> Tensor:
    """Return how many pairs adjacent in norm lie farther apart than an absolute threshold."""
    threshold_K = torch.full_like(view.scale_K, EPSILON_DYNAMICS)
    return breaking_sorted(view.neurons_KND, threshold_K, signed=view.group.odd)


def product_rank_absolute(view: LayerView) -> Tensor:
    """Return the number of the product's singular values above an absolute threshold."""
    is_above_KR: Tensor = view.product_values_KR > EPSILON_DYNAMICS
    return is_above_KR.sum(dim=1)


def contributing_neurons(view: LayerView) -> Tensor:
    """Return how many neurons have a product of incoming and outgoing norm near the largest.

    Under noise without weight decay a neuron that does nothing may keep one side, so that its norm
    as a vector says little.
    """
    into, out = view.sides
    strength_KN = into.norm(dim=2) * out.norm(dim=2)
    threshold_K1 = EPSILON_RELATIVE * strength_KN.amax(dim=1, keepdim=True)
    contributing_K: Tensor = (strength_KN > threshold_K1).sum(dim=1)
    return contributing_K


def product_value(place: int, view: LayerView) -> Tensor:
    """Return the singular value `place` of the product, counted from 1 at the largest, or 0."""
    values_KR = view.product_values_KR
    if place > values_KR.shape[1]:
        return torch.zeros_like(values_KR[:, 0])
    return values_KR[:, place - 1]


def side_rank(place: int, view: AttentionView) -> Tensor:
    """Return the rank of one of query, key, value and output, all heads as one matrix."""
    return threshold_rank(singular_values(view.weights[place].flatten(1, 2)), RANK_THRESHOLD)


def layer_breaking(place: int, view: AttentionView) -> Tensor:
    """Return the rank of the pair at `place`, all heads held against the largest value of all."""
    values_KHN = head_values(view.weights[place], view.weights[place + 1])
    threshold_K11 = EPSILON_RELATIVE * values_KHN.amax(dim=(1, 2), keepdim=True)
    is_broken: Tensor = values_KHN > threshold_K11.clamp(min=EPSILON_ABSOLUTE)
    return is_broken.sum(dim=(1, 2))


EXTRA: dict[str, Callable[[LayerSymmetries], Tensor]] = {
    **{f"{kind}_distance": partial(distance, kind) for kind in SYMMETRIES},
    **{f"{kind}_breaking": partial(breaking, kind) for kind in SYMMETRIES},
    "translation_distance_normalised": partial(normalised_distance, "translation"),
    "permutation_distance_normalised": partial(normalised_distance, "permutation"),
    "rescaling_orbit_distance": partial(orbit_distance, "rescaling"),
    "double_rotation_orbit_distance": double_rotation_orbit_distance,
    "double_rotation_breaking": double_rotation_breaking,
    "double_rotation_raw_breaking": double_rotation_raw_breaking,
    "double_rotation_effective_rank": double_rotation_effective_rank,
    "double_rotation_stable_rank": double_rotation_stable_rank,
}
"""From the names of the `EXTRA_MEASURES` that read declared symmetries to what computes them."""

NEURON_EXTRA: dict[str, Callable[[LayerView], Tensor]] = {
    "weight_stable_rank": lambda view: stable_rank(view.weight_values_KR),
    "stable_rank": lambda view: stable_rank(view.hidden_values_KR),
    "contributing_neurons": contributing_neurons,
    "breaking_sorted_absolute": breaking_sorted_absolute,
    "product_rank_absolute": product_rank_absolute,
    **{
        f"product_value_{place}": partial(product_value, place)
        for place in range(1, PRODUCT_VALUES + 1)
    },
}
"""The same for those that read neurons, which an attention layer has not."""


ATTENTION_EXTRA: dict[str, Callable[[AttentionView], Tensor]] = {
    **{
        f"{side}_rank": partial(side_rank, place)
        for place, side in enumerate(("query", "key", "value", "output"))
    },
    "query_key_layer_breaking": partial(layer_breaking, 0),
    "value_output_layer_breaking": partial(layer_breaking, 2),
}
"""The same for those that read all heads of an attention layer."""


def measure_extra(view: LayerView | AttentionView, names: Sequence[str]) -> dict[str, Tensor]:
    """Return the named measures of the layer of `view`, one number a run.

    Args:
        view: The layer of a pack.
        names: Of `EXTRA_MEASURES`.

    Returns:
        By name; NaN, or -1 for a count, where the layer has no such symmetry. What is measured of
        neurons is left out for an attention layer, and the other way round.
    """
    layer = LayerSymmetries(view)
    measures = {}
    for name in names:
        if name in EXTRA:
            measures[name] = EXTRA[name](layer)
        elif name in NEURON_EXTRA and isinstance(view, LayerView):
            measures[name] = NEURON_EXTRA[name](view)
        elif name in ATTENTION_EXTRA and isinstance(view, AttentionView):
            measures[name] = ATTENTION_EXTRA[name](view)
    return measures
