"""Distances of neurons adjacent in norm, as shares of the pairs that lie below them.

A threshold of symmetry breaking may be known only when a network has been trained, such as a share
of its final norm. These columns say at every probe which share of pairs is beyond any threshold.

Shapes: K runs, P pairs.
"""

from torch import Tensor

from symstudy.measures.declare import measure
from symstudy.measures.views import LayerView
from symstudy.symmetry.neurons import adjacent_distances


def pair_distance(view: LayerView, percent: int) -> Tensor:
    """Return the distance below which so many per cent of the pairs lie; 0 of a single neuron."""
    distances_KP = adjacent_distances(view.neurons_KND, reversible=view.reversible)
    if not distances_KP.shape[1]:
        return view.scale_K.new_zeros(view.scale_K.shape)
    return distances_KP.quantile(percent / 100.0, dim=1)


@measure(
    kind="number",
    meaning="distance over sqrt 2 of neurons adjacent in norm, below which 10 % of the pairs lie",
    source="arXiv:2502.05300, Eqs. 3 and 14",
    invariant=("permutation", "sign_flip"),
)
def pair_distance_10(view: LayerView) -> Tensor:
    """Return the distance that 90 % of the pairs exceed."""
    return pair_distance(view, 10)


@measure(
    kind="number",
    meaning="distance over sqrt 2 of neurons adjacent in norm, below which 30 % of the pairs lie",
    source="arXiv:2502.05300, Eqs. 3 and 14",
    invariant=("permutation", "sign_flip"),
)
def pair_distance_30(view: LayerView) -> Tensor:
    """Return the distance that 70 % of the pairs exceed."""
    return pair_distance(view, 30)


@measure(
    kind="number",
    meaning="distance over sqrt 2 of neurons adjacent in norm, below which 50 % of the pairs lie",
    source="arXiv:2502.05300, Eqs. 3 and 14",
    invariant=("permutation", "sign_flip"),
)
def pair_distance_50(view: LayerView) -> Tensor:
    """Return the distance that 50 % of the pairs exceed."""
    return pair_distance(view, 50)


@measure(
    kind="number",
    meaning="distance over sqrt 2 of neurons adjacent in norm, below which 70 % of the pairs lie",
    source="arXiv:2502.05300, Eqs. 3 and 14",
    invariant=("permutation", "sign_flip"),
)
def pair_distance_70(view: LayerView) -> Tensor:
    """Return the distance that 30 % of the pairs exceed."""
    return pair_distance(view, 70)


@measure(
    kind="number",
    meaning="distance over sqrt 2 of neurons adjacent in norm, below which 90 % of the pairs lie",
    source="arXiv:2502.05300, Eqs. 3 and 14",
    invariant=("permutation", "sign_flip"),
)
def pair_distance_90(view: LayerView) -> Tensor:
    """Return the distance that 10 % of the pairs exceed."""
    return pair_distance(view, 90)
