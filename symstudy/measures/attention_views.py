"""The heads of an attention layer as its measures see them.

Shapes: K runs, H heads, N directions of a head, D numbers of a direction.
"""

from functools import cached_property
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from symstudy.layout import AttentionLayer, Layout
from symstudy.symmetry.double_rotation import product_values
from symstudy.symmetry.sides import side_index

__all__ = ["AttentionView", "HeadWeights", "HeadsView"]


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


class HeadsView:
    """The heads of one attention layer of a pack, as its measures need them.

    Args of the constructor: the weights, finite, of any precision; singular values are float64.

    Attributes:
        weights: Queries, keys, values and outputs of each head.
    """

    def __init__(self, weights: HeadWeights) -> None:
        """See the class."""
        self.weights = weights

    @cached_property
    def query_key_KHN(self) -> Float[Tensor, "runs heads directions"]:
        """Singular values of W_Q W_K^T of each head."""
        return head_values(self.weights.query_KHND, self.weights.key_KHND)

    @cached_property
    def value_output_KHN(self) -> Float[Tensor, "runs heads directions"]:
        """Singular values of W_V W_O of each head."""
        return head_values(self.weights.value_KHND, self.weights.output_KHND)


def head_values(
    first_KHND: Float[Tensor, "runs heads directions first"],
    second_KHND: Float[Tensor, "runs heads directions second"],
) -> Float[Tensor, "runs heads directions"]:
    """Return the singular values of each head's product second^T first, largest first, float64."""
    runs, heads = first_KHND.shape[:2]
    values = product_values(first_KHND.flatten(0, 1), second_KHND.flatten(0, 1))
    return values.view(runs, heads, -1)


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
    def heads(self) -> "HeadsView":
        """The heads, as the measures of attention layers see them."""
        return HeadsView(self.weights)

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
