"""Scaling: blocks of weights that are normalised, so that only their direction matters.

Shapes: K runs, M blocks, P parameters.
"""

from typing import ClassVar

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from symstudy.symmetry.base import AbstractFactors, Element, velocities_at
from symstudy.symmetry.declare import symmetry
from symstudy.symmetry.thresholds import EPSILON_ABSOLUTE, EPSILON_RELATIVE

__all__ = ["Scaling"]


@symmetry(
    kind="scaling",
    action="w -> c w, c > 0",
    applies_to="weights before a normalisation",
    symmetric_state="none (w = 0 is singular)",
    conserved="|w|^2",
    distance="scalings: norm of the normalised blocks; depends on the gauge",
    breaking="normalised blocks that are not zero",
)
class Scaling(AbstractFactors):
    """The group of positive numbers for each normalised block: w_i becomes c_i w_i.

    Applies to weights in front of a normalisation without which their scale would matter: all of a
    layer before LayerNorm (declared without an axis, one member), each row before BatchNorm or
    weight normalisation (declared along the axis of the rows). An element is the factors
    `[runs, M]`. Conserved is |w_i|^2.

    There is no symmetric state: w_i = 0 is fixed, but the function is singular there, and gradients
    grow as 1 / |w_i|. The distance is the norm, which may have any positive value on an orbit, so
    its infimum there is 0; every block that is not zero (1e-8) counts as broken, whatever
    `epsilon`.

    References:
        van Laarhoven 2017 (arXiv:1706.05350); arXiv:2502.05300, Table 1.
    """

    sides: ClassVar[frozenset[int]] = frozenset({1})
    needs_axis: ClassVar[bool] = False
    gauge_dependent: ClassVar[frozenset[str]] = frozenset({"distance"})

    def act(
        self, element: Element, theta_KP: Float[Tensor, "runs parameters"]
    ) -> Float[Tensor, "runs parameters"]:
        """Return the parameters with each block times its factor."""
        factors_KM1 = element.to(theta_KP)[:, :, None]
        first, second = self.read(theta_KP)
        return self.write(theta_KP, factors_KM1 * first, factors_KM1 * second)

    def velocities(
        self, theta_P: Float[Tensor, " parameters"]
    ) -> Float[Tensor, "directions parameters"]:
        """Return the velocities where one factor after the other moves from 1."""
        return velocities_at(self, theta_P, torch.eye(self.members))

    def orbit_distance(self, theta_KP: Float[Tensor, "runs parameters"]) -> Float[Tensor, " runs"]:
        """Return 0: an orbit comes as near to zero as one likes."""
        return theta_KP.new_zeros(theta_KP.shape[0])

    def breaking(
        self,
        theta_KP: Float[Tensor, "runs parameters"],
        epsilon: float = EPSILON_RELATIVE,  # noqa: ARG002  # a scale has nothing to be relative to
    ) -> Int64[Tensor, " runs"]:
        """Return how many blocks are not zero."""
        return (self.conserved(theta_KP) > EPSILON_ABSOLUTE**2).sum(dim=1)

    def conserved(self, theta_KP: Float[Tensor, "runs parameters"]) -> Float[Tensor, "runs blocks"]:
        """Return |w_i|^2 of each block.

        Under gradient descent it grows: |w|^2 becomes |w|^2 + lr^2 |grad|^2, exactly.
        """
        return torch.cat(self.read(theta_KP), dim=2).square().sum(dim=2)
