"""Double rotation: an invertible matrix between two linear maps.

Shapes: K runs, N shared directions, D and E numbers on the two sides, P parameters.
"""

from typing import ClassVar

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from symstudy.symmetry.base import AbstractVanishing, Element, velocities_at
from symstudy.symmetry.declare import symmetry
from symstudy.symmetry.ranks import singular_values
from symstudy.symmetry.rotation import random_rotations
from symstudy.symmetry.thresholds import EPSILON_RELATIVE

__all__ = ["DoubleRotation", "product_values"]


def product_values(
    first_KND: Float[Tensor, "runs shared first"], second_KNE: Float[Tensor, "runs shared second"]
) -> Float[Tensor, "runs shared"]:
    """Return the singular values of the product second^T first, largest first, zeros included.

    Both sides are first reduced to the triangles of their thin QR, U^T = Q_1 R_1 and V^T = Q_2 R_2,
    so that the decomposition is one of R_2 R_1^T, no larger than the shared axis, and small values
    are as exact as those of the product can be.

    Returns:
        As many values as the axis has positions, float64.
    """
    first, second = first_KND.double(), second_KNE.double()
    if first.shape[2] > first.shape[1]:
        first = torch.linalg.qr(first.transpose(1, 2), mode="r").R.transpose(1, 2)
    if second.shape[2] > second.shape[1]:
        second = torch.linalg.qr(second.transpose(1, 2), mode="r").R.transpose(1, 2)
    values_KR = torch.linalg.svdvals(second.transpose(1, 2) @ first)
    return torch.nn.functional.pad(values_KR, (0, first_KND.shape[1] - values_KR.shape[1]))


@symmetry(
    kind="double_rotation",
    action="(U, V) -> (A U, A^-T V), A invertible",
    applies_to="linear networks, query and key, value and output",
    symmetric_state="n^T U = n^T V = 0: common low rank",
    conserved="U U^T - V V^T",
    distance="double rotations: norm of both sides; depends on the gauge",
    breaking="singular values of the product above 0.02 of the largest: its rank",
)
class DoubleRotation(AbstractVanishing):
    """The group GL(N): (U, V) becomes (A U, A^-T V), which leaves the product V^T U as it is.

    Applies to any two blocks that share an axis with nothing but a sum in between: neighbouring
    layers of a linear network (U incoming with bias, V outgoing), query and key, value and output
    of an attention head. In the paper's notation W_Q = U^T and W_K = V^T, W_Q W_K^T is the
    invariant, and a bias is one more row. An element is invertible matrices `[runs, N, N]`;
    `members` are the coordinate directions. Symmetric in a direction n is n^T U = n^T V = 0: a
    common low rank. Conserved is U U^T - V V^T.

    The group is not compact, so distances depend on the gauge. Two versions are given:

    * `raw_values`: eigenvalues lambda_i of U U^T + V V^T, the squared distances of its eigenvectors
      (the paper's recipe). Of all orthonormal directions these are the most uneven (Courant and
      Fischer). A change of basis that is not orthogonal changes them.
    * `values`: singular values sigma_i of the product. 2 sigma_i is lambda_i in the balanced gauge
      U U^T = V V^T, and sum lambda_i >= 2 sum sigma_i in every gauge, since |U|^2 + |V|^2 is at
      least twice the nuclear norm of V^T U (Srebro, Rennie and Jaakkola 2004). The infimum over
      the orbit has this value: the closure of an orbit holds a balanced point (Kempf and Ness
      1979), and the product is the same there.

    `breaking` and `orbit_distance` take the second, `raw_breaking` and `distance` the first.

    References:
        arXiv:2502.05300, Table 1 and Eqs. 8-13; the gauge-invariant version is derived here.
    """

    sides: ClassVar[frozenset[int]] = frozenset({2})
    gauge_dependent: ClassVar[frozenset[str]] = frozenset({"distance"})

    def sample(self, runs: int, generator: torch.Generator) -> Element:
        """Return matrices R_1 diag(s) R_2, log s uniform: their condition is at most 100."""
        left, right = (random_rotations(runs, self.members, generator) for _ in range(2))
        exponents = torch.rand(runs, self.members, generator=generator, dtype=torch.float64)
        return left * (10.0 ** (2.0 * exponents - 1.0))[:, None, :] @ right

    def identity(self, runs: int) -> Element:
        """Return unit matrices."""
        return torch.eye(self.members, dtype=torch.float64).expand(runs, -1, -1)

    def compose(self, left: Element, right: Element) -> Element:
        """Return the matrix products."""
        return left @ right

    def inverse(self, element: Element) -> Element:
        """Return the inverse matrices."""
        inverses: Tensor = torch.linalg.inv(element)
        return inverses

    def act(
        self, element: Element, theta_KP: Float[Tensor, "runs parameters"]
    ) -> Float[Tensor, "runs parameters"]:
        """Return the parameters with the first side times A and the second times A^-T."""
        a_KNN = element.to(theta_KP)
        first, second = self.read(theta_KP)
        turned = torch.linalg.solve(a_KNN.transpose(1, 2), second)
        return self.write(theta_KP, a_KNN @ first, turned)

    def velocities(
        self, theta_P: Float[Tensor, " parameters"]
    ) -> Float[Tensor, "directions parameters"]:
        """Return the velocities where one entry of A after the other moves from the identity."""
        entries = torch.eye(self.members**2).view(-1, self.members, self.members)
        return velocities_at(self, theta_P, entries)

    def values(
        self, theta_KP: Float[Tensor, "runs parameters"]
    ) -> Float[Tensor, "runs directions"]:
        """Return the singular values sigma_i of the product, largest first, float64."""
        return product_values(*self.read(theta_KP))

    def raw_values(
        self, theta_KP: Float[Tensor, "runs parameters"]
    ) -> Float[Tensor, "runs directions"]:
        """Return the eigenvalues lambda_i of U U^T + V V^T, largest first, float64."""
        values_KR = singular_values(torch.cat(self.read(theta_KP), dim=2)).square()
        return torch.nn.functional.pad(values_KR, (0, self.members - values_KR.shape[1]))

    def orbit_distance(self, theta_KP: Float[Tensor, "runs parameters"]) -> Float[Tensor, " runs"]:
        """Return sqrt(2 sum sigma_i), the distance in the balanced gauge."""
        return (2.0 * self.values(theta_KP).sum(dim=1)).sqrt().to(theta_KP)

    def breaking(
        self, theta_KP: Float[Tensor, "runs parameters"], epsilon: float = EPSILON_RELATIVE
    ) -> Int64[Tensor, " runs"]:
        """Return the rank of the product: how many sigma_i exceed `epsilon` of the largest."""
        values_KN = self.values(theta_KP)
        return (values_KN > epsilon * values_KN[:, :1]).sum(dim=1) * self.is_alive(theta_KP)

    def raw_breaking(
        self, theta_KP: Float[Tensor, "runs parameters"], epsilon: float = EPSILON_RELATIVE
    ) -> Int64[Tensor, " runs"]:
        """Return how many lambda_i exceed `epsilon` of the largest; depends on the gauge."""
        values_KN = self.raw_values(theta_KP)
        return (values_KN > epsilon * values_KN[:, :1]).sum(dim=1) * self.is_alive(theta_KP)

    def conserved(
        self, theta_KP: Float[Tensor, "runs parameters"]
    ) -> Float[Tensor, "runs directions directions"]:
        """Return U U^T - V V^T."""
        first, second = self.read(theta_KP)
        return first @ first.transpose(1, 2) - second @ second.transpose(1, 2)
