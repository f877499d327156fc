"""Muon: the momentum of every weight matrix is made orthogonal."""

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, NamedTuple

from annotated_types import Ge, Gt, Lt

from symstudy.components import Role, component
from symstudy.layout import Block, Layout
from symstudy.optimizers.adaptive import AbstractAdam, adam_move
from symstudy.optimizers.config import StepNumbers
from symstudy.optimizers.decoupled import decayed
from symstudy.width_rules import WidthRule, growth_of, rate_factors

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Muon", "matrices_of"]

NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
"""Coefficients of the odd polynomial that is applied to the singular values at each iteration."""
SMALLEST_NORM = 1e-7
"""A matrix of a smaller norm is divided by this instead."""


class Matrix(NamedTuple):
    """A block of the parameters, as the matrix that is made orthogonal.

    Attributes:
        first: Where it starts in a row of the parameters.
        rows: Outputs.
        columns: Inputs.
    """

    first: int
    rows: int
    columns: int


@component
class Muon(AbstractAdam):
    """Weight matrices step along their orthogonalised momentum, all else as AdamW; decay is beside.

    A weight of more than two axes is a matrix of units by their inputs. Newton-Schulz iterations
    bring the singular values of the momentum close to 1. They are taken in the precision of the
    parameters; `torch.optim.Muon`, whose arithmetic this is, takes them in bfloat16.

    References:
        Jordan et al. 2024, kellerjordan.github.io/posts/muon; Liu et al. 2025, arXiv:2502.16982
        (`match_rms_adamw`). Jordan leaves the first and the last layer to AdamW: `matrices` =
        "hidden".
    """

    is_decoupled: ClassVar[bool] = True
    width_rule: ClassVar[WidthRule] = "orthogonalised"
    no_polish: ClassVar[str] = "does not go down the objective that has the penalty in it"

    kind: Literal["muon"] = "muon"
    """Orthogonalised momentum of weight matrices, and AdamW for all else."""
    momentum: Annotated[float, Ge(0), Lt(1), Role.LANE] = 0.95
    """Momentum of sgd, rmsprop and muon."""
    nesterov: bool = True
    """Whether muon orthogonalises the gradient and its mean together, or the mean alone."""
    ns_steps: Annotated[int, Ge(1), Lt(100)] = 5
    """Newton-Schulz iterations of a step of muon."""
    adjust_lr: Literal["original", "match_rms_adamw", "none"] = "original"
    """Factor of muon on the rate of a matrix of A rows and B columns: sqrt(max(1, A / B)), or
    0.2 sqrt(max(A, B)), which suits a rate of adamw, or 1."""
    matrices: Literal["all", "hidden"] = "all"
    """Which weights muon makes orthogonal: all, or those between the first and the last layer."""
    other_lr: Annotated[float, Gt(0), Role.LANE] = 1.0
    """Learning rate of what muon leaves to adamw, over that of matrices; the penalty goes by the
    latter everywhere."""

    @property
    def can_pad(self) -> bool:
        """A padded matrix has other sides, on which the rate depends."""
        return False

    @classmethod
    def step(
        cls,
        theta_KP: "Tensor",
        gradient_KP: "Tensor",
        pulled_KP: "Tensor",
        moments: Sequence["Tensor"],
        numbers: StepNumbers,
    ) -> "Tensor":
        """Return theta decayed, less the step of AdamW, or of a matrix its orthogonal one.

        The first moment of a matrix is its momentum, and its second is not used.
        """
        shared = numbers.shared
        assert isinstance(shared, cls), "a pack has one optimiser"
        keep = 1.0 - numbers.keys["momentum"]
        found = list(matrices_of(numbers.layout, shared.matrices))
        before = [moments[0][:, each.first : stop_of(each)].clone() for each in found]
        others = numbers._replace(rate_K1=numbers.rate_K1 * numbers.keys["other_lr"])
        move_KP = adam_move(gradient_KP, moments, others)
        rate_KP = numbers.rate_KP.expand_as(gradient_KP)
        for matrix, mean in zip(found, before, strict=True):
            place = slice(matrix.first, stop_of(matrix))
            gradient = gradient_KP[:, place]
            mean.lerp_(gradient, keep)
            moments[0][:, place] = mean
            moments[1][:, place] = 0.0
            towards = gradient.lerp(mean, 1.0 - keep) if shared.nesterov else mean
            sides = (len(towards), matrix.rows, matrix.columns)
            turned = orthogonalised(towards.reshape(sides), shared.ns_steps)
            factor = adjusted(matrix, shared.adjust_lr)
            move_KP[:, place] = rate_KP[:, place] * factor * turned.flatten(1)
        return decayed(theta_KP, pulled_KP, numbers) - move_KP

    def rate_factors(self, layout: Layout) -> tuple[float, ...]:
        """Return the factor on the learning rate of each block of `layout`; 1 outside of muP.

        The largest singular value of a matrix' step goes with sqrt(b / a), for b times the outputs
        and a times the inputs of the base network (Yang, Simon and Bernstein 2023,
        arXiv:2310.17813), whatever `adjust_lr` makes of its sides. What is left to adamw goes by
        the rule of adamw.
        """
        if not layout.base:
            return super().rate_factors(layout)
        matrices = {matrix.first for matrix in matrices_of(layout, self.matrices)}
        places = zip(
            layout.blocks,
            layout.base,
            growth_of(layout),
            rate_factors(layout, "normalised"),
            strict=True,
        )
        found = []
        for block, base, growth, of_adamw in places:
            if block.offset not in matrices:
                found.append(of_adamw)
                continue
            adjusts = (adjusted(matrix_of(each), self.adjust_lr) for each in (base, block))
            at_base, here = adjusts
            found.append(math.sqrt(growth.outputs / growth.inputs) * at_base / here)
        return tuple(found)

    def effective_rate(self, rate: float) -> float:
        """Return the rate: decay does not pass through the moments."""
        return rate


def stop_of(matrix: Matrix) -> int:
    """Return where a matrix ends in a row of the parameters."""
    return matrix.first + matrix.rows * matrix.columns


def matrices_of(layout: Layout, which: str) -> Iterator[Matrix]:
    """Yield the weights of two axes or more, as matrices of units by their inputs.

    Args:
        layout: Of the parameters.
        which: `all`, or `hidden` for those that neither read inputs nor make outputs.
    """
    weights = [block for block in layout.blocks if block.role == "weight" and len(block.shape) > 1]
    ends = {block.name for block in (*weights[:1], *weights[-1:])}
    for block in weights:
        if which == "all" or not (block.name in ends or {"input", "output"} & set(block.axes)):
            yield matrix_of(block)


def matrix_of(block: Block) -> Matrix:
    """Return a weight as a matrix: the last axes are the inputs of a unit, as many as feed one.

    Where no last axes make up the fan-in, units run along the first axis.
    """
    columns = block.size // block.shape[0]
    product = 1
    for length in reversed(block.shape[1:]):
        product *= length
        if product == block.fan_in:
            columns = product
    return Matrix(block.offset, block.size // columns, columns)


def adjusted(matrix: Matrix, way: str) -> float:
    """Return the factor on the learning rate of a matrix."""
    if way == "original":
        return math.sqrt(max(1.0, matrix.rows / matrix.columns))
    if way == "match_rms_adamw":
        return 0.2 * math.sqrt(max(matrix.rows, matrix.columns))
    return 1.0


def orthogonalised(matrix_KRC: "Tensor", iterations: int) -> "Tensor":
    """Return each matrix with its singular values near 1, by Newton-Schulz iterations.

    Args:
        matrix_KRC: Matrices `[K, rows, columns]`.
        iterations: How many.
    """
    import torch

    a, b, c = NEWTON_SCHULZ
    runs, rows, columns = matrix_KRC.shape
    # A library takes one matrix by another path than several: a run alone shall have the same bits.
    x = matrix_KRC if runs > 1 else torch.cat([matrix_KRC] * 2)
    x = x.mT if rows > columns else x
    norm = x.double().square().sum(dim=(1, 2), keepdim=True).sqrt().clamp(min=SMALLEST_NORM)
    x = x / norm.to(x.dtype)
    for _ in range(iterations):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return (x.mT if rows > columns else x)[:runs]
