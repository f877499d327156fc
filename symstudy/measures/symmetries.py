"""Measures of the symmetries that a model declares for a hidden layer: distances and degrees.

Every kind of symmetry has `<kind>_distance` and `<kind>_breaking`, the methods of its class; those
declared here say more, or say it without the gauge. Several symmetries of one kind, such as the
heads of an attention layer, are taken together: their distances as of one long vector, their counts
as a sum, their singular values as of one block-diagonal product.

Shapes: K runs, N directions.
"""

from collections.abc import Callable, Sequence
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor

from symstudy.measures.declare import measure
from symstudy.measures.views import LayerSymmetries
from symstudy.symmetry import ranks
from symstudy.symmetry.double_rotation import DoubleRotation
from symstudy.symmetry.thresholds import EPSILON_RELATIVE


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
        return layer.no_count()
    return torch.stack([s.breaking(layer.theta_KP) for s in found]).sum(dim=0)


METHODS: dict[str, Callable[[str, LayerSymmetries], Tensor]] = {
    "distance": distance,
    "normalised_distance": normalised_distance,
    "orbit_distance": orbit_distance,
    "breaking": breaking,
}
"""What every kind of symmetry can be asked for, by the name of the method of its class."""


def of_method(kind: str, method: str) -> Callable[[LayerSymmetries], Tensor]:
    """Return the measure of `kind` that is a method of its class."""
    return partial(METHODS[method], kind)


@measure(
    on="symmetry",
    symmetry="translation",
    kind="number",
    meaning="translation_distance over the norm of what is translated; from 0 to 1",
    source="arXiv:2502.05300, Eq. 3",
    invariant=(),
)
def translation_distance_normalised(layer: LayerSymmetries) -> Tensor:
    """Return the distance from the plane over the norm."""
    return normalised_distance("translation", layer)


@measure(
    on="symmetry",
    symmetry="rescaling",
    kind="number",
    meaning="smallest distance on the orbit of rescalings: sqrt(sum 2 |incoming| |outgoing|)",
    source="arXiv:2502.05300, Eq. 3, at the balanced point",
    invariant=("permutation", "sign_flip", "rescaling"),
)
def rescaling_orbit_distance(layer: LayerSymmetries) -> Tensor:
    """Return the distance at the balanced point."""
    return orbit_distance("rescaling", layer)


@measure(
    on="symmetry",
    symmetry="permutation",
    kind="number",
    meaning="permutation_distance over the norm of the neurons; from 0 to 1",
    source="arXiv:2502.05300, Eq. 3",
)
def permutation_distance_normalised(layer: LayerSymmetries) -> Tensor:
    """Return the distance from equal neurons over the norm."""
    return normalised_distance("permutation", layer)


@measure(
    on="symmetry",
    symmetry="double_rotation",
    kind="number",
    meaning="smallest distance on the orbit of double rotations: sqrt(2 sum sigma), from the "
    "singular values sigma of the product",
    source="arXiv:2502.05300, Eqs. 8-13, in the balanced gauge",
    invariant=("permutation", "sign_flip", "rescaling", "double_rotation"),
)
def double_rotation_orbit_distance(layer: LayerSymmetries) -> Tensor:
    """Return sqrt(2 sum sigma)."""
    values = layer.product_values
    return (2.0 * torch.cat(values, dim=1).sum(dim=1)).sqrt() if values else layer.none()


@measure(
    on="symmetry",
    symmetry="double_rotation",
    kind="count",
    meaning="singular values of the product above 0.02 of the largest: its rank",
    source="arXiv:2502.05300, Eq. 14 and Table 1",
    invariant=("permutation", "sign_flip", "rescaling", "double_rotation"),
)
def double_rotation_breaking(layer: LayerSymmetries) -> Tensor:
    """Return the sum of the products' ranks, -1 where there is no double rotation."""
    if not layer.product_values:
        return layer.no_count()
    counts = [
        (values_KN > EPSILON_RELATIVE * values_KN[:, :1]).sum(dim=1)
        for values_KN in layer.living_values
    ]
    return torch.stack(counts).sum(dim=0)


@measure(
    on="symmetry",
    symmetry="double_rotation",
    kind="count",
    meaning="eigenvalues of the sum of both Gram matrices above 0.02 of the largest; depends on "
    "the gauge",
    source="arXiv:2502.05300, Eqs. 10-13",
)
def double_rotation_raw_breaking(layer: LayerSymmetries) -> Tensor:
    """Return the count of raw eigenvalues, -1 where there is no double rotation."""
    found = layer.of_kind("double_rotation")
    counts = [s.raw_breaking(layer.theta_KP) for s in found if isinstance(s, DoubleRotation)]
    return torch.stack(counts).sum(dim=0) if counts else layer.no_count()


@measure(
    on="symmetry",
    symmetry="double_rotation",
    kind="number",
    meaning="exp of the entropy of the singular values of the product",
    source="Roy and Vetterli 2007",
    invariant=("permutation", "sign_flip", "rescaling", "double_rotation"),
)
def double_rotation_effective_rank(layer: LayerSymmetries) -> Tensor:
    """Return exp of the entropy of sigma / sum sigma."""
    values = layer.living_values
    # `effective_rank` squares its values; the shares here are those of sigma itself.
    return ranks.effective_rank(torch.cat(values, dim=1).sqrt()) if values else layer.none()


@measure(
    on="symmetry",
    symmetry="double_rotation",
    kind="number",
    meaning="sum of the squared singular values of the product over the largest squared",
    source="Rudelson and Vershynin 2007",
    invariant=("permutation", "sign_flip", "rescaling", "double_rotation"),
)
def double_rotation_stable_rank(layer: LayerSymmetries) -> Tensor:
    """Return sum sigma^2 / max sigma^2."""
    values = layer.living_values
    return ranks.stable_rank(torch.cat(values, dim=1)) if values else layer.none()
