"""Vector fields that are affine in the parameters: what discovery looks for symmetries among.

A generator moves parameters at the velocity theta' = A theta + b. All A and b together have
P (P + 1) unknown numbers; of a larger network only those are looked at that act along one axis of a
parameter tensor, contract an axis of one tensor onto another, or are constant. The continuous
symmetries of the survey are of that form: GL of linear layers, rescalings, rotations, translations,
and trades between a bias and the weights behind it.

Shapes: P parameters, M rows of a Jacobian, U unknowns, G generators.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, final

import torch
from jaxtyping import Float
from torch import Tensor

__all__ = ["AffineFields", "AxisMap", "all_fields", "fields_along_axes"]


class AxisMap(NamedTuple):
    """Maps of one axis of a source tensor to one axis of a target tensor.

    Attributes:
        target: Number of the tensor that is moved.
        source: Number of the tensor whose entries say how fast; None where the velocity is constant
            and every entry of the target has one of its own.
        target_axis: Axis that the map leads to; the number of axes for a new axis of size 1.
        source_axis: Axis that it leads from, as `target_axis`.
        shape: Sizes of the matrix M, rows and columns.
    """

    target: int
    source: int | None
    target_axis: int
    source_axis: int
    shape: tuple[int, int]

    @property
    def unknowns(self) -> int:
        """Entries of M."""
        return self.shape[0] * self.shape[1]


@final
@dataclass(frozen=True)
class AffineFields:
    """A family of affine vector fields, linear in its unknowns.

    Attributes:
        shapes: Shapes of the parameter tensors, in their order in the flat vector.
        maps: Whose matrices, flattened one after the other, are the unknowns.
    """

    shapes: tuple[tuple[int, ...], ...]
    maps: tuple[AxisMap, ...]

    @property
    def parameters(self) -> int:
        """Number of parameters P."""
        return sum(math.prod(shape) for shape in self.shapes)

    @property
    def unknowns(self) -> int:
        """Number of unknowns U."""
        return sum(each.unknowns for each in self.maps)

    def equations(
        self, rows_MP: Float[Tensor, "rows parameters"], theta_P: Float[Tensor, " parameters"]
    ) -> Float[Tensor, "rows unknowns"]:
        """Return the matrix that takes unknowns to rows_MP (A theta + b)."""
        rows = [
            piece.view(-1, *shape)
            for piece, shape in zip(
                torch.split(rows_MP, self.sizes, dim=1), self.shapes, strict=True
            )
        ]
        tensors = self.tensors(theta_P)
        columns = []
        for each in self.maps:
            row = rows[each.target]
            if each.source is None:
                columns.append(row.reshape(len(row), -1))
                continue
            target_Mbr = along(row, each.target_axis, 1).reshape(len(row), each.shape[0], -1)
            source_ar = along(tensors[each.source], each.source_axis).reshape(each.shape[1], -1)
            columns.append(torch.einsum("mbr,ar->mba", target_Mbr, source_ar).flatten(1))
        return torch.cat(columns, dim=1)

    def velocities(
        self,
        unknowns_GU: Float[Tensor, "generators unknowns"],
        theta_P: Float[Tensor, " parameters"],
    ) -> Float[Tensor, "generators parameters"]:
        """Return A theta + b of each generator."""
        velocity_GP = theta_P.new_zeros(len(unknowns_GU), self.parameters)
        moved = [
            piece.view(-1, *shape)
            for piece, shape in zip(
                torch.split(velocity_GP, self.sizes, dim=1), self.shapes, strict=True
            )
        ]
        tensors = self.tensors(theta_P)
        pieces = torch.split(unknowns_GU, [each.unknowns for each in self.maps], dim=1)
        for each, piece in zip(self.maps, pieces, strict=True):
            target = moved[each.target]
            if each.source is None:
                target += piece.view_as(target)
                continue
            source_ar = along(tensors[each.source], each.source_axis).reshape(each.shape[1], -1)
            made = torch.einsum("gba,ar->gbr", piece.view(-1, *each.shape), source_ar)
            view = along(target, each.target_axis, 1)
            view += made.view(view.shape)
        return velocity_GP

    @property
    def sizes(self) -> list[int]:
        """Numbers of entries of the tensors."""
        return [math.prod(shape) for shape in self.shapes]

    def tensors(self, theta_P: Float[Tensor, " parameters"]) -> list[Tensor]:
        """Return flat parameters in their shapes."""
        pieces = torch.split(theta_P, self.sizes)
        return [piece.view(shape) for piece, shape in zip(pieces, self.shapes, strict=True)]


def along(tensor: Tensor, axis: int, leading: int = 0) -> Tensor:
    """Return a view with an axis moved to the front, a new one of size 1 if it has none such.

    Args:
        tensor: Whose axes are counted behind its `leading` ones, which stay in front.
        axis: Number of the axis.
        leading: How many axes are no axes of the parameters.
    """
    if axis == tensor.ndim - leading:
        tensor = tensor.unsqueeze(-1)
    return tensor.movedim(axis + leading, leading)


def all_fields(size: int) -> AffineFields:
    """Return all affine fields of `size` parameters: P (P + 1) unknowns."""
    square = AxisMap(0, 0, 0, 0, (size, size))
    return AffineFields(((size,),), (square, constant(0, size)))


def fields_along_axes(shapes: Sequence[tuple[int, ...]]) -> AffineFields:
    """Return constants, maps of one axis of a tensor, and contractions of an axis onto a bias.

    The first are Y'[i] = b[i]; the second Y'[i, k] = sum_j M[i, j] Y[j, k], for each axis; the
    third Y'[i] = sum_j m[j] X[i, j], for tensors that have the shape of another less one axis.
    """
    maps = [
        AxisMap(number, number, axis, axis, (size, size))
        for number, shape in enumerate(shapes)
        for axis, size in enumerate(shape or (1,))
    ]
    maps += [
        AxisMap(target, source, len(of_target), axis, (1, size))
        for (target, of_target), (source, of_source) in itertools.product(
            enumerate(shapes), repeat=2
        )
        for axis, size in enumerate(of_source)
        if of_source[:axis] + of_source[axis + 1 :] == of_target
    ]
    constants = [constant(number, math.prod(shape)) for number, shape in enumerate(shapes)]
    return AffineFields(tuple(shapes), (*maps, *constants))


def constant(target: int, size: int) -> AxisMap:
    """Return the constant velocities of a tensor."""
    return AxisMap(target, None, 0, 0, (size, 1))
