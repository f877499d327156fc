"""Measures of one attention layer: how far the double rotations of its heads are broken.

Both pairs, query with key and value with output, have the double rotations W_Q -> A W_Q,
W_K -> A^-T W_K of each head, which leave the product W_K^T W_Q as it is. A symmetric direction is
one that the product does not see: the degree of breaking is the product's rank. It is read off the
singular values of the product, which are the same in every gauge; they are as many as a head has
directions. Everything is 0 for a head whose largest singular value is at most 1e-8.

Shapes: K runs, H heads, N directions of a head, D numbers that a direction has on one side.

References:
    arXiv:2502.05300, Eqs. 8-14; the gauge-invariant version is derived at
    `symstudy.symmetry.double_rotation.DoubleRotation`.
"""

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from symstudy.measures.attention_views import HeadsView
from symstudy.measures.declare import measure
from symstudy.symmetry import ranks
from symstudy.symmetry.thresholds import EPSILON_ABSOLUTE, EPSILON_RELATIVE, RANK_THRESHOLD


def count_broken(
    values_KHN: Float[Tensor, "runs heads directions"], relative: float = EPSILON_RELATIVE
) -> Int64[Tensor, "runs heads"]:
    """Return how many singular values of each head exceed `relative` of the head's largest.

    A head whose largest is below 1e-8 is symmetric in all directions: nothing of it is left, and
    shares of nothing mean nothing.
    """
    threshold_KH1 = (relative * values_KHN[..., :1]).clamp(min=EPSILON_ABSOLUTE)
    is_broken: Tensor = values_KHN > threshold_KH1
    return is_broken.sum(dim=2)


def left_of(values_KHN: Float[Tensor, "runs heads directions"]) -> Float[Tensor, "rows directions"]:
    """Return the singular values, a row a run and head, zero for heads of which nothing is left."""
    is_left_KH1 = values_KHN[..., :1] > EPSILON_ABSOLUTE
    return torch.where(is_left_KH1, values_KHN, 0.0).flatten(0, 1)


def sum_effective_rank(values_KHN: Float[Tensor, "runs heads directions"]) -> Tensor:
    """Return the sum over heads of exp(entropy of sigma / sum sigma)."""
    # `effective_rank` squares its values; the shares here are those of sigma itself.
    spread = ranks.effective_rank(left_of(values_KHN).sqrt())
    return spread.view(values_KHN.shape[:2]).sum(dim=1)


def sum_stable_rank(values_KHN: Float[Tensor, "runs heads directions"]) -> Tensor:
    """Return the sum over heads of sum sigma^2 / max sigma^2."""
    return ranks.stable_rank(left_of(values_KHN)).view(values_KHN.shape[:2]).sum(dim=1)


def count_of_layer(values_KHN: Float[Tensor, "runs heads directions"]) -> Int64[Tensor, " runs"]:
    """Return the count over heads, all held against the largest value of the layer."""
    threshold_K11 = EPSILON_RELATIVE * values_KHN.amax(dim=(1, 2), keepdim=True)
    is_broken: Tensor = values_KHN > threshold_K11.clamp(min=EPSILON_ABSOLUTE)
    return is_broken.sum(dim=(1, 2))


def rank_of_side(side_KHND: Float[Tensor, "runs heads directions numbers"]) -> Tensor:
    """Return the rank of one of query, key, value and output, all heads as one matrix."""
    values_KR = ranks.singular_values(side_KHND.flatten(1, 2))
    is_left_K1 = values_KR[:, :1] > EPSILON_ABSOLUTE
    return ranks.threshold_rank(torch.where(is_left_K1, values_KR, 0.0), RANK_THRESHOLD)


@measure(
    on="attention",
    kind="count",
    meaning="heads of an attention layer times the directions of each: the largest degree of "
    "breaking",
    recorded="always",
    invariant=("permutation", "double_rotation"),
)
def head_directions(view: HeadsView) -> Tensor:
    """Return the number of directions of all heads."""
    query = view.weights.query_KHND
    runs, heads, directions = query.shape[:3]
    return torch.full((runs,), heads * directions, device=query.device)


@measure(
    on="attention",
    kind="count",
    meaning="sum over heads of the rank of W_Q W_K^T, biases as rows: singular values above 0.02 "
    "of the head's largest, and above 1e-8",
    source="double rotation, arXiv:2502.05300, Eqs. 8-13",
    recorded="always",
    invariant=("permutation", "double_rotation"),
)
def query_key_breaking(view: HeadsView) -> Tensor:
    """Return the degree of breaking of all heads."""
    return count_broken(view.query_key_KHN).sum(dim=1)


@measure(
    on="attention",
    kind="number",
    meaning="sum over heads of exp of the entropy of the singular values of W_Q W_K^T, biases as "
    "rows",
    source="Roy and Vetterli 2007",
    recorded="always",
    invariant=("permutation", "double_rotation"),
)
def query_key_effective_rank(view: HeadsView) -> Tensor:
    """Return the effective ranks of all heads."""
    return sum_effective_rank(view.query_key_KHN)


@measure(
    on="attention",
    kind="number",
    meaning="sum over heads of the squared singular values of W_Q W_K^T, biases as rows, over the "
    "largest squared",
    source="Rudelson and Vershynin 2007",
    recorded="always",
    invariant=("permutation", "double_rotation"),
)
def query_key_stable_rank(view: HeadsView) -> Tensor:
    """Return the stable ranks of all heads."""
    return sum_stable_rank(view.query_key_KHN)


@measure(
    on="attention",
    kind="number",
    meaning="largest singular value of W_Q W_K^T, biases as rows, of all heads",
    recorded="always",
    invariant=("permutation", "double_rotation"),
)
def query_key_largest(view: HeadsView) -> Tensor:
    """Return the largest singular value of all heads."""
    return view.query_key_KHN.amax(dim=(1, 2))


@measure(
    on="attention",
    kind="count",
    meaning="sum over heads of the rank of W_V W_O, biases as rows: singular values above 0.02 of "
    "the head's largest, and above 1e-8",
    source="double rotation, arXiv:2502.05300, Eqs. 8-13",
    recorded="always",
    invariant=("permutation", "double_rotation"),
)
def value_output_breaking(view: HeadsView) -> Tensor:
    """Return the degree of breaking of all heads."""
    return count_broken(view.value_output_KHN).sum(dim=1)


@measure(
    on="attention",
    kind="number",
    meaning="sum over heads of exp of the entropy of the singular values of W_V W_O, biases as "
    "rows",
    source="Roy and Vetterli 2007",
    recorded="always",
    invariant=("permutation", "double_rotation"),
)
def value_output_effective_rank(view: HeadsView) -> Tensor:
    """Return the effective ranks of all heads."""
    return sum_effective_rank(view.value_output_KHN)


@measure(
    on="attention",
    kind="number",
    meaning="sum over heads of the squared singular values of W_V W_O, biases as rows, over the "
    "largest squared",
    source="Rudelson and Vershynin 2007",
    recorded="always",
    invariant=("permutation", "double_rotation"),
)
def value_output_stable_rank(view: HeadsView) -> Tensor:
    """Return the stable ranks of all heads."""
    return sum_stable_rank(view.value_output_KHN)


@measure(
    on="attention",
    kind="number",
    meaning="largest singular value of W_V W_O, biases as rows, of all heads",
    recorded="always",
    invariant=("permutation", "double_rotation"),
)
def value_output_largest(view: HeadsView) -> Tensor:
    """Return the largest singular value of all heads."""
    return view.value_output_KHN.amax(dim=(1, 2))


@measure(
    on="attention",
    kind="count",
    meaning="sum over heads of the singular values of W_Q W_K^T above 0.02 of the largest of all "
    "heads of the layer: heads that have shrunk count for nothing",
    source="arXiv:2502.05300, Eqs. 8-13",
    invariant=("permutation", "double_rotation"),
)
def query_key_layer_breaking(view: HeadsView) -> Tensor:
    """Return the degree of breaking against the layer's largest value."""
    return count_of_layer(view.query_key_KHN)


@measure(
    on="attention",
    kind="count",
    meaning="sum over heads of the singular values of W_V W_O above 0.02 of the largest of all "
    "heads of the layer: heads that have shrunk count for nothing",
    source="arXiv:2502.05300, Eqs. 8-13",
    invariant=("permutation", "double_rotation"),
)
def value_output_layer_breaking(view: HeadsView) -> Tensor:
    """Return the degree of breaking against the layer's largest value."""
    return count_of_layer(view.value_output_KHN)


@measure(
    on="attention",
    kind="count",
    meaning="singular values of the query matrix of all heads of an attention layer above 0.01 of "
    "the largest",
    source="arXiv:2502.05300, Fig. 3",
)
def query_rank(view: HeadsView) -> Tensor:
    """Return the rank of the query matrix."""
    return rank_of_side(view.weights.query_KHND)


@measure(
    on="attention",
    kind="count",
    meaning="singular values of the key matrix of all heads of an attention layer above 0.01 of "
    "the largest",
    source="arXiv:2502.05300, Fig. 3",
)
def key_rank(view: HeadsView) -> Tensor:
    """Return the rank of the key matrix."""
    return rank_of_side(view.weights.key_KHND)


@measure(
    on="attention",
    kind="count",
    meaning="singular values of the value matrix of all heads of an attention layer above 0.01 of "
    "the largest",
    source="arXiv:2502.05300, Fig. 3",
)
def value_rank(view: HeadsView) -> Tensor:
    """Return the rank of the value matrix."""
    return rank_of_side(view.weights.value_KHND)


@measure(
    on="attention",
    kind="count",
    meaning="singular values of the output matrix of all heads of an attention layer above 0.01 "
    "of the largest",
    source="arXiv:2502.05300, Fig. 3",
)
def output_rank(view: HeadsView) -> Tensor:
    """Return the rank of the output matrix."""
    return rank_of_side(view.weights.output_KHND)
