"""Rescaling: neurons of a positively homogeneous activation, larger inside and smaller outside.

Shapes: K runs, N neurons, P parameters.
"""

from typing import ClassVar

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from symstudy.symmetry.base import AbstractFactors, Element, velocities_at
from symstudy.symmetry.declare import symmetry
from symstudy.symmetry.thresholds import EPSILON_RELATIVE

__all__ = ["Rescaling"]


@symmetry(
    kind="rescaling",
    action="(u, w) -> (c u, w / c), c > 0",
    applies_to="ReLU and linear neurons",
    symmetric_state="u = w = 0",
    conserved="|u|^2 - |w|^2",
    distance="rescalings: norm of its neurons; depends on the gauge",
    breaking="neurons with |incoming| |outgoing| above 0.02 of the largest",
)
class Rescaling(AbstractFactors):
    """The group of positive numbers for each neuron: (u_i, w_i) becomes (c_i u_i, w_i / c_i).

    Applies to the neurons of an activation with f(c z) = c f(z) for c > 0 (ReLU, leaky ReLU,
    linear) and to any pair of blocks that a product joins position by position. u_i is the first
    side (weights and bias in), w_i the second (weights out). An element is the factors `[runs, N]`.
    Symmetric is a neuron with u_i = w_i = 0. Conserved is |u_i|^2 - |w_i|^2.

    The group is not compact, and the raw distance sqrt(sum |u_i|^2 + |w_i|^2) changes along an
    orbit; its smallest value there is sqrt(sum 2 |u_i| |w_i|), at the balanced point |u_i| = |w_i|
    (the inequality of the two means). The degree of breaking counts neurons by |u_i| |w_i|.

    References:
        Du, Hu and Lee 2018 (arXiv:1806.00900) for the conserved quantity; arXiv:2502.05300, Table
        1. The balanced representative is derived here.
    """

    sides: ClassVar[frozenset[int]] = frozenset({2})
    gauge_dependent: ClassVar[frozenset[str]] = frozenset({"distance"})

    def act(
        self, element: Element, theta_KP: Float[Tensor, "runs parameters"]
    ) -> Float[Tensor, "runs parameters"]:
        """Return the parameters with the first side times the factors, the second divided."""
        factors_KN1 = element.to(theta_KP)[:, :, None]
        first, second = self.read(theta_KP)
        return self.write(theta_KP, factors_KN1 * first, second / factors_KN1)

    def balanced(
        self, theta_KP: Float[Tensor, "runs parameters"]
    ) -> Float[Tensor, "runs parameters"]:
        """Return the point of each orbit nearest to zero: both sides of a neuron have equal norms.

        A neuron with one side zero has no such point on its orbit; both its sides become zero, the
        limit, which computes the same.
        """
        first, second = self.read(theta_KP)
        into_KN, out_KN = first.norm(dim=2), second.norm(dim=2)
        lives_KN = (into_KN > 0) & (out_KN > 0)
        ratio_KN = torch.where(lives_KN, out_KN / into_KN, 1.0).sqrt()
        factor_KN1 = torch.where(lives_KN, ratio_KN, 0.0)[:, :, None]
        inverse_KN1 = torch.where(lives_KN, 1.0 / ratio_KN, 0.0)[:, :, None]
        return self.write(theta_KP, factor_KN1 * first, inverse_KN1 * second)

    def strengths(
        self, theta_KP: Float[Tensor, "runs parameters"]
    ) -> Float[Tensor, "runs neurons"]:
        """Return |u_i| |w_i| of each neuron, half its squared norm when balanced."""
        first, second = self.read(theta_KP)
        strengths_KN: Tensor = first.norm(dim=2) * second.norm(dim=2)
        return strengths_KN

    def velocities(
        self, theta_P: Float[Tensor, " parameters"]
    ) -> Float[Tensor, "directions parameters"]:
        """Return the velocities where one factor after the other moves from 1."""
        return velocities_at(self, theta_P, torch.eye(self.members))

    def orbit_distance(self, theta_KP: Float[Tensor, "runs parameters"]) -> Float[Tensor, " runs"]:
        """Return the distance at the balanced point."""
        return (2.0 * self.strengths(theta_KP).sum(dim=1)).sqrt()

    def breaking(
        self, theta_KP: Float[Tensor, "runs parameters"], epsilon: float = EPSILON_RELATIVE
    ) -> Int64[Tensor, " runs"]:
        """Return how many neurons have |u_i| |w_i| above `epsilon` of the largest."""
        strengths_KN = self.strengths(theta_KP)
        is_broken_KN: Tensor = strengths_KN > epsilon * strengths_KN.amax(dim=1, keepdim=True)
        return is_broken_KN.sum(dim=1) * self.is_alive(theta_KP)

    def conserved(
        self, theta_KP: Float[Tensor, "runs parameters"]
    ) -> Float[Tensor, "runs neurons"]:
        """Return |u_i|^2 - |w_i|^2 of each neuron."""
        first, second = self.read(theta_KP)
        return first.square().sum(dim=2) - second.square().sum(dim=2)
