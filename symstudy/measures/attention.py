"""The measures of one attention layer: how far its heads' double rotations are broken.

Shapes: K runs, H heads, N directions of a head, D numbers that a direction has on one side.
"""

from functools import cached_property
from typing import NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from symstudy.layout import AttentionLayer, Layout
from symstudy.symmetry.double_rotation import product_values
from symstudy.symmetry.ranks import effective_rank, stable_rank
from symstudy.symmetry.sides import side_index
from symstudy.symmetry.thresholds import EPSILON_ABSOLUTE, EPSILON_RELATIVE

__all__ = ["AttentionView", "HeadWeights", "attention_measures", "count_broken", "head_values"]


class HeadWeights(NamedTuple):
    """The weights of the heads of one attention layer, a row for each direction of a head.

    A direction is a position of the head's inner axis: the one along which queries meet keys, or
    values meet the output. A bias is one more column of its matrix: W_Q with its bias is
    `torch.cat([w, b[..., None]], dim=-1)`. Matrices of torch's `nn.Linear`, `[out, in]`, have the
    queries', keys' and values' directions along axis 0 and the output's along axis 1.

    Attributes:
        query_KHND: What makes the queries, `[runs, heads, head_dim, inputs (+ 1)]`.
        key_KHND: What makes the keys, `[runs, heads, head_dim, inputs (+ 1)]`.
        value_KHND: What makes the values, `[runs, heads, value_dim, inputs (+ 1)]`.
        output_KHND: What reads the values, `[runs, heads, value_dim, outputs]`.
    """

    query_KHND: Float[Tensor, "runs heads key query_inputs"]
    key_KHND: Float[Tensor, "runs heads key key_inputs"]
    value_KHND: Float[Tensor, "runs heads value value_inputs"]
    output_KHND: Float[Tensor, "runs heads value outputs"]


class AttentionView:
    """One attention layer of a pack, as its measures need it.

    Args of the constructor: the model's layout, the layer, and the flat parameters
    `[runs, parameters]`, finite.
    """

    def __init__(
        self,
        layout: Layout,
        attention: AttentionLayer,
        theta_KP: Float[Tensor, "runs parameters"],
    ) -> None:
        """See the class."""
        self.layout = layout
        self.attention = attention
        self.theta_KP = theta_KP.detach()

    @property
    def layer(self) -> int:
        """Number of the hidden layer."""
        return self.attention.layer

    @cached_property
    def weights(self) -> HeadWeights:
        """The weights of the heads."""
        of = self.attention
        return HeadWeights(
            self.read(of.query_blocks, of.key),
            self.read(of.key_blocks, of.key),
            self.read(of.value_blocks, of.value),
            self.read(of.output_blocks, of.value),
        )

    def read(self, names: tuple[str, ...], axis: str) -> Float[Tensor, "runs heads directions _"]:
        """Return one side of a pair, head by head."""
        heads = self.layout.block(names[0]).length(self.attention.heads)
        index_HND = torch.stack(
            [
                side_index(self.layout, names, axis, within=self.attention.heads, place=head)
                for head in range(heads)
            ]
        )
        return self.theta_KP[:, index_HND.to(self.theta_KP.device)]


def attention_measures(weights: HeadWeights) -> dict[str, Tensor]:
    """Return every measure of `symstudy.measures.catalogue.ATTENTION_MEASURES` for one layer.

    Both pairs, query with key and value with output, have the double rotations W_Q -> A W_Q,
    W_K -> A^-T W_K of each head, which leave the product W_K^T W_Q as it is. A symmetric direction
    is one that the product does not see: the degree of breaking is the product's rank. It is read
    off the singular values of the product, which are the same in every gauge; they are as many as a
    head has directions.

    Args:
        weights: Finite weights of one layer, of any precision; the measures are of float64.

    Returns:
        By name, one number a run: of each pair, the sum over heads of the degree of breaking, of
        the effective rank exp(entropy of sigma / sum sigma) and of the stable rank
        sum sigma^2 / max sigma^2, and the largest singular value of all heads. All are 0 for a head
        whose largest singular value is below 1e-8.

    References:
        arXiv:2502.05300, Eqs. 8-14; the gauge-invariant version is derived at
        `symstudy.symmetry.double_rotation.DoubleRotation`.
    """
    heads, directions = weights.query_KHND.shape[1:3]
    runs = len(weights.query_KHND)
    device = weights.query_KHND.device
    measures = {
        "head_directions": torch.full((runs,), heads * directions, device=device),
    }
    pairs = {
        "query_key": (weights.query_KHND, weights.key_KHND),
        "value_output": (weights.value_KHND, weights.output_KHND),
    }
    for pair, sides in pairs.items():
        values_KHN = head_values(*sides)
        is_left_KH1 = values_KHN[..., :1] > EPSILON_ABSOLUTE
        flat = torch.where(is_left_KH1, values_KHN, 0.0).flatten(0, 1)
        # `effective_rank` squares its values; the shares here are those of sigma itself.
        spread_KH = effective_rank(flat.sqrt()).view(runs, heads)
        measures[f"{pair}_breaking"] = count_broken(values_KHN).sum(dim=1)
        measures[f"{pair}_effective_rank"] = spread_KH.sum(dim=1)
        measures[f"{pair}_stable_rank"] = stable_rank(flat).view(runs, heads).sum(dim=1)
        measures[f"{pair}_largest"] = values_KHN.amax(dim=(1, 2))
    return measures


def head_values(
    first_KHND: Float[Tensor, "runs heads directions first"],
    second_KHND: Float[Tensor, "runs heads directions second"],
) -> Float[Tensor, "runs heads directions"]:
    """Return the singular values of each head's product second^T first, largest first, float64."""
    runs, heads = first_KHND.shape[:2]
    values = product_values(first_KHND.flatten(0, 1), second_KHND.flatten(0, 1))
    return values.view(runs, heads, -1)


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
