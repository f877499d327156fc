"""Two layers of two runs as the measures of pairs see them, and how a measure is tried by chance.

Shapes: K comparisons (first the pair as it is, then with its samples permuted), B samples, N and M
neurons.
"""

from collections.abc import Iterator
from functools import cached_property

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from symstudy.theory.alignment import Form, gram

__all__ = ["PairView", "compared"]

CHUNK = 256
"""Comparisons that are measured at a time."""


class PairView:
    """Some comparisons of a layer of one run with a layer of another, on the same samples.

    Args of the constructor: the activations `[samples, neurons]` of both, row by row of the same
    samples, and in which orders the samples of the second are taken. The layers may have different
    numbers of neurons.
    """

    def __init__(
        self,
        first_BN: Float[Tensor, "samples neurons"],
        second_BM: Float[Tensor, "samples others"],
        orders_KB: Int64[Tensor, "comparisons samples"],
    ) -> None:
        """See the class."""
        self.first_BN = first_BN.double()
        self.second_BM = second_BM.double()
        self.orders_KB = orders_KB

    @property
    def first_KBN(self) -> Float[Tensor, "comparisons samples neurons"]:
        """Activations of the layer of the first run, float64, the same in all comparisons."""
        return self.first_BN.expand(len(self.orders_KB), -1, -1)

    @cached_property
    def second_KBM(self) -> Float[Tensor, "comparisons samples others"]:
        """Activations of the layer of the second run, float64."""
        return self.second_BM[self.orders_KB]

    def alignment(self, form: Form) -> Float[Tensor, " comparisons"]:
        """Return the cosine of what `form` makes of the two Gram matrices, for each comparison.

        Samples are permuted in the matrix that the form has made, which is the same and far less
        work than to make it of permuted samples.
        """
        (first_BB,), (second_BB,) = (
            form(gram(each[None])) for each in (self.first_BN, self.second_BM)
        )
        lengths = torch.linalg.vector_norm(first_BB) * torch.linalg.vector_norm(second_BB)
        products = [(first_BB * second_BB[order][:, order]).sum() for order in self.orders_KB]
        values: Tensor = torch.stack(products) / lengths
        return values


def compared(
    first_BN: Float[Tensor, "samples neurons"],
    second_BM: Float[Tensor, "samples others"],
    orders_KB: Int64[Tensor, "comparisons samples"],
) -> Iterator[PairView]:
    """Yield the comparisons of two layers, some at a time.

    Args:
        first_BN: Activations of the first layer.
        second_BM: Activations of the second.
        orders_KB: Which sample of the second stands beside each of the first.
    """
    for start in range(0, len(orders_KB), CHUNK):
        yield PairView(first_BN, second_BM, orders_KB[start : start + CHUNK])
