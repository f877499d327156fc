"""Ranks of a hidden layer's weights, of their product, and of its activations.

Ranks are 0 for a layer whose neurons all have a norm of at most 1e-8, and for a matrix whose
largest singular value is.

Shapes: K runs, R singular values.
"""

import torch
from torch import Tensor

from symstudy.measures.declare import measure
from symstudy.measures.views import LayerView
from symstudy.symmetry import ranks
from symstudy.symmetry.thresholds import (
    EPSILON_DYNAMICS,
    EPSILON_EXACT,
    EPSILON_RELATIVE,
    RANK_THRESHOLD,
)


@measure(
    kind="count",
    meaning="singular values of the incoming weights above 0.01 of the largest",
    recorded="always",
    invariant=("permutation", "sign_flip"),
)
def weight_rank(view: LayerView) -> Tensor:
    """Return the threshold rank of the incoming weights."""
    return ranks.threshold_rank(view.living(view.weight_values_KR), RANK_THRESHOLD)


@measure(
    kind="number",
    meaning="exp of the entropy of the squared singular values of the incoming weights",
    source="Roy and Vetterli 2007",
    recorded="always",
    invariant=("permutation", "sign_flip"),
)
def weight_effective_rank(view: LayerView) -> Tensor:
    """Return the effective rank of the incoming weights."""
    return ranks.effective_rank(view.living(view.weight_values_KR))


@measure(
    kind="number",
    meaning="largest singular value of the incoming weights",
    recorded="always",
    invariant=("permutation", "sign_flip"),
)
def weight_largest(view: LayerView) -> Tensor:
    """Return the spectral norm of the incoming weights."""
    return view.weight_values_KR[:, 0]


@measure(
    kind="number",
    meaning="smallest singular value of the incoming weights above 0.01 of the largest",
    recorded="always",
    invariant=("permutation", "sign_flip"),
)
def weight_smallest(view: LayerView) -> Tensor:
    """Return the smallest singular value that counts towards the rank; NaN for rank 0."""
    return ranks.smallest_above(view.living(view.weight_values_KR), RANK_THRESHOLD)


@measure(
    kind="number",
    meaning="sum of the squared singular values of the incoming weights over the largest squared",
    source="Rudelson and Vershynin 2007",
    invariant=("permutation", "sign_flip"),
)
def weight_stable_rank(view: LayerView) -> Tensor:
    """Return the stable rank of the incoming weights."""
    return ranks.stable_rank(view.living(view.weight_values_KR))


@measure(
    kind="count",
    meaning="singular values of outgoing times incoming weights above 0.02 of the largest",
    source="double rotation, arXiv:2502.05300, Eqs. 8-13",
    recorded="always",
    invariant=("permutation", "sign_flip", "rescaling", "double_rotation"),
)
def product_rank(view: LayerView) -> Tensor:
    """Return the threshold rank of the product."""
    return ranks.threshold_rank(view.living(view.product_values_KR), EPSILON_RELATIVE)


@measure(
    kind="count",
    meaning="singular values of outgoing times incoming weights above 1e-6 of the largest",
    source="arXiv:2502.05300, Theorem 3",
    recorded="always",
    invariant=("permutation", "sign_flip", "rescaling", "double_rotation"),
)
def product_rank_exact(view: LayerView) -> Tensor:
    """Return the rank of the product up to round-off."""
    return ranks.threshold_rank(view.living(view.product_values_KR), EPSILON_EXACT)


@measure(
    kind="count",
    meaning="singular values of outgoing times incoming weights above 0.1",
    source="double rotation, arXiv:2502.05300, Eqs. 8-13",
    invariant=("permutation", "sign_flip", "rescaling", "double_rotation"),
)
def product_rank_absolute(view: LayerView) -> Tensor:
    """Return the number of the product's singular values above an absolute threshold."""
    is_above_KR: Tensor = view.product_values_KR > EPSILON_DYNAMICS
    return is_above_KR.sum(dim=1)


def product_value(view: LayerView, place: int) -> Tensor:
    """Return the singular value `place` of the product, counted from 1 at the largest, or 0."""
    values_KR = view.product_values_KR
    if place > values_KR.shape[1]:
        return torch.zeros_like(values_KR[:, 0])
    return values_KR[:, place - 1]


@measure(
    kind="number",
    meaning="singular value 1 of outgoing times incoming weights, from the largest; 0 where there "
    "are fewer",
    source="double rotation, arXiv:2502.05300, Eqs. 8-13",
    invariant=("permutation", "sign_flip", "rescaling", "double_rotation"),
)
def product_value_1(view: LayerView) -> Tensor:
    """Return the largest singular value of the product."""
    return product_value(view, 1)


@measure(
    kind="number",
    meaning="singular value 2 of outgoing times incoming weights, from the largest; 0 where there "
    "are fewer",
    source="double rotation, arXiv:2502.05300, Eqs. 8-13",
    invariant=("permutation", "sign_flip", "rescaling", "double_rotation"),
)
def product_value_2(view: LayerView) -> Tensor:
    """Return the second singular value of the product."""
    return product_value(view, 2)


@measure(
    kind="number",
    meaning="singular value 3 of outgoing times incoming weights, from the largest; 0 where there "
    "are fewer",
    source="double rotation, arXiv:2502.05300, Eqs. 8-13",
    invariant=("permutation", "sign_flip", "rescaling", "double_rotation"),
)
def product_value_3(view: LayerView) -> Tensor:
    """Return the third singular value of the product."""
    return product_value(view, 3)


@measure(
    kind="number",
    meaning="singular value 4 of outgoing times incoming weights, from the largest; 0 where there "
    "are fewer",
    source="double rotation, arXiv:2502.05300, Eqs. 8-13",
    invariant=("permutation", "sign_flip", "rescaling", "double_rotation"),
)
def product_value_4(view: LayerView) -> Tensor:
    """Return the fourth singular value of the product."""
    return product_value(view, 4)


@measure(
    kind="count",
    meaning="singular values of the centred activations on test inputs above 0.01 of the largest",
    recorded="always",
    invariant=("permutation", "sign_flip"),
)
def rank(view: LayerView) -> Tensor:
    """Return the threshold rank of the representation."""
    if not view.has_hidden:
        return view.no_count()
    return ranks.threshold_rank(view.living(view.hidden_values_KR), RANK_THRESHOLD)


@measure(
    kind="number",
    meaning="exp of the entropy of the squared singular values of the centred activations",
    source="Roy and Vetterli 2007",
    recorded="always",
    invariant=("permutation", "sign_flip"),
)
def effective_rank(view: LayerView) -> Tensor:
    """Return the effective rank of the representation."""
    if not view.has_hidden:
        return view.none()
    return ranks.effective_rank(view.living(view.hidden_values_KR))


@measure(
    kind="number",
    meaning="sum of the squared singular values of the centred activations over the largest "
    "squared",
    source="Rudelson and Vershynin 2007",
    invariant=("permutation", "sign_flip"),
)
def stable_rank(view: LayerView) -> Tensor:
    """Return the stable rank of the representation."""
    if not view.has_hidden:
        return view.none()
    return ranks.stable_rank(view.living(view.hidden_values_KR))
