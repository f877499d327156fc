"""Rotation: directions that an orthogonal matrix may mix.

Shapes: K runs, N directions, P parameters.
"""

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from symstudy.symmetry.base import AbstractVanishing, Element, velocities_at
from symstudy.symmetry.declare import symmetry
from symstudy.symmetry.ranks import singular_values
from symstudy.symmetry.thresholds import EPSILON_RELATIVE

__all__ = ["Rotation", "random_rotations"]


def random_rotations(
    runs: int, size: int, generator: torch.Generator
) -> Float[Tensor, "runs size size"]:
    """Return uniformly distributed (Haar) orthogonal matrices, reflections among them, float64.

    The factor Q of a normal matrix is made unique by a positive diagonal of R (Mezzadri 2007,
    arXiv:math-ph/0609050).
    """
    normal = torch.randn(runs, size, size, generator=generator, dtype=torch.float64)
    q_KNN, r_KNN = torch.linalg.qr(normal)
    signs_KN = torch.where(r_KNN.diagonal(dim1=1, dim2=2) < 0, -1.0, 1.0)
    rotations_KNN: Tensor = q_KNN * signs_KN[:, None, :]
    return rotations_KNN


@symmetry(
    kind="rotation",
    action="W -> R W, R orthogonal",
    applies_to="self-supervised projectors, radial activations",
    symmetric_state="n^T W = 0: low rank",
    conserved="no function",
    distance="rotations: norm of what is rotated",
    breaking="singular values of what is rotated above 0.02 of the largest",
)
class Rotation(AbstractVanishing):
    """The orthogonal group O(N): W becomes R W; with two sides, R on both.

    Applies where a model sees a vector through rotation-invariant quantities alone: the output of a
    projector that a loss reads by inner products (a symmetry of the Gram matrix), and hidden units
    with a radial activation z rho(|z|), where rows of the incoming and columns of the outgoing
    weights rotate together. An element is orthogonal matrices `[runs, N, N]`; `members` are the
    coordinate directions. Symmetric in a direction n is n^T W = 0 (on both sides). No function of
    the parameters is conserved; gradient flow keeps dW W^T symmetric.

    The degree of breaking is the number of singular values of W (both sides beside each other)
    above `epsilon` of the largest: the directions in which W does not vanish, whatever the basis.

    References:
        arXiv:2502.05300, Table 1; arXiv:2309.16932.
    """

    def sample(self, runs: int, generator: torch.Generator) -> Element:
        """Return Haar-distributed orthogonal matrices."""
        return random_rotations(runs, self.members, generator)

    def identity(self, runs: int) -> Element:
        """Return unit matrices."""
        return torch.eye(self.members, dtype=torch.float64).expand(runs, -1, -1)

    def compose(self, left: Element, right: Element) -> Element:
        """Return the matrix products."""
        return left @ right

    def inverse(self, element: Element) -> Element:
        """Return the transposes."""
        return element.transpose(1, 2)

    def act(
        self, element: Element, theta_KP: Float[Tensor, "runs parameters"]
    ) -> Float[Tensor, "runs parameters"]:
        """Return the parameters with both sides rotated."""
        rotation_KNN = element.to(theta_KP)
        first, second = self.read(theta_KP)
        return self.write(theta_KP, rotation_KNN @ first, rotation_KNN @ second)

    def velocities(
        self, theta_P: Float[Tensor, " parameters"]
    ) -> Float[Tensor, "directions parameters"]:
        """Return the velocities of the rotations in each plane of two coordinates."""
        units = torch.eye(self.members)
        planes = [
            torch.outer(units[i], units[j]) - torch.outer(units[j], units[i])
            for i in range(self.members)
            for j in range(i)
        ]
        if not planes:
            return theta_P.new_zeros(0, len(theta_P))
        return velocities_at(self, theta_P, torch.stack(planes))

    def values(
        self, theta_KP: Float[Tensor, "runs parameters"]
    ) -> Float[Tensor, "runs directions"]:
        """Return the distances |n_i^T W| of the principal directions n_i, largest first, float64.

        Of all orthonormal sets of directions these are the most uneven (Courant and Fischer).
        """
        values_KR = singular_values(torch.cat(self.read(theta_KP), dim=2))
        missing = self.members - values_KR.shape[1]
        return torch.nn.functional.pad(values_KR, (0, missing))

    def orbit_distance(self, theta_KP: Float[Tensor, "runs parameters"]) -> Float[Tensor, " runs"]:
        """Return the distance, which a rotation does not change."""
        return self.distance(theta_KP)

    def breaking(
        self, theta_KP: Float[Tensor, "runs parameters"], epsilon: float = EPSILON_RELATIVE
    ) -> Int64[Tensor, " runs"]:
        """Return how many principal directions are broken."""
        values_KN = self.values(theta_KP)
        return (values_KN > epsilon * values_KN[:, :1]).sum(dim=1) * self.is_alive(theta_KP)

    def conserved(self, theta_KP: Float[Tensor, "runs parameters"]) -> None:
        """Return None: the constraint dW W^T = W dW^T on the flow integrates to no function."""
